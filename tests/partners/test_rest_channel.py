"""What the channel says when a connection goes wrong, on real sockets. The server's own record is the judge."""

import asyncio
import datetime as dt
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import httpx
import pytest
from pydantic import SecretStr

from lendrail.local.servers.ports import free_port
from lendrail.partners.channels.auth import ApiKey, MemoryTokens, OAuth
from lendrail.partners.channels.rest import PlainHttpRefused, RestChannel, lane_client
from lendrail.partners.exchange import NoAnswer, NotSent, Reply, Request

KEY = ApiKey("api_key", SecretStr("not-a-real-key"))
POST = Request(operation="create", method="POST", path="/lead", content=b'{"lead":1}')
OK = b"HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\n" + b'{"id":"x"}'


FLOOD = b"HTTP/1.1 201 Created\r\ncontent-length: 9999999\r\n\r\n" + b"x" * 1_100_000


class Server:
    """Reads whole requests, records them, and lets `answer` do as it likes with the connection."""

    def __init__(self, answer: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]) -> None:
        self.answer, self.connections = answer, 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                request = head + await reader.readexactly(length)
                self.requests.append(request)
                await self.answer(writer, request)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    answer: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]],
) -> AsyncIterator[tuple[Server, str]]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        listener.close()


async def send(url: str, **more: object) -> Reply | NotSent | NoAnswer:
    async with lane_client() as client:
        return await RestChannel(client, url, "test", KEY).send(POST, 0.8, **more)  # type: ignore[arg-type]


def says(content: bytes, close: bool = False) -> Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(content)
        if close:
            await writer.drain()
            writer.close()

    return answer


async def never(writer: asyncio.StreamWriter, _: bytes) -> None:
    await asyncio.sleep(30)


async def reset(writer: asyncio.StreamWriter, _: bytes) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A listener that accepts nobody any more: the kernel drops further handshakes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


async def test_reply_comes_back_whole_and_the_request_is_byte_identical() -> None:
    async with serving(says(OK.replace(b"\r\n\r\n", b"\r\ndate: not changed\r\n\r\n"))) as (server, url):
        first, second = await send(url), await send(url)
    assert first == second == Reply(201, {"content-length": "10", "date": "not changed"}, b'{"id":"x"}')
    assert server.requests[0] == server.requests[1]
    assert b"api_key: not-a-real-key\r\n" in server.requests[0]
    assert b"accept-encoding: identity" in server.requests[0].lower()


async def test_a_reply_without_a_date_gets_ours() -> None:
    async with serving(says(OK)) as (_, url):
        reply = await send(url)
    assert isinstance(reply, Reply)
    told = parsedate_to_datetime(reply.headers["date"])
    assert abs(dt.datetime.now(dt.UTC) - told) < dt.timedelta(seconds=5)


async def test_cookies_are_not_kept() -> None:
    cookie = OK.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b; path=/\r\n\r\n")
    async with serving(says(cookie)) as (server, url), lane_client() as client:
        channel = RestChannel(client, url, "test", KEY)
        await channel.send(POST, 2)
        await channel.send(POST, 2)
    assert server.requests[0] == server.requests[1]
    assert b"cookie" not in server.requests[1].lower()


async def test_refused_connection_is_not_sent() -> None:
    assert await send(f"http://127.0.0.1:{free_port()}") == NotSent("refused")


async def test_unknown_host_is_not_sent() -> None:
    assert await send("http://no-such-host.invalid") == NotSent("no-such-host")


async def test_connect_timeout_is_not_sent(full_backlog: int) -> None:
    assert await send(f"http://127.0.0.1:{full_backlog}") == NotSent("connect-timeout")


async def test_failed_tls_handshake_is_not_sent() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 This is not TLS\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    assert await send(f"https://127.0.0.1:{port}") == NotSent("tls")
    listener.close()


async def test_silent_tls_handshake_is_not_sent() -> None:
    async with serving(says(OK)) as (server, url):
        assert await send(url.replace("http:", "https:")) == NotSent("connect-timeout")
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(says(b"", close=True), "cut", id="closed without a word"),
        pytest.param(reset, "cut", id="reset"),
        pytest.param(says(b"HTTP/1.1 20", close=True), "cut", id="half a status line"),
        pytest.param(says(b"HTTP/1.1 201 Created\r\ncontent-le", close=True), "cut", id="half the headers"),
        pytest.param(says(OK[:-3], close=True), "cut", id="half the body"),
        pytest.param(
            says(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}", close=True),
            "cut",
            id="half a chunk",
        ),
        pytest.param(says(b"SSH-2.0-OpenSSH\r\n", close=True), "cut", id="not HTTP"),
        pytest.param(never, "deadline", id="silence"),
        pytest.param(says(OK[:-1]), "deadline", id="last byte never comes"),
        pytest.param(says(FLOOD), "too-large", id="flood"),
    ],
)
async def test_no_answer_means_the_request_was_received(
    answer: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]], reason: str
) -> None:
    async with serving(answer) as (server, url):
        assert await send(url) == NoAnswer(reason)  # type: ignore[arg-type]
    assert len(server.requests) == 1, "received once and never repeated"


async def test_a_defect_on_the_way_back_is_no_answer() -> None:
    """Were it an error, or *not sent*, the same bytes might go twice."""

    async def defect(_: httpx.Response) -> None:
        raise ValueError("fake")

    async with serving(says(OK)) as (server, url), lane_client() as client:
        client.event_hooks = {"response": [defect]}
        assert await RestChannel(client, url, "test", KEY).send(POST, 5) == NoAnswer("failed")
    assert len(server.requests) == 1


async def test_deadline_is_total_and_not_per_read() -> None:
    async def drip(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(b"HTTP/1.1 201 C\r\ncontent-length: 1000\r\n\r\n")
        for _byte in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(drip) as (_, url), lane_client() as client, asyncio.timeout(2):
        assert await RestChannel(client, url, "test", KEY).send(POST, 0.3) == NoAnswer("deadline")


async def test_connection_is_reused_and_a_closed_one_is_not_written_to() -> None:
    async with serving(says(OK)) as (server, url), lane_client() as client:
        channel = RestChannel(client, url, "test", KEY)
        assert [await channel.send(POST, 2) for _ in range(3)] == [await channel.send(POST, 2)] * 3
        assert server.connections == 1
    async with serving(says(OK + b"", close=True)) as (server, url), lane_client() as client:
        channel = RestChannel(client, url, "test", KEY)
        for _ in range(3):
            assert isinstance(await channel.send(POST, 2), Reply)
            await asyncio.sleep(0.05)
        assert server.connections == 3
        assert len(server.requests) == 3


async def test_redirect_is_a_reply_and_is_not_followed() -> None:
    async with serving(says(b"HTTP/1.1 307 T\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")) as (server, url):
        reply = await send(url)
    assert isinstance(reply, Reply)
    assert reply.status == 307
    assert len(server.requests) == 1


async def test_guard_withholds_the_request_before_its_first_byte() -> None:
    async with serving(says(OK)) as (server, url), lane_client() as client:
        channel = RestChannel(client, url, "test", KEY)
        assert isinstance(await channel.send(POST, 2, guard=lambda: True), Reply)
        assert await channel.send(POST, 2, guard=lambda: False) == NotSent("withheld")
        assert isinstance(await channel.send(POST, 2), Reply), "the lane still works"
    assert len(server.requests) == 2


async def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with serving(says(OK)) as (_, url):
        assert isinstance(await send(url), Reply)


async def test_live_refuses_plain_http_before_anything_is_sent() -> None:
    async with lane_client() as client:
        with pytest.raises(PlainHttpRefused):
            RestChannel(client, "http://partner.example.test", "live", KEY)
        with pytest.raises(PlainHttpRefused):
            RestChannel(client, "https://partner.example.test", "live", oauth("http://token.example.test"))
        RestChannel(client, "https://partner.example.test", "live", oauth("https://token.example.test"))


# ---- OAuth 2.0 password grant


def oauth(url: str, clock: Callable[[], float] = lambda: 0.0) -> OAuth:
    asks = {"grant_type": "password", "client_id": "partner-api", "username": "partner@example.test"}
    asks |= {"password": "not-a-real-secret", "scope": "openid email profile"}
    return OAuth(url, asks, MemoryTokens(), clock=clock)


class TokenPartner:
    """Gives token-1, token-2 … and takes only the newest."""

    def __init__(self) -> None:
        self.given = 0
        self.valid = "token-0"
        self.refuse = b""

    async def __call__(self, writer: asyncio.StreamWriter, request: bytes) -> None:
        if b"POST /token" not in request:
            known = f"authorization: bearer {self.valid}".encode() in request.lower()
            writer.write(OK if known else b"HTTP/1.1 401 U\r\ncontent-length: 0\r\n\r\n")
        elif self.refuse:
            writer.write(self.refuse)
        else:
            await asyncio.sleep(0.02)
            self.given += 1
            self.valid = f"token-{self.given}"
            body = f'{{"access_token":"{self.valid}","token_type":"bearer","expires_in":600}}'.encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def test_token_is_fetched_once_for_many_callers_and_renewed_before_it_expires() -> None:
    now = [0.0]
    partner = TokenPartner()
    async with serving(partner) as (_, url), httpx.AsyncClient(trust_env=False) as client:
        channel = RestChannel(client, url, "test", oauth(f"{url}/token", lambda: now[0]))
        replies = await asyncio.gather(*(channel.send(POST, 2) for _ in range(8)))
        assert {reply.status for reply in replies if isinstance(reply, Reply)} == {201}
        assert partner.given == 1
        now[0] = 539.0
        await channel.send(POST, 2)
        assert partner.given == 1
        now[0] = 540.0
        await channel.send(POST, 2)
        assert partner.given == 2


async def test_a_token_uses_the_callers_turn_and_the_request_waits_for_its_own() -> None:
    partner, turns = TokenPartner(), []

    async def pace() -> None:
        turns.append(partner.given)

    async with serving(partner) as (_, url), lane_client() as client:
        channel = RestChannel(client, url, "test", oauth(f"{url}/token"), pace=pace)
        for _ in range(2):
            assert isinstance(await channel.send(POST, 2), Reply)
    assert turns == [1], "one turn, after the token came; none for the second request, which fetched nothing"


async def test_401_renews_the_token_once_and_then_gives_up() -> None:
    partner, turns = TokenPartner(), []

    async def pace() -> None:
        turns.append(1)

    async with serving(partner) as (server, url), lane_client() as client:
        auth = oauth(f"{url}/token")
        await auth.store.set(SecretStr("revoked"), 9999.0)
        channel = RestChannel(client, url, "test", auth, pace=pace)
        reply = await channel.send(POST, 2)
        assert isinstance(reply, Reply)
        assert reply.status == 201
        assert (partner.given, len(turns)) == (1, 2), "one token call and one repeat, each with its turn"

        async def always_401(writer: asyncio.StreamWriter, request: bytes) -> None:
            await TokenPartner.__call__(partner, writer, request if b"/token" in request else b"nothing")

        server.answer = always_401
        reply = await channel.send(POST, 2)
        assert isinstance(reply, Reply)
        assert reply.status == 401
        assert partner.given == 2


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (b'HTTP/1.1 400 B\r\ncontent-length: 25\r\n\r\n{"error":"invalid_grant"}', "credential-refused"),
        (b"HTTP/1.1 401 U\r\ncontent-length: 0\r\n\r\n", "credential-refused"),
        (b"HTTP/1.1 429 T\r\ncontent-length: 0\r\n\r\n", "token-unavailable"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", "token-unavailable"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "token-unavailable"),
    ],
)
async def test_without_a_token_nothing_is_sent(refusal: bytes, reason: str) -> None:
    partner = TokenPartner()
    partner.refuse = refusal
    async with serving(partner) as (server, url), lane_client() as client:
        if refusal.endswith(b"content-le"):
            server.answer = says(refusal, close=True)
        assert await RestChannel(client, url, "test", oauth(f"{url}/token")).send(POST, 2) == NotSent(reason)  # type: ignore[arg-type]
    assert all(b"POST /token" in each for each in server.requests)


async def test_secrets_stay_out_of_logs_and_reprs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    partner = TokenPartner()
    async with serving(partner) as (_, url), lane_client() as client:
        auth = oauth(f"{url}/token")
        channel = RestChannel(client, url, "test", auth)
        request = Request(
            operation="document", method="POST", path="/a", query=(("filename", "canary-name"),), content=b"canary-body"
        )
        reply = await channel.send(request, 2)
        shown = caplog.text + repr((auth, KEY, request, reply, await auth.store.get(), channel))
    for secret in ("not-a-real", "token-1", "canary", "partner@example.test"):
        assert secret not in shown


def test_request_survives_storage() -> None:
    query = (("a", "b"), ("a", "ü"))
    request = Request(operation="x", method="PUT", path="/a%2Fb", query=query, content=bytes(range(256)))
    assert Request.load(request.dump()) == request


def test_tls_is_verified_by_default() -> None:
    context = lane_client()._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode == ssl.CERT_REQUIRED
