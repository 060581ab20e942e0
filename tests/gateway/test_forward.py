"""Forwarding over a real socket: what goes through, what does not, and an owner that is away or answers nonsense."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.gateway.process import Gateway


class Owner:
    """A bare HTTP server at the address where the gateway looks for its neighbours."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        self.delay = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = [line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
        self.seen.append((head, await reader.readexactly(int(length[0])) if length else b""))
        await asyncio.sleep(self.delay)
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def owner(gateway: Gateway) -> AsyncIterator[Owner]:
    owner = Owner()
    server = await asyncio.start_server(owner.serve, "127.0.0.1", gateway.owner_port)
    yield owner
    server.close()


async def test_the_callers_own_token_ids_and_body_go_through(caller: httpx.AsyncClient, owner: Owner) -> None:
    answer = await caller.post(
        "/v1/applications/preflight?x=1",
        json={"a": 1},
        headers={
            "X-Request-Id": "r-1",
            "X-Correlation-Id": "c-1",
            "Cookie": "secret=1",
            "X-Forwarded-For": "192.0.2.1",
        },
    )
    assert (answer.status_code, answer.json()) == (200, {})
    ((head, body),) = owner.seen
    lines = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in head.split("\r\n")[1:]}
    assert head.startswith("POST /v1/applications/preflight?x=1 HTTP/1.1")
    assert lines["authorization"] == caller.headers["authorization"]
    assert (lines["x-request-id"], lines["x-correlation-id"], json.loads(body)) == ("r-1", "c-1", {"a": 1})
    assert "cookie" not in lines
    assert "x-forwarded-for" not in lines


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/schemas/forward-financing"),
        ("GET", "/v1/opportunities/7"),
        ("POST", "/v1/opportunities/7/resend"),
        ("GET", "/v1/attempts"),
        ("POST", "/v1/attempts/7/resolve"),
        ("POST", "/v1/attempts/7/inquiries/status-request"),
        ("GET", "/v1/partners"),
        ("GET", "/v1/partners/demo-ff/known?pageToken=7"),
        ("POST", "/v1/partners/forward-financing/pause"),
        ("POST", "/v1/partners/forward-financing/resume"),
        ("POST", "/v1/partners/forward-financing/approve"),
        ("POST", "/v1/partners/forward-financing/revoke-approval"),
        ("DELETE", "/v1/endpoints/7"),
        ("GET", "/v1/deliveries?application=7"),
        ("GET", "/v1/orphans"),
        ("GET", "/v1/looks"),
        ("GET", "/v1/desk"),
        ("GET", "/v1/desk/words?allTenants=true"),
        ("POST", "/v1/desk/words"),
        ("GET", "/v1/desk/words/7?pageToken=7"),
        ("POST", "/v1/desk/words/7/take-back"),
        ("GET", "/v1/desk/orphans?proven=false"),
        ("POST", "/v1/desk/orphans/dismiss"),
        ("POST", "/v1/desk/orphans/7/merge"),
        ("POST", "/v1/desk/orphans/7/dismiss"),
        ("GET", "/v1/desk/disagreements"),
        ("GET", "/v1/desk/duplicates"),
        ("GET", "/v1/staleness"),
        ("POST", "/v1/imports?partner=finpace"),
        ("GET", "/v1/imports"),
        ("GET", "/v1/imports/7?only=problems"),
        ("GET", "/v1/amendments"),
        ("GET", "/v1/documents?application=7"),
        ("GET", "/v1/documents/7"),
        ("POST", "/v1/documents/7/links/revoke"),
    ],
)
async def test_the_table(caller: httpx.AsyncClient, owner: Owner, method: str, path: str) -> None:
    assert (await caller.request(method, path)).status_code == 200
    assert owner.seen[0][0].startswith(f"{method} {path} HTTP/1.1")


async def test_a_file_goes_through_piece_by_piece(gateway: Gateway, caller: httpx.AsyncClient) -> None:
    """Its owner has the first of it before the last has come here."""
    begun, got = asyncio.Event(), bytearray()

    async def owner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 3000000" in head.lower()
        got.extend(await reader.readexactly(100_000))
        begun.set()
        got.extend(await reader.readexactly(2_900_000))
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def content() -> AsyncIterator[bytes]:
        yield b"a" * 1_000_000
        await asyncio.wait_for(begun.wait(), 10)
        yield b"b" * 2_000_000

    server = await asyncio.start_server(owner, "127.0.0.1", gateway.owner_port)
    answer = await caller.post("/v1/imports", content=content(), headers={"Content-Length": "3000000"})
    assert (answer.status_code, bytes(got)) == (202, b"a" * 1_000_000 + b"b" * 2_000_000)
    server.close()


async def test_a_file_that_is_too_large_or_breaks_off_reaches_nobody_whole(gateway: Gateway, owner: Owner) -> None:
    for length, sent in ((256 * 1024 * 1024 + 1, b""), (1000, b"x" * 10)):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = f"POST /v1/imports HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        writer.write(head.encode() + sent)
        if sent:
            writer.close()
            await asyncio.sleep(0.5)
        else:
            assert (await reader.readline()).startswith(b"HTTP/1.1 413")
            writer.close()
    assert owner.seen == []


async def test_errors_and_redirects_come_back_as_they_are(caller: httpx.AsyncClient, owner: Owner) -> None:
    owner.answer = (
        b"HTTP/1.1 307 See\r\nlocation: http://127.0.0.1:1/elsewhere\r\nset-cookie: a=b\r\nserver: x\r\n"
        b"content-length: 0\r\n\r\n"
    )
    answer = await caller.get("/v1/opportunities/7")
    assert answer.status_code == 307
    assert "set-cookie" not in answer.headers
    assert "server" not in answer.headers
    owner.answer = b"HTTP/1.1 404 No\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}"
    answer = await caller.get("/v1/opportunities/7")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_documents_are_streamed_without_a_token_and_never_stored(gateway: Gateway, owner: Owner) -> None:
    content = b"x" * 3_000_000
    owner.answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\ncache-control: public\r\n"
        + f"content-length: {len(content)}\r\n\r\n".encode()
        + content
    )
    token = "SecretCanary900000020"
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as partner:
        answer = await partner.get(f"/d/{token}")
    assert answer.content == content
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert token not in gateway.log.read_text()


async def test_an_owner_that_is_away(caller: httpx.AsyncClient) -> None:
    answer = await caller.get("/v1/attempts")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]


async def test_an_owner_that_answers_nonsense(caller: httpx.AsyncClient, owner: Owner) -> None:
    owner.answer = b"nonsense\r\n\r\n"
    assert (await caller.get("/v1/attempts")).json()["code"] == "bad-gateway"


@pytest.mark.parametrize(
    "path", ["/v1/attempts/..%2f..%2flive", "/v1/attempts/%2e%2e/x", "/v1/endpoints//x", "/v1/deliveries/%0ax"]
)
async def test_paths_that_could_mean_something_else_go_nowhere(gateway: Gateway, owner: Owner, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 404")
    writer.close()
    assert owner.seen == []


async def test_openapi_describes_every_public_route(gateway: Gateway) -> None:
    from lendrail.gateway.forward import ROUTES

    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        told: dict[str, Any] = (await client.get("/openapi.json")).json()
    assert told["openapi"].startswith("3.1")
    described = {(method, path) for path, methods in told["paths"].items() for method in methods}
    forwarded = {(m.lower(), route.path) for route in ROUTES for m in route.methods}
    own = {
        ("post", "/v1/applications"),
        ("get", "/v1/applications"),
        ("get", "/v1/opportunities"),
        ("get", "/v1/applications/{id}"),
        ("put", "/v1/applications/{id}"),
        ("post", "/v1/applications/{id}/opportunities"),
        ("post", "/v1/applications/{id}/documents"),
        ("post", "/v1/applications/{id}/withdraw"),
        ("post", "/v1/applications/{id}/erase"),
        ("post", "/v1/opportunities/{id}/withdraw"),
        ("post", "/v1/opportunities/{id}/accept"),
        ("get", "/v1/opportunities/{id}/offers/{offerId}/link"),
        ("get", "/v1/audit"),
        ("get", "/v1/webhooks/rejected"),
        ("get", "/v1/keys/intake"),
        ("post", "/oauth/token"),
        ("get", "/.well-known/jwks.json"),
        ("get", "/.well-known/oauth-authorization-server"),
        ("post", "/webhooks/{partner}/{path}"),
        ("put", "/webhooks/{partner}/{path}"),
        ("post", "/webhooks/{partner}/{path}/{id}"),
        ("put", "/webhooks/{partner}/{path}/{id}"),
    }
    assert described == forwarded | own
    inquiry = told["paths"]["/v1/attempts/{id}/inquiries/{operation}"]["post"]
    assert [each["name"] for each in inquiry["parameters"]] == ["id", "operation"]
    assert not inquiry["requestBody"]["required"]
    schemas = told["components"]["schemas"]
    assert "requestedFinance" in schemas["Application"]["properties"]
    assert _unresolved(told, set(schemas)) == set()


def _unresolved(node: Any, schemas: set[str]) -> set[str]:
    if isinstance(node, dict):
        named = {node["$ref"].rpartition("/")[2]} - schemas if isinstance(node.get("$ref"), str) else set()
        return named.union(*(_unresolved(each, schemas) for each in node.values()))
    return set().union(*(_unresolved(each, schemas) for each in node)) if isinstance(node, list) else set()
