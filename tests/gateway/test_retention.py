"""Applications whose time is over are erased by themselves, on a real MongoDB; nothing younger is touched."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from tests import make
from tests.forgotten import traces
from tests.gateway.listing import CALLER, Room, room, updated, validated
from tests.gateway.process import tenants
from tests.gateway.test_intake_amendments import amendment, record
from tests.support import eventually

from lendrail.contracts.terms import Mode, Reference, Status
from lendrail.gateway.amending.changes import Changes
from lendrail.gateway.amending.intake_amendments import read_change
from lendrail.gateway.erasing.erase import Eraser
from lendrail.gateway.erasing.forget import Forgetter
from lendrail.gateway.erasing.retention import BATCH, Retention
from lendrail.gateway.lists.asked import Asked
from lendrail.gateway.lists.search import Question
from lendrail.gateway.settings import Settings
from lendrail.runtime.directory import Tenants
from lendrail.runtime.failures import DefectMeter
from lendrail.runtime.forgetting import Forgetting
from lendrail.runtime.http import unavailable
from lendrail.runtime.outbox import waiting

FIRST = "first-lender"
OPEN = "a partner still works on what is erased"
DAYS: dict[Mode, int] = {"live": 765, "test": 90}


@pytest.fixture
async def lists(mongo: str, database_prefix: str) -> AsyncIterator[Room]:
    async with room(mongo, database_prefix) as made:
        yield made


async def keeper(made: Room, after: dt.timedelta, days: dict[Mode, int] = DAYS) -> Retention:
    """The loop as it is `after` the day on which everything was received."""
    eraser = Eraser(made.applications, made.vault)
    now = make.NOW + after
    retention = Retention(days, made.listed, made.indexer, made.applications, made.reader, eraser, lambda: now)
    for store in (made.vault, eraser, retention):
        await store.prepare()
    return retention


async def erased(made: Room) -> set[str]:
    page = await made.lists.applications(CALLER, Asked(Question(statuses=(Status.ERASED,)), 200))
    return {str(each.application_id) for each in page.items}


async def test_after_its_last_change(lists: Room) -> None:
    old, moved, live = await lists.receive(), await lists.receive(), await lists.receive(mode="live")
    await lists.hear(validated(moved, FIRST), updated(moved, FIRST, 50 * 86_400, Status.IN_REVIEW, partner_id="lead-7"))
    assert await (await keeper(lists, dt.timedelta(days=89))).turn() == 0
    assert await (await keeper(lists, dt.timedelta(days=91))).turn() == 1
    assert await erased(lists) == {old}
    assert await lists.vault.erased([old, moved, live]) == {old}
    document = await lists.applications.collection.find_one({"_id": old}) or {}
    (entry,) = document["audit"]
    assert (entry["who"], entry["what"], entry["about"]) == (
        "service:gateway",
        "application-erased",
        {"reason": "retention-ended"},
    )
    assert await (await keeper(lists, dt.timedelta(days=139))).turn() == 0
    with capture_logs() as said:
        assert await (await keeper(lists, dt.timedelta(days=141))).turn() == 1
    assert [each["application"] for each in said if each["event"] == OPEN] == [moved]
    assert await lists.vault.erased([old, moved, live]) == {old, moved}
    assert await (await keeper(lists, dt.timedelta(days=764))).turn() == 0
    assert await (await keeper(lists, dt.timedelta(days=766))).turn() == 1


async def test_what_was_said_meanwhile_counts(lists: Room) -> None:
    """The list may lag behind the facts: whoever stored one died before it listed it."""
    application = await lists.receive()
    await lists.hear(validated(application, FIRST))
    before = await lists.listed.of([application])
    await lists.hear(updated(application, FIRST, 80 * 86_400, Status.IN_REVIEW))
    await lists.listed.collection.replace_one({"_id": application}, before[application])
    assert await (await keeper(lists, dt.timedelta(days=100))).turn() == 0
    assert await lists.vault.erased([application]) == set()


async def test_more_than_one_batch_and_never(lists: Room) -> None:
    applications = {await lists.receive() for _ in range(BATCH + 7)}
    never: dict[Mode, int] = {"live": 0, "test": 0}
    assert await (await keeper(lists, dt.timedelta(days=9999), never)).turn() == 0
    assert await (await keeper(lists, dt.timedelta(days=91))).turn() == BATCH + 7
    assert await lists.vault.erased(applications) == applications
    assert await (await keeper(lists, dt.timedelta(days=92))).turn() == 0


async def test_those_that_are_over_are_found_by_an_index(lists: Room) -> None:
    await lists.receive()
    await lists.database.command("profile", 2)
    await (await keeper(lists, dt.timedelta(days=91))).turn()
    await lists.database.command("profile", 0)
    asked = {"op": "query", "command.find": "listed_applications", "command.filter.changed": {"$exists": True}}
    plans = await lists.database["system.profile"].find(asked).to_list()
    assert plans
    assert all(plan["planSummary"].startswith("IXSCAN") and plan["docsExamined"] <= 1 for plan in plans)


def test_defaults_cover_what_lenders_must_keep() -> None:
    """25 months are 762 days at most."""
    assert Settings.model_fields["retention_live_days"].default >= 762
    assert Settings.model_fields["retention_test_days"].default == 90


async def forgetter(made: Room) -> Forgetter:
    """Over the stores of this gateway."""
    kept = made.database["changes"], made.database["conflicts"]
    forgetter = Forgetter(made.applications, made.facts, *kept, made.indexer.refresh)
    await forgetter.prepare()
    return forgetter


async def test_forgetting_twice_is_forgetting_once_and_leaves_the_others(lists: Room) -> None:
    await lists.vault.prepare()
    reference = (Reference(system="crm", kind="deal", value="Canarywitz900000048"),)
    gone, stays = await lists.receive(references=reference), await lists.receive(references=reference)
    for each in (gone, stays):
        await lists.hear(validated(each, FIRST), updated(each, FIRST, 1, Status.APPROVED))
        told = {"revision": 2, "kind": "corrected", "at": make.NOW, "by": "demo-upstream", "idempotency": each}
        amended: Any = told | {"fingerprint": "x", "answer": "x"}
        record = make.record(validated(each, FIRST), await lists.vault.get(each), "application-validated")
        change = {"$set": waiting([record], "nobody"), "$push": {"amendments": amended}}
        await lists.applications.collection.update_one({"_id": each}, change)
    key = await lists.vault.get(gone)
    other = await lists.applications.collection.find_one({"_id": stays})
    await lists.vault.erase(gone)
    forgetting = Forgetting(lists.vault, lists.database["forgotten"], [(await forgetter(lists)).forget])
    await forgetting.turn()
    once = await lists.applications.collection.find_one({"_id": gone}) or {}
    assert await traces(lists.database, key) == []
    assert (once["outbox"], once["references"], once.get("pending")) == ([], [], None)
    (left,) = once["amendments"]
    assert left == told | {"idempotency": gone}
    assert len(once["opportunities"]) == 1
    await (await forgetter(lists)).forget([gone, "an application of nobody"])
    assert await lists.applications.collection.find_one({"_id": gone}) == once
    assert await lists.applications.collection.find_one({"_id": stays}) == other
    assert await lists.facts.collection.count_documents({"application": stays}) == 2


async def test_a_key_that_comes_back_with_a_backup_is_deleted_again(lists: Room) -> None:
    await lists.vault.prepare()
    eraser = Eraser(lists.applications, lists.vault)
    await eraser.prepare()
    applications = [await lists.receive() for _ in range(3)]
    keys = lists.database.client[lists.database.name.removesuffix("gateway") + "keys"]["data_keys"]
    backup = await keys.find({}).to_list()
    retention = await keeper(lists, dt.timedelta(days=91))
    await retention.turn()
    for document in backup[:2]:
        await keys.replace_one({"_id": document["_id"]}, document)

    async def gone() -> bool:
        await eraser.again()
        return await lists.vault.erased(applications) == set(applications)

    assert len(await lists.vault.erased(applications)) == 1
    documents = await lists.applications.heads(applications)
    assert {each.status for each in await lists.reader.views(documents)} == {Status.ERASED}
    await eventually(gone)
    assert await keys.count_documents({"wrapped": {"$exists": True}}) == 0


async def test_an_amendment_that_is_forgotten_while_it_is_made_stays_forgotten(lists: Room, tmp_path: Path) -> None:
    """Whoever made it was told to come back, and would have put it back among what is due."""
    application = await lists.receive()
    forget = (await forgetter(lists)).forget

    class Away:
        def tenant(self, name: str) -> Any:
            return tenant

        async def store(self, asked: Any) -> None:
            await forget([application])
            raise unavailable()

    tenant = Tenants.model_validate({"tenants": tenants(tmp_path)}).by_id["demo"]
    collection, here, defects = lists.database["changes"], cast(Any, Away()), DefectMeter()
    changes = Changes(collection, here, cast(Any, None), lists.vault, defects)
    await changes.prepare()
    value = amendment({"kind": "partner-added", "partners": ["x"]}, applicationId=application)
    first = record(value)
    assert await changes.keep([read_change(first, tenant, None, True)]) == []
    assert await changes.work(False) == 0
    (left,) = await collection.find({}).to_list()
    assert (left["result"], "due" in left, "value" in left) == ("erased", False, False)
    other = amendment({"kind": "partner-added", "partners": ["y"]}, applicationId=application)
    again = record(other)
    again.headers = first.headers
    assert await changes.keep([read_change(again, tenant, None, True)]) == [], "there is nothing to compare it with"
