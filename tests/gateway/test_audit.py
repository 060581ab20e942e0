"""`GET /v1/audit`: the gateway's own entries and those of its neighbours, in one order and over all pages."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import make, support
from tests.gateway.process import OTHER, Gateway, new_key

from lendrail.runtime.audit_reads import Asked, merged, paged

BEGIN = dt.datetime(2026, 3, 2, 11, 0, tzinfo=dt.UTC)


def shown(minute: int, name: int = 0) -> dict[str, Any]:
    at = (BEGIN + dt.timedelta(minutes=minute)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"id": f"{name:032x}", "at": at}


ENTRIES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(ENTRIES, st.integers(1, 4))
def test_pages_of_several_services_show_each_entry_once_newest_first(places: list[tuple[int, int]], size: int) -> None:
    services: list[list[dict[str, Any]]] = [[], [], []]
    for name, (minute, service) in enumerate(places):
        services[service].append(shown(minute, name))
    newest_first = sorted((e for each in services for e in each), key=lambda e: (e["at"], e["id"]), reverse=True)
    seen: list[dict[str, Any]] = []
    token: str | None = None
    for _ in range(len(places) + 1):
        asked = Asked("demo", "test", size=size, token=token)
        page = merged([paged(behind(each, asked), asked) for each in services], asked)
        seen += page["items"]
        token = page.get("nextPageToken")
        if token is None:
            break
    assert seen == newest_first


def behind(entries: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """What a service finds, by the place that its token names."""
    entries = sorted(entries, key=lambda e: (e["at"], e["id"]), reverse=True)
    if asked.token is None:
        return entries
    older, same = asked.where()["$and"][-1]["$or"]
    at, last = older["entry.at"]["$lt"], same["entry.id"]["$lt"]
    return [e for e in entries if (dt.datetime.fromisoformat(e["at"]), e["id"]) < (at, last)]


class Neighbours:
    """Documents, submission and notifications at one address: each page holds what the test put there."""

    def __init__(self) -> None:
        self.pages: list[Any] = []
        self.asked: list[dict[str, list[str]]] = []
        self.tokens: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        target = head.split()[1]
        assert urlsplit(target).path == "/v1/audit"
        self.asked.append(parse_qs(urlsplit(target).query))
        self.tokens.add(next(line for line in head.split("\r\n") if line.lower().startswith("authorization:")))
        body = json.dumps(self.pages.pop(0) if self.pages else {"items": []}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}"
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def neighbours(gateway: Gateway) -> AsyncIterator[Neighbours]:
    neighbours = Neighbours()
    server = await asyncio.start_server(neighbours.serve, "127.0.0.1", gateway.owner_port)
    yield neighbours
    server.close()


async def sent(caller: httpx.AsyncClient, request: str = "r-1") -> str:
    headers = new_key() | {"X-Request-Id": request}
    answer = await caller.post("/v1/applications", json=make.application_json(), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["applicationId"])


async def entries(caller: httpx.AsyncClient, count: int = 1, **query: str) -> list[dict[str, Any]]:
    """The items of a page, as soon as there are as many."""

    async def look() -> Any:
        answer = await caller.get("/v1/audit", params=query)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["items"]) >= count and answer.json()["items"]

    found: list[dict[str, Any]] = await support.eventually(look)
    return found


async def test_a_received_application_has_an_entry(
    caller: httpx.AsyncClient, stored: Any, neighbours: Neighbours
) -> None:
    request = f"r-{uuid.uuid4().hex}"
    application = await sent(caller, request)
    (entry,) = await entries(caller, application=application)
    document = await stored["applications"].find_one({"_id": application})
    told = {"who": "demo-upstream", "what": "application-received", "requestId": request, "service": "gateway"}
    assert told.items() <= entry.items()
    assert entry["about"] == {"door": "rest", "revision": "1"}
    assert entry["after"] == document["audit"][0]["after"]
    assert len(neighbours.tokens) == 1
    assert neighbours.asked[0] == {"application": [application]}
    link = await stored["audit"].find_one({"entry.id": entry["id"]})
    assert (link["_id"], link["hash"]) == (entry["sequence"], entry["hash"])


async def test_filters_and_pages(caller: httpx.AsyncClient, neighbours: Neighbours) -> None:
    applications = [await sent(caller) for _ in range(3)]
    await entries(caller, application=applications[-1])
    begin = (await entries(caller, application=applications[0]))[0]["at"]
    query = {"since": begin, "who": "demo-upstream", "what": "application-received", "pageSize": "2"}
    first = (await caller.get("/v1/audit", params=query)).json()
    assert [each["applicationId"] for each in first["items"]] == applications[:0:-1]
    second = (await caller.get("/v1/audit", params=query | {"pageToken": first["nextPageToken"]})).json()
    assert [each["applicationId"] for each in second["items"]] == applications[:1]
    assert "nextPageToken" not in second
    assert neighbours.asked[-1]["pageToken"] == [first["nextPageToken"]]
    other = await caller.get("/v1/audit", params={"pageToken": first["nextPageToken"]})
    assert (other.status_code, other.json()["code"]) == (400, "page-token-invalid")
    for nobody in ({"who": "somebody-else"}, {"until": begin, "since": begin}, {"what": "nothing"}):
        assert (await caller.get("/v1/audit", params=nobody)).json() == {"items": []}
    for wrong in ({"since": "yesterday"}, {"since": "2026-03-02T11:00:00"}, {"pageSize": "0"}, {"pageSize": "201"}):
        assert (await caller.get("/v1/audit", params=wrong)).status_code == 422


async def test_neighbours_entries_stand_between_our_own(caller: httpx.AsyncClient, neighbours: Neighbours) -> None:
    application = await sent(caller)
    (own,) = await entries(caller, application=application)
    neighbours.pages = [{"items": [shown(10**6, 1)]}, {"items": [shown(-1, 2)]}]
    page = (await caller.get("/v1/audit", params={"application": application})).json()
    assert [each["id"] for each in page["items"]] == [f"{1:032x}", own["id"], f"{2:032x}"]


async def test_all_or_nothing(caller: httpx.AsyncClient) -> None:
    answer = await caller.get("/v1/audit")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_neighbours_nonsense(caller: httpx.AsyncClient, neighbours: Neighbours) -> None:
    neighbours.pages = [["no", "page"], {}]
    answer = await caller.get("/v1/audit")
    assert (answer.status_code, answer.json()["code"]) == (502, "bad-gateway")


async def test_only_operators_and_only_their_own(
    caller: httpx.AsyncClient, gateway: Gateway, neighbours: Neighbours
) -> None:
    application = await sent(caller)
    await entries(caller, application=application)
    async with gateway.caller("demo-reader") as reader, gateway.caller("other-upstream") as other:
        assert (await reader.get("/v1/audit")).status_code == 403
        items = (await other.get("/v1/audit")).json()["items"]
        assert {each["tenant"] for each in items} <= {OTHER}
        assert (await other.get("/v1/audit", params={"application": application})).json() == {"items": []}
