"""Erasing an application on real Kafka and MongoDB: for good, once, and nothing that comes later stumbles over it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from tests import make, support
from tests.forgotten import traces
from tests.gateway.process import Gateway, new_key
from tests.gateway.test_amending import at_a_lender, correct, made, post, problem
from tests.gateway.test_audit import Neighbours, entries
from tests.gateway.test_audit import neighbours as neighbours
from tests.gateway.test_intake import SOURCE, body, headers
from tests.gateway.test_intake import producer as producer
from tests.gateway.test_intake_amendments import amendment, heads
from tests.gateway.test_reads import Others, update

from lendrail.contracts.intake import imported_application_id
from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.terms import Offer, Status

CANARY = "Canarywitz900000047"
ASKED = {"reason": "requested-by-person"}
TOPIC = "intake-demo-crm"


@pytest.fixture
async def others(gateway: Gateway, kafka: str) -> AsyncIterator[Others]:
    others = Others(gateway, kafka)
    yield others
    await others.client.close()


async def erase(
    caller: httpx.AsyncClient, application: str, key: dict[str, str] | None = None, **said: Any
) -> httpx.Response:
    return await post(caller, f"/v1/applications/{application}/erase", ASKED | said, key)


async def forgotten(stored: Any, application: str) -> None:
    """Waits until the gateway dropped what it kept."""

    keys = stored.client[f"{stored.name.removesuffix('gateway')}keys"]["data_keys"]
    at = (await keys.find_one({"_id": application}))["erased"]

    async def walked() -> bool:
        place = await stored["forgotten"].find_one({"_id": "at once"}) or {}
        return bool(place and (place["at"], place["key"]) >= (at, application))

    await support.eventually(walked)


async def ended(others: Others, caller: httpx.AsyncClient, **changes: Any) -> tuple[str, str]:
    """An application that was corrected, and that its lender declined."""
    said: dict[str, Any] = {"missing_info": SensitiveText(CANARY), "offers": (Offer(id="base", action_link=LINK),)}
    application, place = await at_a_lender(others, caller, Status.INFO_REQUIRED, partner_id="lead-7", **said)
    reference = {"system": "crm", "kind": "lead", "value": CANARY}
    answer = await correct(caller, application, 1, externalReferences=[reference], notes=CANARY, **changes)
    assert answer.status_code == 202, answer.text
    await others.say(update(application, uuid.UUID(place), 2, Status.DECLINED, partner_words=CANARY, **said))

    async def declined() -> Any:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
        return shown["status"] == "declined"

    await support.eventually(declined)
    return application, place


LINK = Sensitive(f"https://partner.example.test/{CANARY}")


async def test_nothing_but_its_existence_is_left(
    gateway: Gateway, caller: httpx.AsyncClient, others: Others, stored: Any, neighbours: Neighbours
) -> None:
    application, _ = await ended(others, caller)
    searched = {"reference": CANARY}
    assert (await caller.get("/v1/applications", params=searched)).json()["items"]
    key = await others.vault.get(application)
    before = (await caller.get(f"/v1/applications/{application}")).json()
    answer = await erase(caller, application)
    assert (answer.status_code, answer.json()) == (200, {"applicationId": application, "status": "erased"})
    shown = (await caller.get(f"/v1/applications/{application}")).json()
    assert (shown["status"], shown["opportunities"], shown["references"]) == ("erased", [], [])
    assert (shown["receivedAt"], shown["revision"]) == (before["receivedAt"], 2)
    (entry,) = shown["timeline"]
    assert (entry["event"], entry["status"]) == ("application-erased", "erased")
    await forgotten(stored, application)
    assert await traces(stored, key, [CANARY, "Fakely", "Testa"]) == []
    assert (await caller.get("/v1/applications", params=searched)).json()["items"] == []
    assert (await caller.get("/v1/opportunities", params={"application": application})).json()["items"] == []
    walk = (await caller.get("/v1/applications", params={"changedFrom": entry["time"]})).json()["items"]
    assert [(each["applicationId"], each["status"]) for each in walk] == [(application, "erased")]
    audited = await entries(caller, 1, application=application, what="application-erased")
    told = {"who": "demo-upstream", "about": {"reason": "requested-by-person", "evenIfOpen": "false"}}
    assert told.items() <= audited[0].items()
    assert len(await entries(caller, 3, application=application)) == 3
    assert CANARY not in gateway.log.read_text()


async def test_what_cannot_be_done_any_more_is_gone(caller: httpx.AsyncClient, others: Others, stored: Any) -> None:
    application, place = await ended(others, caller)
    assert (await erase(caller, application)).status_code == 200
    await forgotten(stored, application)
    problem(await correct(caller, application, 2), 410, "erased")
    problem(await correct(caller, application, 1), 410, "erased")
    problem(await post(caller, f"/v1/applications/{application}/withdraw", {"reason": "x"}), 410, "erased")
    added = {"partners": ["finpace"]}
    problem(await post(caller, f"/v1/applications/{application}/opportunities", added), 410, "erased")
    problem(await post(caller, f"/v1/opportunities/{place}/withdraw", {"reason": "x"}), 410, "erased")
    problem(await post(caller, f"/v1/opportunities/{place}/accept", {"offerId": "base"}), 410, "erased")
    problem(await caller.get(f"/v1/opportunities/{place}/offers/base/link"), 410, "erased")
    upload = f"/v1/applications/{application}/documents?kind=bank-statement"
    problem(await caller.post(upload, content=b"%PDF-1.4 fake", headers=new_key()), 410, "erased")


async def test_what_was_amended_under_a_key_is_gone_too(caller: httpx.AsyncClient, others: Others, stored: Any) -> None:
    application, key = await made(caller), new_key()
    assert (await correct(caller, application, 1, key)).status_code == 202
    assert (await erase(caller, application)).status_code == 200
    await forgotten(stored, application)
    problem(await correct(caller, application, 1, key), 410, "erased")
    body = make.application_json()
    problem(await caller.post("/v1/applications", json=body, headers=key), 422, "idempotency-key-reused")


async def test_twice_is_once(caller: httpx.AsyncClient, stored: Any) -> None:
    application, key = await made(caller), new_key()
    answers = await asyncio.gather(*(erase(caller, application, each) for each in (key, new_key(), new_key(), key)))
    assert {answer.status_code for answer in answers} == {200}
    again = await erase(caller, application, new_key(), reason="test-data", evenIfOpen=True)
    assert (again.status_code, again.json()) == (200, answers[0].json())
    document = await stored["applications"].find_one({"_id": application})
    assert [each["what"] for each in document["audit"]] == ["application-received", "application-erased"]
    assert "pending" not in document["erasing"]


async def test_a_key_stands_for_one_request(caller: httpx.AsyncClient) -> None:
    first, second, key = await made(caller), await made(caller), new_key()
    assert "idempotency-replayed" not in (await erase(caller, first, key)).headers
    assert (await erase(caller, first, key)).headers["idempotency-replayed"] == "true"
    problem(await erase(caller, first, key, reason="test-data"), 422, "idempotency-key-reused")
    problem(await erase(caller, second, key), 422, "idempotency-key-reused")
    used = new_key()
    assert (await caller.post("/v1/applications", json=make.application_json(), headers=used)).status_code == 202
    problem(await erase(caller, second, used), 422, "idempotency-key-reused")
    body = make.application_json()
    problem(await caller.post("/v1/applications", json=body, headers=key), 422, "idempotency-key-reused")


async def test_what_a_partner_works_on_is_erased_only_knowingly(caller: httpx.AsyncClient, others: Others) -> None:
    application, place = await at_a_lender(others, caller, Status.OUTCOME_UNKNOWN)
    told = problem(await erase(caller, application), 409, "still-open")
    (named,) = told["errors"]
    assert (named["partner"], named["message"]) == ("forward-financing", f"opportunity {place} is outcome-unknown")
    assert (await caller.get(f"/v1/applications/{application}")).json()["status"] == "outcome-unknown"
    assert (await erase(caller, application, evenIfOpen=True)).status_code == 200
    shown = (await caller.get(f"/v1/applications/{application}")).json()
    assert shown["status"] == "erased"


async def test_who_may_not_and_what_is_not(gateway: Gateway, caller: httpx.AsyncClient) -> None:
    application = await made(caller)
    async with gateway.caller("demo-reader") as reader, gateway.caller("other-upstream") as stranger:
        problem(await erase(reader, application), 403, "forbidden")
        problem(await erase(stranger, application), 404, "not-found")
    for strange in (str(uuid.uuid4()), CANARY, application.upper()):
        problem(await erase(caller, strange), 404, "not-found")
    for wrong in ({"reason": CANARY}, {"why": CANARY}, {"evenIfOpen": "yes"}, {"evenIfOpen": 1}):
        problem(await erase(caller, application, **wrong), 422, "invalid-erasure")
    path = f"/v1/applications/{application}/erase"
    problem(await post(caller, path, [CANARY]), 422, "invalid-erasure")
    problem(await caller.post(path, json=ASKED), 400, "idempotency-key-missing")
    assert (await caller.get(f"/v1/applications/{application}")).json()["status"] == "received"


async def test_records_of_the_intake_about_it_bring_nothing(
    gateway: Gateway, producer: AIOKafkaProducer, caller: httpx.AsyncClient, others: Others, stored: Any
) -> None:
    event, changed = str(uuid.uuid4()), str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    value = body(make.application_json(notes=CANARY), gateway.intake_key)
    other = body(make.application_json(notes="other"), gateway.intake_key)
    change = amendment({"kind": "partner-added", "partners": ["forward-financing"]}, intakeEvent=event)
    late = amendment({"kind": "partner-added", "partners": ["finpace"]}, intakeEvent=event)
    for content, heading in ((value, headers(event)), (other, headers(event)), (change, heads(changed))):
        await producer.send_and_wait(TOPIC, content, key=b"one", headers=heading)

    async def there() -> Any:
        document = await stored["applications"].find_one({"_id": application})
        parked = await stored["conflicts"].count_documents({"application": application})
        settled = await stored["changes"].count_documents({"application": application, "due": {"$exists": False}})
        return document and parked and settled

    await support.eventually(there, 30)
    key = await others.vault.get(application)
    assert (await erase(caller, application)).status_code == 200
    await forgotten(stored, application)
    again = [(value, headers(event)), (other, headers(event)), (change, heads(changed)), (late, heads(changed))]
    for content, heading in [*again, (late, heads())]:
        await producer.send_and_wait(TOPIC, content, key=b"one", headers=heading)
    marker = str(uuid.uuid4())
    await producer.send_and_wait(TOPIC, value, key=b"one", headers=headers(marker))
    behind = str(imported_application_id("demo", SOURCE, marker))
    await support.eventually(lambda: stored["applications"].find_one({"_id": behind}), 30)
    document = await stored["applications"].find_one({"_id": application})
    assert (document["outbox"], document["references"]) == ([], [])
    assert await stored["conflicts"].count_documents({"application": application}) == 0
    (left,) = await stored["changes"].find({"application": application}).to_list()
    assert (left["result"], "value" in left, "fingerprint" in left) == ("erased", False, False)
    assert await traces(stored, key) == []
    assert "a record about an erased application was dropped" in gateway.log.read_text()
    assert "our code failed" not in gateway.log.read_text()


async def test_news_of_an_erased_person_is_not_kept(
    gateway: Gateway, caller: httpx.AsyncClient, others: Others, stored: Any, kafka: str
) -> None:
    application, place = await ended(others, caller)
    key = await others.vault.get(application)
    assert (await erase(caller, application)).status_code == 200
    await forgotten(stored, application)
    late = update(application, uuid.UUID(place), 3, Status.APPROVED)
    record = make.record(late, key, late.topic)
    sound = await made(caller)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
    await others.say(*(update(sound, uuid.uuid4(), 1, Status.SUBMITTED) for _ in range(4)))

    async def heard() -> bool:
        return bool(await stored["facts"].count_documents({"application": sound}) == 4)

    await support.eventually(heard)
    assert await stored["facts"].count_documents({"application": application}) == 0
    assert (await caller.get(f"/v1/applications/{application}")).json()["status"] == "erased"
