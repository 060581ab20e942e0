"""A reply that leaves us not knowing is kept, sealed, and shown to operators as something that is there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.partners.test_rest_channel import OK, says, serving
from tests.submission.desk import Desk, credential

from lendrail.contracts.submit import Submit

pytestmark = pytest.mark.asyncio


async def kept(desk: Desk, event: Submit) -> bytes:
    """What the store has of the reply, opened."""
    document = await desk.store.collection.find_one({"_id": str(event.opportunity_id)})
    assert document is not None
    (sealed,) = document["replies"].values()
    assert b"<html" not in bytes(sealed)
    return (await desk.key(event)).open_bytes(bytes(sealed))


async def shown(http: httpx.AsyncClient, state: str) -> dict[str, Any]:
    (item,) = (await http.get("/v1/attempts", params={"state": state})).json()["items"]
    found: dict[str, Any] = item
    return found


async def test_an_acceptance_that_is_a_web_page(desk: Desk, http: httpx.AsyncClient) -> None:
    desk.sandbox.dial(kind="html", operation="lead", times=1)
    event = await desk.submit()
    async with desk.lanes(partner_processing_seconds="30"):
        await desk.until(event, "unknown")
    page = await kept(desk, event)
    assert b"<html" in page
    told = (await shown(http, "unknown"))["unreadableReply"]
    assert (told["status"], told["bytes"]) == (200, len(page))
    assert told["keptAt"]


async def test_a_clear_answer_is_not_kept(desk: Desk) -> None:
    event = await desk.submit()
    async with desk.lanes():
        found = await desk.until(event, "acked")
    document = await desk.store.collection.find_one({"_id": str(event.opportunity_id)})
    assert document is not None
    assert "replies" not in document
    assert found.attempts[0].unread is None


async def test_a_partner_that_gives_one_id_twice_alarms_a_person(desk: Desk, http: httpx.AsyncClient) -> None:
    """Nobody can tell which of the two it follows: the second is parked, with what the partner said."""
    async with serving(says(OK)) as (server, url):
        desk.credentials(credential(url))
        first = await desk.submit()
        async with desk.lanes():
            assert (await desk.until(first, "acked")).partner_id == "x"
            second = await desk.submit()
            await desk.until(second, "parked")
    (told,) = await desk.acks(second)
    assert (told.outcome, told.reason, told.partner_id) == ("parked", "partner-id-collision", None)
    assert await kept(desk, second) == b'{"id":"x"}'
    assert (await shown(http, "parked"))["reason"] == "partner-id-collision"
    assert len(server.requests) == 2, "and nothing is sent again"
