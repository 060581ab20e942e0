"""Our webhook address is registered once for each credential and address."""

import asyncio

import pytest
from tests import support
from tests.submission.desk import Desk

pytestmark = pytest.mark.asyncio
PUBLIC = {"public_url": "http://127.0.0.1:9"}


async def state(desk: Desk) -> str:
    found = await desk.store.collection.database["registrations"].find_one({})
    return found["state"] if found else ""


async def test_once_and_not_again_after_a_restart(desk: Desk) -> None:
    before = desk.sandbox.summary()["counts"]["registrations"]
    for _ in range(2):
        async with desk.lanes(**PUBLIC):
            await support.eventually(lambda: _is(desk, "registered"))
            await asyncio.sleep(0.3)
    registered = desk.sandbox.ledger()["registrations"]
    assert len(registered) == before + 1
    assert registered[-1]["url"] == f"http://127.0.0.1:9/webhooks/forward-financing/{support.WEBHOOK_PATH}"


async def _is(desk: Desk, wanted: str) -> bool:
    return await state(desk) == wanted


async def test_refused_for_now_is_tried_again_and_unknown_ones_end_with_a_person(desk: Desk) -> None:
    desk.sandbox.dial(kind="status", operation="webhook", status=429, retry_after=0, times=2)
    desk.sandbox.dial(kind="drop_reply", operation="webhook")
    before = desk.sandbox.summary()["counts"]["registrations"]
    async with desk.lanes(**PUBLIC):
        await support.eventually(lambda: _is(desk, "parked"))
    assert desk.sandbox.summary()["counts"]["registrations"] == before + 2
