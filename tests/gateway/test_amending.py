"""Amendments through the REST door on real Kafka and MongoDB: one write each, once by key, nothing half done."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests import make, support
from tests.gateway.process import Gateway, new_key
from tests.gateway.test_reads import Others, about, update

from lendrail.contracts.application_amended import ApplicationAmended, Corrected, DocumentAdded, PartnerAdded, Withdrawn
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible
from lendrail.contracts.event import Record, decode
from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import FieldProblem, Offer, Status, opportunity_id

CANARY = "Canarywitz900000031"
LINK = "https://offers.example.test/take-it"


async def made(caller: httpx.AsyncClient, **changes: Any) -> str:
    answer = await caller.post("/v1/applications", json=make.application_json(**changes), headers=new_key())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["applicationId"])


async def correct(
    caller: httpx.AsyncClient, application: str, revision: int | str, key: dict[str, str] | None = None, **changes: Any
) -> httpx.Response:
    headers = {"If-Match": f'"{revision}"', **(key or new_key())}
    body = make.application_json(**changes)
    return await caller.put(f"/v1/applications/{application}", json=body, headers=headers)


async def post(caller: httpx.AsyncClient, path: str, body: Any, key: dict[str, str] | None = None) -> httpx.Response:
    return await caller.post(path, json=body, headers=key or new_key())


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert CANARY not in answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture
async def others(gateway: Gateway, kafka: str) -> AsyncIterator[Others]:
    others = Others(gateway, kafka)
    yield others
    await others.client.close()


async def events(others: Others, stored: Any, application: str) -> list[ApplicationAmended]:
    """The amendments that stand in the outbox, opened."""
    document = await stored["applications"].find_one({"_id": application})
    key = await others.vault.get(application)
    records = [Record.restored(each) for each in document["outbox"]][1:]
    return [decode(ApplicationAmended, record.value, key) for record in records]


async def at_a_lender(others: Others, caller: httpx.AsyncClient, status: Status, **more: Any) -> tuple[str, str]:
    """An application that one lender has, and its opportunity."""
    application = await made(caller)
    place = opportunity_id(uuid.UUID(application), "forward-financing", support.CREDENTIAL)
    validated = ApplicationValidated(
        **about(application),
        revision=1,
        received_at=make.NOW,
        application=make.application(),
        eligible=(Eligible(partner="forward-financing", credential=support.CREDENTIAL, opportunity_id=place),),
    )
    await others.say(validated, update(application, place, 1, status, **more))
    await support.eventually(lambda: _shows(caller, application, status))
    return application, str(place)


async def _shows(caller: httpx.AsyncClient, application: str, status: Status) -> bool:
    shown = (await caller.get(f"/v1/applications/{application}")).json()
    return any(each["status"] == status for each in shown["opportunities"])


async def test_a_correction_is_one_write_with_its_event(caller: httpx.AsyncClient, others: Others, stored: Any) -> None:
    application = await made(caller)
    before = await caller.get(f"/v1/applications/{application}")
    assert before.headers["etag"] == '"1"'
    reference = {"system": "crm", "kind": "lead", "value": f"R-{uuid.uuid4()}"}
    answer = await correct(caller, application, 1, notes=CANARY, externalReferences=[reference])
    assert (answer.status_code, answer.headers["etag"]) == (202, '"2"')
    assert answer.json() == {"applicationId": application, "revision": 2}
    document = await stored["applications"].find_one({"_id": application})
    assert (document["revision"], len(document["outbox"]), len(document["amendments"])) == (2, 2, 1)
    assert CANARY not in str(document)
    (event,) = await events(others, stored, application)
    assert (event.revision, event.amended_by, event.tenant_id) == (2, "demo-upstream", "demo")
    assert isinstance(event.amendment, Corrected)
    assert event.application is None
    assert event.stands is not None
    assert event.stands.notes is not None
    assert event.stands.notes.reveal() == CANARY
    shown = (await caller.get(f"/v1/applications/{application}")).json()
    (amendment,) = shown["amendments"]
    assert (shown["revision"], amendment["state"], amendment["kind"]) == (2, "received", "corrected")
    assert [entry["event"] for entry in shown["timeline"]] == ["application-received", "application-amended"]
    found = (await caller.get("/v1/applications", params={"reference": reference["value"]})).json()
    assert [each["applicationId"] for each in found["items"]] == [application]

    async def published() -> bool:
        now = await stored["applications"].find_one({"_id": application})
        return bool(now["sent"] == 2 and "pending" not in now)

    await support.eventually(published)


async def test_if_match(caller: httpx.AsyncClient) -> None:
    application = await made(caller)
    absent = await caller.put(f"/v1/applications/{application}", json=make.application_json(), headers=new_key())
    problem(absent, 428, "precondition-required")
    for stale in ("0", "2", 'x", "1', ""):
        answer = await correct(caller, application, stale)
        problem(answer, 412, "revision-stale")
        assert answer.headers["etag"] == '"1"'
    assert (await correct(caller, application, 1)).status_code == 202
    problem(await correct(caller, application, 1), 412, "revision-stale")


async def test_a_key_gives_its_first_answer_again_and_stands_for_one_thing(caller: httpx.AsyncClient) -> None:
    application, key = await made(caller), new_key()
    first = await correct(caller, application, 1, key, notes="a")
    again = await correct(caller, application, 1, key, notes="a")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    problem(await correct(caller, application, 1, key, notes=CANARY), 422, "idempotency-key-reused")
    problem(await correct(caller, application, 1, key, mode=CANARY), 422, "idempotency-key-reused")
    withdrawn = await post(caller, f"/v1/applications/{application}/withdraw", {"reason": CANARY}, key)
    problem(withdrawn, 422, "idempotency-key-reused")
    problem(await correct(caller, await made(caller), 1, key, notes="a"), 422, "idempotency-key-reused")
    problem(await correct(caller, application, 1, {"Idempotency-Key": ""}), 400, "idempotency-key-missing")
    used = new_key()
    await caller.post("/v1/applications", json=make.application_json(), headers=used)
    problem(await correct(caller, application, 2, used), 422, "idempotency-key-reused")


async def test_a_key_that_changed_an_application_brings_no_other_one(caller: httpx.AsyncClient, stored: Any) -> None:
    application, key = await made(caller), new_key()
    assert (await correct(caller, application, 1, key)).status_code == 202
    before = await stored["applications"].count_documents({})
    for body in (make.application_json(), make.application_json(mode=CANARY)):
        answer = await caller.post("/v1/applications", json=body, headers=key)
        problem(answer, 422, "idempotency-key-reused")
    assert await stored["applications"].count_documents({}) == before
    assert (await correct(caller, application, 1, key)).headers["idempotency-replayed"] == "true"
    asked = {"tenant": "demo", "amendments.idempotency": key["Idempotency-Key"]}
    assert "COLLSCAN" not in str(await stored["applications"].find(asked).explain())


async def test_of_two_corrections_at_once_one_is_stale(caller: httpx.AsyncClient, stored: Any) -> None:
    application = await made(caller)
    answers = await asyncio.gather(*(correct(caller, application, 1, notes=str(n)) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] + [412] * 7
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 2


async def test_the_same_key_at_once_is_one_change(caller: httpx.AsyncClient, stored: Any) -> None:
    application, key = await made(caller), new_key()
    path = f"/v1/applications/{application}/withdraw"
    answers = await asyncio.gather(*(post(caller, path, {"reason": "x"}, key) for _ in range(8)))
    assert {(answer.status_code, answer.json()["revision"]) for answer in answers} == {(202, 2)}
    assert len((await stored["applications"].find_one({"_id": application}))["outbox"]) == 2


async def test_changes_at_once_get_one_revision_each(caller: httpx.AsyncClient, others: Others, stored: Any) -> None:
    application, place = await at_a_lender(others, caller, Status.INFO_REQUIRED)
    path = f"/v1/applications/{application}/opportunities"
    body = {"partners": ["forward-financing"]}
    there = await post(caller, path, body)
    problem(there, 409, "already-there")
    paths = [f"/v1/applications/{application}/withdraw", f"/v1/opportunities/{place}/withdraw"] * 5
    answers = await asyncio.gather(*(post(caller, each, {"reason": "x"}) for each in paths))
    good = [answer.json()["revision"] for answer in answers if answer.status_code == 202]
    assert len(good) <= 1
    assert {answer.json().get("code") for answer in answers if answer.status_code != 202} <= {
        "already-withdrawn",
        "not-possible-at-partner",
    }


async def test_every_fault_of_a_body_at_once_and_nothing_stored(caller: httpx.AsyncClient, stored: Any) -> None:
    application = await made(caller)
    told = problem(await correct(caller, application, 1, surprise=CANARY, mode="live"), 422, "mode-crossing")
    assert {error["pointer"] for error in told["errors"]} >= {"/surprise", "/mode"}
    told = problem(await correct(caller, application, 1, consents=[]), 422, "invalid-amendment")
    assert [error["code"] for error in told["errors"]] == ["consent-missing"]
    base = f"/v1/applications/{application}"
    for path, body, pointers in (
        ("opportunities", {}, {"/partners"}),
        ("opportunities", {"partners": []}, {"/partners"}),
        ("opportunities", {"partners": [CANARY]}, {"/partners", "/partners/0"}),
        ("opportunities", {"partners": ["nobody"]}, {"/partners/0"}),
        ("withdraw", {}, {"/reason"}),
        ("withdraw", {"reason": ""}, {"/reason"}),
        ("withdraw", {"reason": 7, CANARY[:5]: 1}, {"/reason", "/Canar"}),
        ("withdraw", [CANARY], {""}),
    ):
        told = problem(await post(caller, f"{base}/{path}", body), 422, "invalid-amendment")
        assert {error["pointer"] for error in told["errors"]} == pointers, (path, body)
    broken = await caller.post(f"{base}/withdraw", content=b'{"reason": NaN}', headers=JSON | new_key())
    problem(broken, 400, "malformed-json")
    text = await caller.post(f"{base}/withdraw", content=b"{}", headers=new_key() | {"Content-Type": "text/plain"})
    problem(text, 415, "unsupported-media-type")
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 1


JSON = {"Content-Type": "application/json"}


async def test_unknown_foreign_and_erased_applications(
    gateway: Gateway, caller: httpx.AsyncClient, others: Others
) -> None:
    application, place = await at_a_lender(others, caller, Status.SUBMITTED)
    async with gateway.caller("other-upstream") as stranger:
        for path in (f"applications/{application}", f"opportunities/{place}"):
            problem(await post(stranger, f"/v1/{path}/withdraw", {"reason": "x"}), 404, "not-found")
        problem(await correct(stranger, application, 1, targetPartners="all", consents=[]), 404, "not-found")
    for strange in (str(uuid.uuid4()), CANARY, application.upper()):
        problem(await post(caller, f"/v1/applications/{strange}/withdraw", {"reason": "x"}), 404, "not-found")
        problem(await post(caller, f"/v1/opportunities/{strange}/accept", {"offerId": "x"}), 404, "not-found")
    async with gateway.caller("demo-reader") as reader:
        problem(await post(reader, f"/v1/applications/{application}/withdraw", {"reason": "x"}), 403, "forbidden")
        problem(await post(reader, f"/v1/opportunities/{place}/accept", {"offerId": "x"}), 403, "forbidden")
        problem(await reader.get(f"/v1/opportunities/{place}/offers/base/link"), 403, "forbidden")
    await others.vault.erase(application)
    problem(await correct(caller, application, 1), 410, "erased")
    problem(await post(caller, f"/v1/opportunities/{place}/withdraw", {"reason": "x"}), 410, "erased")


async def test_withdrawing_twice_and_after_the_end(caller: httpx.AsyncClient, others: Others, stored: Any) -> None:
    application, place = await at_a_lender(others, caller, Status.OUTCOME_UNKNOWN)
    answer = await post(caller, f"/v1/opportunities/{place}/withdraw", {"reason": f"{CANARY} changed plans"})
    assert answer.json() == {"applicationId": application, "revision": 2}
    (event,) = await events(others, stored, application)
    assert isinstance(event.amendment, Withdrawn)
    assert (str(event.amendment.opportunity_id), event.stands) == (place, make.application())
    again = await post(caller, f"/v1/opportunities/{place}/withdraw", {"reason": "again"})
    problem(again, 409, "already-withdrawn")
    await others.say(update(application, uuid.UUID(place), 2, Status.WITHDRAWN))
    await support.eventually(lambda: _shows(caller, application, Status.WITHDRAWN))
    for path in (f"opportunities/{place}", f"applications/{application}"):
        problem(await post(caller, f"/v1/{path}/withdraw", {"reason": "again"}), 409, "already-ended")
    problem(await correct(caller, application, 2), 409, "already-ended")


async def test_a_partner_with_a_link_only(
    gateway: Gateway, caller: httpx.AsyncClient, others: Others, stored: Any
) -> None:
    offer = Offer(id="base", action_link=Sensitive(LINK))
    odd = Offer(id="up/front 50%", variant="a&b", action_link=Sensitive(f"{LINK}/odd"))
    application, place = await at_a_lender(others, caller, Status.APPROVED, offers=(offer, odd))
    path = f"/v1/opportunities/{place}"
    told = problem(await post(caller, f"{path}/accept", {"offerId": "base"}), 409, "accept-by-link")
    assert f"{path}/offers/" in told["detail"]
    problem(await post(caller, f"{path}/accept", {"offerId": "none"}), 409, "unknown-offer")
    problem(await caller.get(f"{path}/offers/none/link"), 404, "unknown-offer")
    link = await caller.get(f"{path}/offers/base/link")
    assert (link.json(), link.headers["cache-control"]) == ({"link": LINK}, "no-store")
    (shown,) = (await caller.get(f"/v1/applications/{application}")).json()["opportunities"]
    handed = [(await caller.get(each["linkPath"])).json() for each in shown["offers"]]
    assert handed == [{"link": LINK}, {"link": f"{LINK}/odd"}]
    document = await stored["applications"].find_one({"_id": application})
    noted = document["audit"][-1]
    assert (noted["what"], noted["who"]) == ("offer-link-given", "demo-upstream")
    assert LINK not in str(document)
    assert LINK not in gateway.log.read_text()
    answer = await post(caller, f"{path}/accept", {"offerId": "base", "reported": True})
    assert answer.status_code == 202
    (event,) = await events(others, stored, application)
    assert event.amendment.model_dump()["reported"] is True
    problem(await post(caller, f"{path}/accept", {"offerId": "base", "reported": True}), 409, "already-accepted")


async def test_what_validation_said_of_a_change_is_shown_and_decides_what_stands(
    caller: httpx.AsyncClient, others: Others, stored: Any
) -> None:
    application, _ = await at_a_lender(others, caller, Status.SUBMITTED)
    await correct(caller, application, 1, notes="refused content")
    await correct(caller, application, 2, notes="accepted content")
    refused = FieldProblem(pointer="/business", code="recent-duplicate", message="came before", phase="backend")
    rejected = ApplicationRejected(**about(application), revision=2, received_at=make.NOW, problems=(refused,))
    sound = ApplicationValidated(
        **about(application),
        revision=3,
        received_at=make.NOW,
        application=make.application(),
        amendment=Corrected(application=make.application(notes=CANARY)),
        eligible=(),
    )
    await others.say(sound, rejected)

    async def judged() -> Any:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
        return shown if [each["state"] for each in shown["amendments"]] == ["refused", "accepted"] else None

    shown = await support.eventually(judged)
    assert [each["code"] for each in shown["amendments"][0]["problems"]] == ["recent-duplicate"]
    assert (shown["status"], shown["revision"], shown["problems"]) == ("submitted", 3, [])
    fact = await stored["facts"].find_one({"application": application, "said.revision": 3})
    assert "application" not in fact["said"]["amendment"]
    await post(caller, f"/v1/applications/{application}/withdraw", {"reason": "x"})
    stands = (await events(others, stored, application))[-1].stands
    assert stands is None or stands.notes is not None


class Documents:
    """The documents service, as far as the gateway speaks with it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 201
        self.answer: dict[str, Any] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in lines}
            body = await self._body(reader, headers)
        except asyncio.IncompleteReadError:
            writer.close()
            return
        self.seen.append((first, headers, body))
        said = json.dumps(self.answer or {"document": _ref(body)}).encode()
        kind = b"application/json" if self.status == 201 else b"application/problem+json"
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (self.status, kind, len(said))
        )
        writer.write(said)
        await writer.drain()
        writer.close()

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"]))
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        return body


def _ref(body: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(body).hexdigest()
    return {"id": f"d-{sha256[:20]}", "kind": "bank-statement", "name": "bank-statement.pdf", "sha256": sha256,
            "contentType": "application/pdf", "size": len(body)}  # fmt: skip


@pytest.fixture
async def documents(gateway: Gateway) -> AsyncIterator[Documents]:
    documents = Documents()
    server = await asyncio.start_server(documents.serve, "127.0.0.1", gateway.owner_port)
    yield documents
    server.close()


async def upload(
    caller: httpx.AsyncClient, application: str, body: Any, key: dict[str, str] | None = None, **params: str
) -> httpx.Response:
    wanted = {"kind": "bank-statement", "name": f"{CANARY}.pdf"} | params
    path = f"/v1/applications/{application}/documents"
    return await caller.post(path, content=body, params=wanted, headers=key or new_key())


async def test_a_document_is_streamed_to_its_service_and_named_by_an_amendment(
    caller: httpx.AsyncClient, others: Others, stored: Any, documents: Documents
) -> None:
    application, key, content = await made(caller), new_key(), b"%PDF" + b"x" * 2_000_000
    answer = await upload(caller, application, content, key)
    assert answer.status_code == 202, answer.text
    ref = _ref(content)
    assert answer.json() == {"applicationId": application, "revision": 2, "document": ref}
    ((first, headers, body),) = documents.seen
    assert first.startswith(f"PUT /internal/applications/{application}/documents?kind=bank-statement&name=")
    assert (headers["x-key-id"], body == content) == (application, True)
    assert headers["authorization"].startswith("Bearer ")
    assert headers["authorization"] != caller.headers["authorization"]
    (event,) = await events(others, stored, application)
    assert isinstance(event.amendment, DocumentAdded)
    assert event.stands is not None
    assert event.stands.uploads[-1].id == ref["id"]
    again = await upload(caller, application, content, key)
    assert (again.json(), again.headers["idempotency-replayed"], len(documents.seen)) == (answer.json(), "true", 1)
    problem(await upload(caller, application, b"other", key), 422, "idempotency-key-reused")
    problem(await upload(caller, application, content, key, kind="invoice"), 422, "idempotency-key-reused")
    assert len(documents.seen) == 1
    second = await upload(caller, application, content)
    assert (second.json()["revision"], second.json()["document"]) == (3, ref)
    shown = (await caller.get(f"/v1/applications/{application}")).json()
    assert [each["document"] for each in shown["amendments"]] == [ref["id"]] * 2


async def test_what_the_documents_service_finds_is_told_and_nothing_is_stored(
    caller: httpx.AsyncClient, stored: Any, documents: Documents
) -> None:
    application = await made(caller)
    for status, code in ((413, "over-quota"), (415, "upload-type"), (422, "upload-empty"), (429, "too-many")):
        documents.status, documents.answer = status, {"code": code, "detail": "No."}
        problem(await upload(caller, application, b"x"), status, code)
    documents.status, documents.answer = 500, {"code": "internal-error", "detail": "No."}
    problem(await upload(caller, application, b"x"), 503, "unavailable")
    documents.status, documents.answer = 201, {"document": {"id": 7}}
    problem(await upload(caller, application, b"x"), 502, "bad-gateway")
    problem(await upload(caller, application, b"x", kind="nonsense"), 422, "invalid-request")
    problem(await upload(caller, application, b"x", opportunity=str(uuid.uuid4())), 404, "not-found")
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 1


async def test_too_large_a_document_is_not_passed_on(caller: httpx.AsyncClient, documents: Documents) -> None:
    application = await made(caller)

    async def parts() -> Any:
        for _ in range(27):
            yield b"x" * 1_000_000

    problem(await upload(caller, application, b"x" * 26_300_000), 413, "too-large")
    answer = await upload(caller, application, parts())
    problem(answer, 413, "too-large")
    assert documents.seen == []


async def test_a_document_that_is_cut_in_the_middle_is_nothing(
    gateway: Gateway, caller: httpx.AsyncClient, stored: Any, documents: Documents
) -> None:
    application = await made(caller)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = (
        f"POST /v1/applications/{application}/documents?kind=invoice HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {caller.headers['authorization']}\r\nIdempotency-Key: cut\r\nContent-Length: 100000\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 50_000)
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.close()
    await asyncio.sleep(0.5)
    assert documents.seen == []
    document = await stored["applications"].find_one({"_id": application})
    assert (document["revision"], document.get("amendments", [])) == (1, [])
    assert "a request failed" not in gateway.log.read_text()


async def test_the_documents_service_is_away(caller: httpx.AsyncClient) -> None:
    problem(await upload(caller, await made(caller), b"x"), 503, "unavailable")


async def test_adding_a_partner_names_it(caller: httpx.AsyncClient, others: Others, stored: Any) -> None:
    application = await made(caller, targetPartners=["forward-financing"])
    answer = await post(caller, f"/v1/applications/{application}/opportunities", {"partners": ["forward-financing"]})
    assert answer.status_code == 202
    (event,) = await events(others, stored, application)
    assert isinstance(event.amendment, PartnerAdded)
    assert event.stands is not None
    assert event.stands.target_partners == ("forward-financing",)


async def test_no_log_line_holds_what_callers_sent(gateway: Gateway) -> None:
    assert CANARY not in gateway.log.read_text()
