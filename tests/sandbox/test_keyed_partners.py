"""Simulated partners that keep idempotency keys: what they kept outlives a kill -9, and so does what they owe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.partners.receiver import receiving
from tests.sandbox.process import Sandbox, wait_for

TOKEN = "fake-fixed-token"
WISH = {
    "facilityType": "working-capital",
    "requestedAmount": {"amount": "25000.00", "currency": "EUR"},
    "requestedTenorMonths": 24,
}
PARTY = {"partyType": "organization", "displayName": "Fake Logistics GmbH"}
APPLICATION = {
    "mode": "test",
    "business": {"legalName": "Fake Bakery LLC", "country": "US"},
    "requestedFinance": {"amount": {"amount": "50000", "currency": "USD"}},
}


def started(folder: Path, partner: str, **settings: Any) -> Sandbox:
    sandbox = Sandbox(folder)
    user = {"partner": partner, "user": "me", "apiKey": TOKEN, "settings": settings}
    (folder / "config.json").write_text(json.dumps({"users": [user]}))
    return sandbox.start()


class Client:
    def __init__(self, sandbox: Sandbox, partner: str) -> None:
        base, headers = f"{sandbox.url}/{partner}/v1", {"authorization": f"Bearer {TOKEN}"}
        self._client = httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=10)
        self._sandbox, self._partner = sandbox, partner

    def post(self, path: str, body: Any, key: str, status: int = 201) -> Any:
        headers = {"idempotency-key": key, "x-correlation-id": "one"}
        reply = self._client.post(path, json=body, headers=headers)
        assert reply.status_code == status, reply.text
        return reply.json()

    def get(self, path: str) -> Any:
        reply = self._client.get(path)
        assert reply.status_code == 200
        return reply.json()

    def until(self, application_id: str, status: str) -> Any:
        """The state, once it has this status."""

        def there() -> Any:
            state = self.get(f"/applications/{application_id}")
            return state if state["status"] == status else None

        return wait_for(there)

    def dial(self, **dial: Any) -> None:
        url = f"{self._sandbox.url}/_dials/{self._partner}"
        httpx.post(url, json=dial, trust_env=False).raise_for_status()

    def ledger(self) -> Any:
        return httpx.get(f"{self._sandbox.url}/_ledger/{self._partner}", trust_env=False).json()


def faults(problem: Any) -> list[tuple[str, str]]:
    return [(each.get("field", each.get("pointer")), each["code"]) for each in problem["errors"]]


def submitted(client: Client) -> str:
    party = client.post("/parties", PARTY, "k-party")["partyId"]
    draft = client.post("/sme-loan-applications", WISH | {"partyId": party}, "k-draft")
    assert draft["status"] == "draft"
    application = str(draft["applicationId"])
    client.post(f"/sme-loan-applications/{application}/submit", {}, "k-submit", 202)
    return application


def test_finpace_outlives_a_kill(tmp_path: Path) -> None:
    sandbox = started(tmp_path, "finpace", decisionDelayMs=400)
    client = Client(sandbox, "finpace")
    with receiving() as ours:
        subscription = {"eventTypes": ["credit.decision.completed"], "targetUrl": ours.url, "secret": "fake"}
        client.post("/webhook-subscriptions", subscription, "k-subscription")
        application = submitted(client)
        sandbox.kill()
        sandbox.start()
        client = Client(sandbox, "finpace")
        assert submitted(client) == application, "the original answers"
        (call,) = ours.wait(1)
        assert json.loads(call.body)["decision"]["applicationId"] == application
        sandbox.stop()
        assert len(ours.calls) == 1


def test_finpace_takes_a_key_for_one_thing_only(tmp_path: Path) -> None:
    sandbox = started(tmp_path, "finpace")
    client = Client(sandbox, "finpace")
    application = submitted(client)
    assert client.post("/parties", PARTY | {"displayName": "Other"}, "k-party", 409)["code"] == "IDEMPOTENCY_CONFLICT"
    assert client.post("/parties", PARTY, "", 400)["code"] == "IDEMPOTENCY_KEY"
    assert client.post("/parties", PARTY, "k" * 81, 400)["code"] == "IDEMPOTENCY_KEY"
    again = client.post(f"/sme-loan-applications/{application}/submit", {}, "k-other", 409)
    assert again["code"] == "INVALID_STATE"
    client.post("/sme-loan-applications/smeapp_none/submit", {}, "k-none", 404)
    assert client.ledger()["counts"]["leads"] == 1
    sandbox.stop()


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sandbox = started(tmp_path_factory.mktemp("rules"), "finpace")
    yield Client(sandbox, "finpace")
    sandbox.stop()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partyType": "legal_entity"}, [("partyType", "NOT_SUPPORTED")]),
        ({"displayName": ""}, [("displayName", "REQUIRED")]),
        ({"legalName": 7, "countryOfIncorporation": "Austria"},
         [("legalName", "INVALID"), ("countryOfIncorporation", "INVALID")]),
        ({"addresses": [{"line1": 1}], "contacts": [{"type": "email"}]},
         [("addresses.0.line1", "INVALID"), ("contacts.0.value", "REQUIRED")]),
        ({"addresses": {}}, [("addresses", "INVALID")]),
    ],
)  # fmt: skip
def test_finpace_names_each_fault_of_a_party(rules: Client, changes: Any, expected: Any) -> None:
    assert faults(rules.post("/parties", PARTY | changes, "k", 422)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partyId": "pty_none"}, [("partyId", "NOT_FOUND")]),
        ({"partyId": "pty_none", "facilityType": "overdraft"}, [("facilityType", "NOT_SUPPORTED")]),
        ({"partyId": "x", "requestedTenorMonths": "24"}, [("requestedTenorMonths", "INVALID")]),
        ({"partyId": "x", "requestedTenorMonths": True}, [("requestedTenorMonths", "INVALID")]),
        ({"partyId": "x", "requestedAmount": {"amount": 25000, "currency": "eur"}},
         [("requestedAmount.amount", "INVALID"), ("requestedAmount.currency", "INVALID")]),
        ({"partyId": "x", "requestedAmount": {}},
         [("requestedAmount.amount", "REQUIRED"), ("requestedAmount.currency", "REQUIRED")]),
        ({"partyId": "x", "decisionMode": "oracle"}, [("decisionMode", "NOT_SUPPORTED")]),
        ({}, [("partyId", "REQUIRED")]),
    ],
)  # fmt: skip
def test_finpace_names_each_fault_of_a_draft(rules: Client, changes: Any, expected: Any) -> None:
    assert faults(rules.post("/sme-loan-applications", WISH | changes, "k", 422)) == expected


def test_reference_partner_outlives_a_kill(tmp_path: Path) -> None:
    """Keys, a decision that was to come, and a webhook that was not taken yet."""
    sandbox = started(tmp_path, "reference-partner", decisionDelayMs=300, webhookRetrySeconds=[0.1, 60])
    client = Client(sandbox, "reference-partner")
    with receiving() as ours:
        ours.answers += [500, 500]
        client.post("/webhooks", {"url": ours.url, "secret": "whsec_ZmFrZQ=="}, "k")
        state = client.post("/applications", APPLICATION, "reference-1")
        sandbox.kill()
        sandbox.start()
        client = Client(sandbox, "reference-partner")
        assert client.post("/applications", APPLICATION, "reference-1") == state
        ours.wait(2)
        assert client.get(f"/applications/{state['id']}")["status"] == "approved"
        sandbox.kill()
        sandbox.start()
        first, *_, last = ours.wait(3)
        assert first.body == last.body, "the same event, until it is taken"
        client = Client(sandbox, "reference-partner")
        assert wait_for(lambda: client.ledger()["webhooks"])[0]["status"] == 204
    assert client.ledger()["counts"]["leads"] == 1
    assert client.ledger()["counts"]["decisions"] == 1
    sandbox.stop()


def test_an_accepted_offer_is_paid_out_only_where_a_dial_says_so_also_after_a_kill(tmp_path: Path) -> None:
    sandbox = started(tmp_path, "reference-partner", decisionDelayMs=0)
    client = Client(sandbox, "reference-partner")
    paid, unpaid = (client.post("/applications", APPLICATION, f"reference-{each}") for each in (1, 2))
    client.dial(kind="funding", ms=700, operation="accept", reference="reference-1", times=1)
    for each in (unpaid, paid):
        client.until(each["id"], "approved")
        client.post(f"/applications/{each['id']}/accept", {"offerId": "offer-1"}, f"accept-{each['id']}", 200)
    sandbox.kill()
    sandbox.start()
    client = Client(sandbox, "reference-partner")
    state = client.until(paid["id"], "funded")
    assert [each["id"] for each in state["offers"]] == ["offer-1"]
    assert client.get(f"/applications/{unpaid['id']}")["status"] == "accepted"
    assert [each["outcome"] for each in client.ledger()["decisions"]].count("fund") == 1
    client.post(f"/applications/{paid['id']}/accept", {"offerId": "offer-1"}, "once more", 409)
    sandbox.stop()


def test_a_user_that_could_never_sign_in_stops_the_start(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"users": [{"partner": "finpace", "user": "nobody"}]}))
    command = [sys.executable, "-m", "lendrail.sandbox"]
    ended = subprocess.run(command, env=sandbox.environment, capture_output=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert b"needs a clientId" in ended.stderr + ended.stdout
