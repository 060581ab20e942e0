"""An erased person on a real MongoDB: validation keeps that it judged, and nothing of whom. Others stay as they are."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import make, support
from tests.forgotten import traces
from tests.validation.amended import amended, corrected, document, withdrawn
from tests.validation.process import Process
from tests.validation.sound import sound
from tests.validation.test_amendments import Desk, delivery
from tests.validation.test_checks import CREDENTIAL, australian, credentials

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.topics import APPLICATION_RECEIVED, DEAD_LETTER_RETENTION_HOURS, TOPICS
from lendrail.runtime.forgetting import Forgetting
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key
from lendrail.validation import forget as forgetting_module
from lendrail.validation.app import build
from lendrail.validation.forget import LATEST_EVENT

WAITS, WAITS_TOO = "amendments.record.value", "checks.asked"


@pytest.fixture
async def desk(
    tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """The register is there by name only, so that what asks for it waits."""
    credentials(tmp_path, "http://127.0.0.1:1/")
    made = Desk(tmp_path, mongo, database_prefix, monkeypatch, abn_credential=CREDENTIAL)
    await made.service.vault.prepare()
    for part in (made.parts.reports, made.parts.relay, made.parts.checks, made.parts.early, made.parts.forgetter):
        await part.prepare()
    yield made
    await made.close()


def forgetting(desk: Desk, again_seconds: float = 0.0) -> Forgetting:
    """As the service itself does it, with what it registered."""
    service, _ = build(desk.settings, publisher=desk.heard)
    assert service._forget
    return Forgetting(desk.service.vault, desk.database["forgotten"], service._forget, again_seconds=again_seconds)


async def told(desk: Desk, number: str) -> ApplicationReceived:
    """An application of which there is everything: reports, a file, a correction, and an amendment that came early."""
    wish = make.application_json()["requestedFinance"] | {"amount": {"amount": _amount(number), "currency": "USD"}}
    application = sound(externalReferences=[_reference(number)], requestedFinance=wish)
    event = make.received(application=application)
    await desk.says(event)
    await desk.says(amended(event, 2, document()), amended(event, 3, corrected(application)))
    await desk.says(amended(event, 5, withdrawn()))
    return event


async def asked(desk: Desk, number: str) -> ApplicationReceived:
    """One that waits for the register."""
    event = make.received(application=australian(amount=_amount(number), externalReferences=[_reference(number)]))
    await desk.says(event)
    return event


def _amount(number: str) -> str:
    """Another one for each, so that none is the twin of another."""
    return str(40_000 + sum(number.encode()))


def _reference(number: str) -> dict[str, str]:
    return {"system": "demo-crm", "kind": "deal", "value": number}


async def marks(desk: Desk, application: str) -> list[str]:
    """The fingerprints and files that are stored of it."""
    about = {"application": application}
    stored = [each for name in ("reports", "checks") for each in await desk.database[name].find(about).to_list()]
    prints = [mark for each in stored for mark in each.get("fingerprints", ())]
    return prints + [file[name] for each in stored for file in each.get("files", ()) for name in ("id", "sha256")]


async def everything(desk: Desk, application: str) -> list[Document]:
    names = ("reports", "checks", "amendments")
    return [each for name in names for each in await desk.database[name].find({"application": application}).to_list()]


async def test_nothing_is_left_but_that_it_was_judged(desk: Desk) -> None:
    event, waits, other = await told(desk, "Zq8-1"), await asked(desk, "Zq8-2"), await told(desk, "Other-1")
    keys: list[Key] = [await desk.service.vault.get(each.key_id) for each in (event, waits)]
    words = ["Zq8", "Testa", *await marks(desk, event.key_id), *await marks(desk, waits.key_id)]
    assert len(words) > 6
    found = {place for key in keys for place in await traces(desk.database, key, words)}
    wanted = {"reports.outbox[].value", "reports.fingerprints[]", "reports.files[].id", "checks.fingerprints[]"}
    assert found >= wanted | {WAITS, WAITS_TOO, "checks.fact.value"}, "there is something to forget"
    words = [each for each in words if each not in await marks(desk, other.key_id)]
    kept = await everything(desk, other.key_id)
    before = await everything(desk, event.key_id)
    for each in (event, waits):
        await desk.service.vault.erase(each.key_id)
    for _ in range(2):
        await forgetting(desk).turn()
        assert [place for key in keys for place in await traces(desk.database, key, words)] == []
        assert await everything(desk, other.key_id) == kept
    left = await everything(desk, event.key_id)
    assert [(each["_id"], each["revision"], each["sound"]) for each in left] == [
        (each["_id"], each["revision"], each["sound"]) for each in before if "revision" in each
    ]
    assert {tuple(each["outbox"]) for each in left} == {()}
    assert await everything(desk, waits.key_id) == []


async def test_its_twin_is_none_any_more(desk: Desk) -> None:
    event = await told(desk, "Zq8-1")
    twin = make.received(application=event.application)
    assert not (await desk.database["reports"].find_one({"_id": await _heard(desk, twin)}) or {})["sound"]
    await desk.service.vault.erase(event.key_id)
    await forgetting(desk).turn()
    again = make.received(application=event.application)
    assert (await desk.database["reports"].find_one({"_id": await _heard(desk, again)}) or {})["sound"]


async def _heard(desk: Desk, event: ApplicationReceived) -> str:
    await desk.says(event)
    return event.id


async def test_late_events_and_due_work_of_the_erased(desk: Desk) -> None:
    """Whoever has the key in memory still works on; the second walk ends what came of it."""
    event, waits = await told(desk, "Zq8-1"), await asked(desk, "Zq8-2")
    keys = await desk.service.vault.find([event.key_id, waits.key_id])
    [check] = await desk.database["checks"].find({}).to_list()
    await desk.service.vault.erase(event.key_id)
    await desk.service.vault.erase(waits.key_id)
    await desk.parts.forgetter.forget([event.key_id, waits.key_id])
    heard = await desk.parts.handlers.on_application_received([delivery(event, keys), delivery(waits, keys)])
    assert list(heard) == [], "what was stated of it is not stated again"
    late = [delivery(amended(event, 4, withdrawn()), keys), delivery(amended(waits, 2, withdrawn()), keys)]
    await desk.parts.handlers.on_application_amended(late)
    async with desk.running():
        await support.eventually(desk.empty)
        await support.eventually(desk.nothing_waits)
    assert await desk.database["reports"].find_one({"_id": check["_id"]}) is None
    await forgetting(desk).turn()
    assert [place for key in keys.values() for place in await traces(desk.database, key, ["Zq8"])] == []


async def test_a_record_of_the_erased_is_dropped_where_it_arrives(desk: Desk) -> None:
    event = make.received(application=sound())
    key = (await desk.service.vault.create([event.key_id]))[event.key_id]
    record = make.record(event, key, "gateway")
    await desk.service.vault.erase(event.key_id)
    heard: Any = [
        SimpleNamespace(topic=record.topic, partition=0, offset=0, value=record.value, headers=record.headers)
    ]
    await desk.service.steps._consume(APPLICATION_RECEIVED, desk.parts.handlers.on_application_received, heard)
    assert await desk.database["reports"].count_documents({}) == 0
    assert desk.heard.records == []


async def test_killed_in_the_middle_it_goes_on(desk: Desk, tmp_path: Path, mongo: str, database_prefix: str) -> None:
    """After each of the writes; without Kafka, which erasures do not need."""
    event, waits = await told(desk, "Zq8-1"), await asked(desk, "Zq8-2")
    keys: list[Key] = [await desk.service.vault.get(each.key_id) for each in (event, waits)]
    environment = support.environment(tmp_path, mongo=mongo, prefix=database_prefix, instance="v-1", port="0")
    for each in (event, waits):
        await desk.service.vault.erase(each.key_id)
    validation = Process(tmp_path, environment)
    for window in ("store.amendments.after", "store.forgotten.before"):
        await validation.killed_at(window)
    assert await desk.database["forgotten"].count_documents({}) == 0, "so it begins again"

    async def done() -> bool:
        return await desk.database["forgotten"].count_documents({}) == 1

    async with validation.running():
        await support.eventually(done, 30)
    assert [place for key in keys for place in await traces(desk.database, key, ["Zq8", "Testa"])] == []


async def test_fingerprints_end_when_they_can_meet_no_twin(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = max(topic.retention_hours for topic in TOPICS) + DEAD_LETTER_RETENTION_HOURS
    assert dt.timedelta(hours=longest) < LATEST_EVENT
    reports = desk.database["reports"]
    now = dt.datetime.now(dt.UTC)
    old = desk.settings.duplicate_window + LATEST_EVENT + dt.timedelta(hours=1)
    aged = [{"_id": f"old-{n}", "receivedAt": now - old, "fingerprints": ["a"], "sound": True} for n in range(5)]
    await reports.insert_many([*aged, {"_id": "new", "receivedAt": now - old / 2, "fingerprints": ["a"]}])
    monkeypatch.setattr(forgetting_module, "AT_ONCE", 2)
    loop = asyncio.create_task(desk.parts.forgetter.run())

    async def one_left() -> bool:
        return await reports.count_documents({"fingerprints": {"$exists": True}}) == 1

    await support.eventually(one_left)
    loop.cancel()
    assert (await reports.find_one({"fingerprints": {"$exists": True}}) or {})["_id"] == "new"
    assert await reports.count_documents({"sound": True}) == 5
