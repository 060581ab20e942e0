"""An erased person on a real MongoDB beside the real sandbox: nothing is left that tells of them, nothing is sent."""

import asyncio

import pytest
from tests import support
from tests.forgotten import traces
from tests.submission.desk import Desk

from lendrail.runtime.vault import Key
from lendrail.submission.attempts.attempt import State
from lendrail.submission.forget import Forgetter

pytestmark = pytest.mark.asyncio
SHEET = b"PK fake spreadsheet"


def forgetter(desk: Desk) -> Forgetter:
    database = desk.store.collection.database
    return Forgetter(desk.store.collection, database["clearances"])


async def left(desk: Desk, key: Key) -> list[str]:
    return await traces(desk.store.collection.database, key)


async def test_nothing_is_left_but_that_it_was(desk: Desk) -> None:
    event, other = await desk.submit(SHEET), await desk.submit(SHEET)
    key, others = await desk.key(event), await desk.key(other)
    async with desk.lanes():
        await desk.until(event, "acked", "acked")
        await desk.until(other, "acked", "acked")
        before = await desk.opportunity(event)
        assert await left(desk, key), "there is something to forget"
        kept = await left(desk, others)
        await desk.vault.erase(event.key_id)

        async def forgotten() -> bool:
            return await left(desk, key) == []

        await support.eventually(forgotten, 10)
        after = await desk.opportunity(event)
        assert (after.partner_id, after.inbox) == (before.partner_id, before.inbox)
        assert [(each.id, each.state) for each in after.attempts] == [(each.id, each.state) for each in before.attempts]
        assert await left(desk, others) == kept
    await forgetter(desk).forget([event.key_id])
    assert (await desk.opportunity(event)).attempts == after.attempts
    await desk.hear(other)
    ledger = await desk.ledger(event)
    assert (len(ledger["leads"]), len(ledger["attachments"])) == (1, 1)


async def test_what_was_planned_is_never_sent(desk: Desk) -> None:
    event = await desk.submit(SHEET)
    key = await desk.key(event)
    await desk.vault.erase(event.key_id)
    async with desk.lanes():
        opportunity = await desk.until(event, "cancelled", "cancelled")
        assert {each.reason for each in opportunity.attempts} == {"erased"}

        async def forgotten() -> bool:
            return await left(desk, key) == []

        await support.eventually(forgotten, 10)
    assert (await desk.ledger(event))["leads"] == []
    assert "due" not in await desk.store.load(str(event.opportunity_id))


async def test_an_answer_that_comes_after_the_erasure_is_dropped(desk: Desk) -> None:
    """The call is on its way while the key is deleted and the opportunity is forgotten."""
    desk.sandbox.dial(kind="delay", operation="lead", times=1, ms=800)
    event = await desk.submit(SHEET)
    key = await desk.key(event)
    async with desk.lanes(partner_deadline_seconds="3", lease_seconds="12"):
        await desk.until(event, "sending", "planned")
        await desk.vault.erase(event.key_id)
        await forgetter(desk).forget([event.key_id])
        opportunity = await desk.until(event, "cancelled", "cancelled")
        await asyncio.sleep(1.5)
        assert (await desk.opportunity(event)).attempts == opportunity.attempts
    create = opportunity.create
    assert create is not None
    assert (create.state, create.never_taken) == (State.CANCELLED, False), "the partner may have it"
    assert await left(desk, key) == []
    assert len((await desk.ledger(event))["leads"]) == 1


async def test_forgetting_loses_no_race(desk: Desk) -> None:
    """Somebody writes between its look and its write."""
    event = await desk.submit(SHEET)
    key = await desk.key(event)
    opportunity = await desk.opportunity(event)
    stale = forgetter(desk)
    emptied, calls = stale._emptied, 0

    async def raced(document: dict[str, object]) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            assert await desk.store.save(opportunity, key=key, due="now")
        return await emptied(document)

    stale._emptied = raced  # type: ignore[method-assign]
    await stale.forget([event.key_id])
    assert calls == 2
    assert await left(desk, key) == []
