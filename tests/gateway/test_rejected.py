"""Rejected calls are visible with their reason, to whom they concern, without a word of what they said."""

import asyncio
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs
from tests import support
from tests.gateway.process import ec_key

from lendrail.gateway import store
from lendrail.gateway.app import build
from lendrail.gateway.settings import Settings
from lendrail.gateway.webhooks import calls
from lendrail.gateway.webhooks import rejected as module
from lendrail.gateway.webhooks.rejected import KEPT_DAYS, REASONS, Rejected
from lendrail.gateway.webhooks.sources import address
from lendrail.partners import PARTNERS
from lendrail.partners.events import in_body
from lendrail.partners.exchange import Hint
from lendrail.partners.partner import Webhook
from lendrail.partners.signatures import Signature
from lendrail.runtime.directory import PartnerAccount, Tenant
from lendrail.runtime.service import Service

OPEN, SIGNER, LISTED = "forward-financing", "fake-signer", "optimum-finance"
PATH, OLD, EXPIRED, SIGNED = support.WEBHOOK_PATH, "o" * 40, "e" * 40, "s" * 40
NARROW, PUBLISHED = "n" * 40, "p" * 40
SECRET, CANARY = "fake-secret-0000000000", "Canarywitz900000018"
PROXY, CALLER = "127.0.0.1", "203.0.113.77"
NOW = dt.datetime(2030, 1, 2, 3, 4, tzinfo=dt.UTC)


def hint(body: bytes, path_id: str | None) -> Hint | None:
    return Hint("FAKE-1", "changed")


@pytest.fixture(autouse=True)
def _partners(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook(proof=Signature(header="X-Sign"), hint=hint, event_id=in_body("event"))
    monkeypatch.setitem(PARTNERS, SIGNER, replace(PARTNERS[OPEN], name=SIGNER, webhook=webhook))


def tenants(folder: Path) -> None:
    """Two tenants: ours with four accounts, and another one."""
    first = json.loads(support.tenants_file(folder).read_text())["tenants"][0]
    usual, soon = first["partners"][0], dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    former = [{"path": OLD, "until": soon.isoformat()}, {"path": EXPIRED, "until": "2020-01-01T00:00:00Z"}]
    narrow = {"credential": "narrow", "webhookPath": NARROW, "options": {"webhookSources": "203.0.113.0/24"}}
    first["partners"] = [
        usual | {"formerWebhookPaths": former},
        usual | {"partner": SIGNER, "credential": "signed", "webhookPath": SIGNED, "options": {}},
        usual | narrow,
        usual | {"credential": "published", "webhookPath": PUBLISHED, "options": {"webhookSources": "published"}},
    ]
    client = first["clients"][0]
    first["clients"] = [client, client | {"clientId": "platform", "scopes": ["operator", "platform"]}]
    first["clients"] += [client | {"clientId": "reader", "scopes": ["applications:read"]}]
    other = first | {"id": "other", "clients": [client | {"clientId": "other"}], "upstreams": [], "partners": []}
    support.tenants_file(folder, [first, other])


@pytest.fixture
async def built(
    mongo: str, database_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Service, FastAPI]]:
    """A gateway behind a proxy, without Kafka."""
    owners = ("validation", "documents", "submission", "status", "notifications")
    secrets = tmp_path / "webhook-secrets.json"
    secrets.write_text(json.dumps({"secrets": [{"credential": "signed", "secrets": [SECRET]}]}))
    told = support.environment(
        tmp_path,
        mongo=mongo,
        prefix=database_prefix,
        issuer="http://gateway.test",
        issuer_key_file=str(ec_key(tmp_path, "issuer.jwk")),
        webhook_secrets_file=str(secrets),
        trusted_proxies=PROXY,
        **{f"{owner}_url": "http://127.0.0.1:1" for owner in owners},
    )
    tenants(tmp_path)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    service, app = build(Settings())
    yield service, app
    for name in ("gateway", "keys"):
        await service.client.drop_database(database_prefix + name)
    await service.client.close()


@pytest.fixture
async def client(built: tuple[Service, FastAPI]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(built[1]), base_url="http://gateway.test") as made:
        yield made


def signed(body: bytes) -> dict[str, str]:
    return {"X-Sign": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


async def call(
    client: httpx.AsyncClient, path: str, partner: str = OPEN, body: bytes = CANARY.encode(), **headers: str
) -> int:
    headers = {"X-Forwarded-For": CALLER} | {name.replace("_", "-"): value for name, value in headers.items()}
    return (await client.post(f"/webhooks/{partner}/{path}", content=body, headers=headers)).status_code


async def shown(client: httpx.AsyncClient, who: str = "demo-upstream", **asked: Any) -> Any:
    answer = await client.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(who, support.CLIENT_SECRET)
    )
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return await client.get("/v1/webhooks/rejected", params=asked, headers=bearer)


async def lines(client: httpx.AsyncClient, who: str = "demo-upstream", **asked: Any) -> dict[tuple[str, str], Any]:
    answer = await shown(client, who, **asked)
    assert answer.status_code == 200, answer.text
    assert CANARY not in answer.text
    return {(each.get("credential", ""), each["reason"]): each for each in answer.json()["items"]}


async def test_every_reason_has_its_line(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        assert await call(client, PATH) == 200
        assert await call(client, OLD) == 200, "a former path, until its time is over"
        assert await call(client, EXPIRED) == 404
        assert [await call(client, guess) for guess in (PATH[:-1], "x", OLD + "x")] == [404] * 3
        assert await call(client, PATH, partner="nobody") == 404
        assert await call(client, NARROW, X_Forwarded_For="198.51.100.7") == 404
        assert await call(client, NARROW) == 200
        assert await call(client, PUBLISHED) == 404
        assert await call(client, PUBLISHED, X_Forwarded_For="18.213.237.69") == 200
        assert [await call(client, SIGNED, SIGNER) for _ in range(3)] == [401] * 3
        assert await call(client, f"{PATH}/a%0Ab") == 404
        assert await call(client, PATH, body=b" " * 70_000) == 413
        assert await call(client, PATH, body=b" " * 600_000) == 413, "not even let in"
    found = await lines(client)
    assert {name: each["calls"] for name, each in found.items()} == {
        ("demo-ff", "path-expired"): 1,
        ("", "unknown-path"): 4,
        ("narrow", "source-not-allowed"): 1,
        ("published", "source-not-allowed"): 1,
        ("signed", "unproven"): 3,
        ("demo-ff", "bad-path-id"): 1,
        ("demo-ff", "too-large"): 2,
    }
    assert {reason for _, reason in found} <= set(REASONS)
    refused = found["narrow", "source-not-allowed"]
    assert (refused["networks"], refused["partner"], refused["mode"]) == (["198.51.100.0/24"], OPEN, "test")
    assert refused["firstAt"] == refused["lastAt"]
    assert "networks" not in found["", "unknown-path"], "it may concern another tenant"
    assert CANARY not in repr(logs)
    assert CALLER not in repr(logs)


async def test_what_an_outage_turned_away_is_told_when_it_is_over(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a spool; and when the store only takes too long."""

    async def away(*_: Any) -> None:
        raise AutoReconnect("fake")

    async def slow(*_: Any) -> None:
        await asyncio.sleep(30)

    for fault in (away, slow):
        with monkeypatch.context() as broken:
            broken.setattr(store, "PATIENCE_SECONDS", 0.1)
            broken.setattr(calls.Keeper, "keep", fault)
            assert await call(client, PATH) == 503
    found = await lines(client)
    assert found["demo-ff", "unavailable"]["calls"] == 2


async def test_who_may_see_what(client: httpx.AsyncClient) -> None:
    await call(client, "x")
    await call(client, SIGNED, SIGNER)
    assert set(await lines(client, "other")) == {("", "unknown-path")}
    platform = await lines(client, "platform")
    assert platform["", "unknown-path"]["networks"] == ["203.0.113.0/24"]
    assert (await shown(client, "reader")).status_code == 403
    assert (await client.get("/v1/webhooks/rejected")).status_code == 401


async def test_filters_and_pages(client: httpx.AsyncClient) -> None:
    for path, partner in ((EXPIRED, OPEN), ("x", OPEN), (SIGNED, SIGNER), (PUBLISHED, OPEN)):
        await call(client, path, partner)
    assert set(await lines(client, partner=SIGNER)) == {("signed", "unproven")}
    assert set(await lines(client, reason="path-expired")) == {("demo-ff", "path-expired")}
    assert set(await lines(client, credential="published")) == {("published", "source-not-allowed")}
    hour = dt.datetime.now(dt.UTC)
    assert len(await lines(client, since=hour.isoformat())) == 4
    assert await lines(client, until=(hour - dt.timedelta(hours=2)).isoformat()) == {}
    whole = (await shown(client)).json()["items"]
    walked, token = [], None
    while token != "":
        page = (await shown(client, pageSize=1, **({"pageToken": token} if token else {}))).json()
        walked += page["items"]
        token = page.get("nextPageToken", "")
    assert walked == whole
    for wrong in ({"since": "yesterday"}, {"pageSize": 0}, {"partner": ""}, {"reason": "nonsense"}, {"patner": OPEN}):
        assert (await shown(client, **wrong)).status_code == 422, wrong
    assert (await shown(client, pageToken="nonsense")).json()["code"] == "page-token-invalid"


async def test_a_header_of_nobody_we_trust_says_nothing(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """The caller writes what it likes left of what our proxy writes."""
    assert await call(client, NARROW, X_Forwarded_For=f"{CALLER}, 198.51.100.7") == 404
    assert await call(client, NARROW, X_Forwarded_For="nonsense") == 404
    assert await call(client, NARROW, Forwarded=f"for={CALLER}", X_Forwarded_For="") == 404


async def test_the_same_event_is_one_call_whenever_it_comes(
    client: httpx.AsyncClient, built: tuple[Service, FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also hours later, when the window of exact repeats is long over; other words under the same id are kept too."""
    body, other = b'{"event": "evt_1"}', b'{"event": "evt_1", "more": 1}'
    for window in (300, 7, 11):
        monkeypatch.setattr(calls, "WINDOW_SECONDS", window)
        for content in (body, other):
            assert await call(client, SIGNED, SIGNER, content, **signed(content)) == 200
    kept = [json.loads(each["outbox"][0]["value"]) async for each in built[0].database["webhooks"].find()]
    assert [each["eventId"] for each in kept] == ["evt_1", "evt_1"]
    for window in (7, 300):
        monkeypatch.setattr(calls, "WINDOW_SECONDS", window)
        assert await call(client, PATH, OPEN, body) == 200
    kept = [json.loads(each["outbox"][0]["value"]) async for each in built[0].database["webhooks"].find()]
    assert len(kept) == 4, "what proves nothing is known by content and window"
    assert sum("eventId" in each for each in kept) == 2


ACCOUNT = PartnerAccount(partner=OPEN, credential="demo-ff", mode="test", webhook_path=PATH)
FOUND = (Tenant(id="demo", name="Demo", mode="test"), ACCOUNT)


@pytest.fixture
async def collection(mongo: str, database_prefix: str) -> AsyncIterator[Any]:
    connected: AsyncMongoClient[Any] = AsyncMongoClient(mongo, tz_aware=True)
    yield connected[f"{database_prefix}rejected"]["rejected_calls"]
    await connected.drop_database(f"{database_prefix}rejected")
    await connected.close()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


async def test_a_flood_costs_one_write_and_little_memory(collection: Any) -> None:
    rejected = Rejected(collection, Clock())
    for n in range(20_000):
        rejected.note("unknown-path", address(f"198.51.{n % 250}.{n % 99}"), None)
    assert len(rejected._lines) == 1
    await rejected.write()
    [line] = await rejected.lines({}, None, 10)
    assert (line["calls"], len(line["networks"]), line["more"]) == (20_000, 8, True)
    assert await collection.count_documents({}) == 1


async def test_counts_are_right_whatever_becomes_of_a_write(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write whose answer was lost, and one that never came: each call is counted once, also by two processes."""
    first, second = Rejected(collection, Clock()), Rejected(collection, Clock())
    first.note("unproven", address(CALLER), FOUND)
    really = type(collection).bulk_write

    async def lost(self: Any, *arguments: Any, **more: Any) -> Any:
        await really(self, *arguments, **more)
        raise AutoReconnect("fake")

    async def never(self: Any, *arguments: Any, **more: Any) -> Any:
        raise AutoReconnect("fake")

    for fault in (lost, never):
        with monkeypatch.context() as broken:
            broken.setattr(type(collection), "bulk_write", fault)
            with pytest.raises(AutoReconnect):
                await first.write()
            first.note("unproven", address(CALLER), FOUND)
    second.note("unproven", address("198.51.100.7"), FOUND)
    await asyncio.gather(first.write(), second.write())
    await first.write()
    [line] = await second.lines({}, None, 10)
    assert (line["calls"], line["networks"]) == (4, ["198.51.100.0/24", "203.0.113.0/24"])


async def test_hours_are_lines_of_their_own_and_old_ones_leave_memory(collection: Any) -> None:
    clock = Clock()
    rejected = Rejected(collection, clock)
    await rejected.prepare()
    for hours in range(3):
        clock.now = NOW + dt.timedelta(hours=hours)
        rejected.note("unproven", address(CALLER), FOUND)
        await rejected.write()
    assert len(rejected._lines) == 1
    found = await rejected.lines({"tenant": "demo"}, None, 10)
    assert [each["hour"].hour for each in found] == [5, 4, 3]
    index = (await collection.index_information())["hour_1"]
    assert index["expireAfterSeconds"] == KEPT_DAYS * 86_400


async def test_memory_is_bounded_while_the_store_is_away(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 5)
    clock = Clock()
    rejected = Rejected(collection, clock)
    for hours in range(9):
        clock.now = NOW + dt.timedelta(hours=hours)
        rejected.note("unproven", None, FOUND)
    assert len(rejected._lines) == 5
    assert min(rejected._lines).startswith("2030-01-02T07"), "the oldest went"
