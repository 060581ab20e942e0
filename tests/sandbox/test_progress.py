"""Simulated partners whose matters go on by themselves: the sale at Optimum Finance told by PUT, a lead at Valiant."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.sandbox.process import Sandbox, wait_for

INTRODUCER = "00TESTINTRODUCER"
WINES = {
    "introducerId": INTRODUCER, "companyNumber": "00000000", "sector": "Beer / Wine Merchant", "turnover": 950000,
    "yearsTrading": 4, "expectedCustomers": 41, "phoenix": False, "quotationOnly": False,
    "contactName": "Testa Fakely", "contactNumber": "07000 000 000", "contactEmail": "testa@example.test",
}  # fmt: skip
LEAD: dict[str, Any] = {
    "first_name": "Testa", "last_name": "Fakely", "phone": "0400 000 000", "email": "testa@example.test",
    "state": "NSW", "postal_code": 2999, "abn": "89 000 000 019", "months_trading": "36", "requested_amount": 75000,
    "utm_content": "REF-1",
}  # fmt: skip
UUID, KEY, SECRET = "00000000-0000-4000-8000-000000000001", "fake-key", "fake-secret"
SIGNED = base64.b64encode(hmac.digest(SECRET.encode(), KEY.encode(), hashlib.sha256)).decode()
HEADERS = {"X-AUTH-ID": UUID, "X-AUTH-SIGNED-KEY": SIGNED, "Content-Type": "application/vnd.api+json"}


class Ear:
    """Hears what is PUT to it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, Any]] = []
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                ear.heard.append((self.command, self.path, json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def listening() -> Iterator[Ear]:
    ear = Ear()
    thread = Thread(target=ear.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield ear
    ear.server.shutdown()
    thread.join()
    ear.server.server_close()


class House(Sandbox):
    """A sandbox with one introducer at Optimum Finance and one referrer at Valiant."""

    def __init__(self, folder: Path, webhook: str | None = None, delay_ms: int = 0) -> None:
        super().__init__(folder)
        sale: dict[str, Any] = {"introducerId": INTRODUCER, "decisionDelayMs": delay_ms, "webhookUrl": webhook}
        lead: dict[str, Any] = {"uuid": UUID, "key": KEY, "secret": SECRET, "decisionDelayMs": delay_ms}
        users = [
            {"partner": "optimum-finance", "user": "introducer", "settings": sale},
            {"partner": "valiant", "user": "referrer", "settings": lead},
        ]
        (folder / "config.json").write_text(json.dumps({"users": users}))

    def decide(self, **changes: Any) -> httpx.Response:
        url = f"{self.url}/optimum-finance/api/v1/instant-decision/decide"
        return httpx.post(url, json=WINES | changes, trust_env=False)

    def update(self, opportunity: str, introducer: str = INTRODUCER) -> httpx.Response:
        url = f"{self.url}/optimum-finance/api/v1/instant-decision/update"
        return httpx.get(url, params={"id": opportunity, "introducerId": introducer}, trust_env=False)

    def valiant(self, method: str, path: str, body: Any = None, headers: dict[str, str] = HEADERS) -> httpx.Response:
        content = b"" if body is None else json.dumps(body).encode()
        url = f"{self.url}/valiant/api/v1{path}"
        return httpx.request(method, url, headers=headers, content=content, trust_env=False)

    def books(self, partner: str, reference: str) -> Any:
        return httpx.get(f"{self.url}/_ledger/{partner}", params={"reference": reference}, trust_env=False).json()

    def until(self, opportunity: str, **wanted: Any) -> Any:
        def look() -> Any:
            told = self.update(opportunity).json()
            return told if wanted.items() <= told.items() else None

        return wait_for(look)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    running = House(tmp_path_factory.mktemp("house"))
    running.start()
    yield running
    running.stop()


# ---- Optimum Finance


def test_an_approval_opens_an_opportunity_and_twice_is_two(house: House) -> None:
    one, other = house.decide().json(), house.decide().json()
    assert one["companyName"] == "FAKE WINES LTD"
    assert one["decision"]["decision"] == "approved"
    assert one["opportunityId"] != other["opportunityId"]
    assert len(house.books("optimum-finance", "00000000")["leads"]) == 2
    assert INTRODUCER not in json.dumps(house.books("optimum-finance", "00000000"))


def test_decisions_without_an_opportunity(house: House) -> None:
    persons = dict.fromkeys(("contactName", "contactNumber", "contactEmail"))
    quotation = house.decide(quotationOnly=True, **persons).json()
    declined, referred = house.decide(turnover=950001).json(), house.decide(turnover=950005).json()
    assert [each["decision"]["decision"] for each in (quotation, declined, referred)] == [
        "approved",
        "declined",
        "referred",
    ]
    assert declined["decision"]["reasons"] == ["Turnover below £200,000"]
    assert not any("opportunityId" in each for each in (quotation, declined, referred))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"companyNumber": None}, "companyNumber is required"),
        ({"companyNumber": 12345678}, "companyNumber is invalid"),
        ({"sector": "Wine"}, "sector is not included in the list"),
        ({"turnover": "950000"}, "turnover is invalid"),
        ({"turnover": -1}, "turnover is invalid"),
        ({"yearsTrading": True}, "yearsTrading is invalid"),
        ({"expectedCustomers": None}, "expectedCustomers is required"),
        ({"contactEmail": None}, "contactEmail is required"),
        ({"phoenix": "no"}, "phoenix is invalid"),
    ],
)
def test_what_is_not_taken(house: House, changes: dict[str, Any], message: str) -> None:
    number = {"companyNumber": "ZZ999999"}
    reply = house.decide(**(number | changes))
    assert (reply.status_code, reply.json()) == (400, {"message": message})
    assert house.books("optimum-finance", "ZZ999999")["leads"] == []


def test_strangers_see_nothing(house: House) -> None:
    opportunity = house.decide().json()["opportunityId"]
    assert house.decide(introducerId="00STRANGER").status_code == 401
    assert house.decide(introducerId=None).status_code == 401
    assert house.update(opportunity, "00STRANGER").status_code == 401
    assert house.update("00NOTHING").status_code == 404


def test_the_sale_goes_on_and_is_told_by_put(tmp_path: Path) -> None:
    with listening() as ear:
        house = House(tmp_path, ear.url + "/hook/{id}")
        house.start()
        try:
            opportunity = house.decide(turnover=950007).json()["opportunityId"]
            won = house.until(opportunity, status="Closed Won")
            wait_for(lambda: len(ear.heard) == 2)
        finally:
            house.stop()
    assert won["owner"]["name"] == "Sally Sales"
    assert {(method, path) for method, path, _ in ear.heard} == {("PUT", f"/hook/{opportunity}")}
    assert [body["status"] for _, _, body in ear.heard] == ["Indicative Offer Sent", "Closed Won"]
    assert ear.heard[-1][2] == won | {"id": opportunity}


def test_a_step_that_was_to_come_comes_after_a_crash(tmp_path: Path) -> None:
    house = House(tmp_path, delay_ms=400)
    house.start()
    try:
        opportunity = house.decide().json()["opportunityId"]
        assert house.update(opportunity).json()["owner"] == "currently assigning"
        house.kill()
        house.start()
        assert house.until(opportunity, closeChance=40)["owner"]["email"] == "sales@example.test"
        assert len(house.books("optimum-finance", "00000000")["decisions"]) == 1
    finally:
        house.stop()


def test_a_dial_names_a_stage_that_nobody_documented(house: House) -> None:
    opportunity = house.decide(companyNumber="ZZ000001").json()["opportunityId"]
    dial = {"kind": "outcome", "operation": "update", "outcome": "approve", "stage": "Underwriting", "times": 1}
    dial["reference"] = "ZZ000001"
    url = f"{house.url}/_dials/optimum-finance"
    assert httpx.post(url, json=dial, trust_env=False).status_code == 201
    assert house.update(opportunity).json()["status"] == "Underwriting"
    assert house.update(opportunity).json()["status"] == "Indicative Offer Sent"


# ---- Valiant


def test_a_lead_is_taken_and_twice_is_two(house: House) -> None:
    one, other = house.valiant("POST", "/leads", LEAD), house.valiant("POST", "/leads", LEAD)
    assert one.status_code == other.status_code == 201
    assert one.headers["content-type"] == "application/vnd.api+json"
    first, second = one.json()["data"], other.json()["data"]
    assert first["type"] == "lead"
    assert first["id"] != second["id"]
    told = first["attributes"]
    assert (told["status"], told["postal_code"], told["requested_amount"]) == ("Received", "2999", 75000.0)
    assert house.valiant("GET", f"/leads/{first['id']}").json()["data"]["id"] == first["id"]
    assert len(house.books("valiant", "REF-1")["leads"]) == 2


def test_what_becomes_of_a_lead(house: House) -> None:
    def attribute(amount: int, name: str) -> Any:
        lead_id = house.valiant("POST", "/leads", LEAD | {"requested_amount": amount}).json()["data"]["id"]
        return wait_for(lambda: house.valiant("GET", f"/leads/{lead_id}").json()["data"]["attributes"][name])

    assert "minimum time" in attribute(75001, "unqualified_reason")
    assert attribute(75007, "initial_settlement_amount") == 75007.0
    assert house.valiant("POST", "/leads", LEAD | {"requested_amount": 75008}).status_code == 402


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"email": None}, {"email"}),
        ({"phone": "0500 000 000", "abn": "1"}, {"phone", "abn"}),
        ({"state": "Atlantis"}, {"state"}),
        ({"postal_code": 299}, {"postal_code"}),
        ({"months_trading": 0}, {"months_trading"}),
        ({"entity_type": ["IND"]}, {"entity_type"}),
        ({"new_equipment": "yes"}, {"new_equipment"}),
    ],
)
def test_what_is_not_taken_there(house: House, changes: dict[str, Any], fields: set[str]) -> None:
    reply = house.valiant("POST", "/leads", LEAD | changes | {"utm_content": "REF-BAD"})
    assert reply.status_code == 400
    pointers = {each["source"]["pointer"] for each in reply.json()["errors"]}
    assert pointers == {f"/data/attributes/{name}" for name in fields}
    assert house.books("valiant", "REF-BAD")["leads"] == []


def test_the_headers_that_valiant_wants(house: House) -> None:
    assert house.valiant("GET", "/authenticate").status_code == 200
    wrong = HEADERS | {"X-AUTH-SIGNED-KEY": base64.b64encode(b"x" * 32).decode()}
    for headers in (wrong, HEADERS | {"X-AUTH-ID": "other"}, {"Content-Type": "application/vnd.api+json"}):
        reply = house.valiant("GET", "/authenticate", headers=headers)
        assert (reply.status_code, reply.content) == (401, b"")
    plain = house.valiant("POST", "/leads", LEAD, HEADERS | {"Content-Type": "application/json"})
    assert (plain.status_code, plain.content) == (400, b"")


def test_option_lists(house: House) -> None:
    states = house.valiant("GET", "/options/australian_state").json()
    assert {"label": "New South Wales", "value": "NSW"} in states
    assert house.valiant("GET", "/options/colours").status_code == 404
