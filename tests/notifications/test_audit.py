"""Endpoints in the audit: who registered and deleted them, and that we gave one up."""

from __future__ import annotations

import asyncio
from typing import Any

from tests import support

from .conftest import answer, token, updated

URL = "http://127.0.0.1:9/hook"
OPERATOR = "endpoints:write operator"


async def chained(running: Any, count: int) -> list[dict[str, Any]]:
    """The entries, oldest first, as soon as the worker has linked as many."""

    async def look() -> Any:
        items = (await running.http.get("/v1/audit", headers=token(OPERATOR))).json()["items"]
        return len(items) >= count and items

    found: list[dict[str, Any]] = await support.eventually(look)
    await support.linked("notifications", running.service.database)
    return found[::-1]


async def test_registering_and_deleting_once_each(start: Any) -> None:
    running = await start()
    await running.work()
    replies = await asyncio.gather(
        *(running.register({"url": URL, "description": "Fakely"}, key="k") for _ in range(4))
    )
    made = replies[0].json()["id"]
    headers = token() | {"X-Request-Id": "r-2"}
    deleted = [running.http.delete(f"/v1/endpoints/{made}", headers=headers) for _ in range(4)]
    assert {reply.status_code for reply in await asyncio.gather(*deleted)} == {204}
    registered, removed = await chained(running, 2)
    assert [(each["what"], each["who"], each["of"]) for each in (registered, removed)] == [
        (what, "demo-upstream", f"endpoints/{made}") for what in ("endpoint-registered", "endpoint-deleted")
    ]
    assert (registered["about"], removed["requestId"]) == ({"channel": "webhook"}, "r-2")
    assert "before" not in registered
    assert registered["after"] == removed["before"] != removed["after"]
    links = await running.service.database["audit"].find({}).to_list()
    assert not any(text in repr(links) for text in ("Fakely", "127.0.0.1", replies[0].json()["secret"]))
    assert (await running.http.get("/v1/audit", headers=token())).status_code == 403
    foreign = await running.http.get("/v1/audit", headers=token(OPERATOR, tenant="other"))
    assert foreign.json() == {"items": []}


async def test_an_endpoint_that_is_gone_is_an_entry_of_ours(start: Any, listen: Any) -> None:
    running = await start()
    listener = await listen(lambda _: answer(410))
    await running.register({"url": listener.url})
    await running.work()
    await running.publish(updated())
    entries = await chained(running, 2)
    assert [(each["what"], each["who"]) for each in entries] == [
        ("endpoint-registered", "demo-upstream"),
        ("endpoint-disabled", "service:notifications"),
    ]
