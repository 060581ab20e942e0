"""What is too much is refused at once and before it is read, and nobody's burst takes the place of others."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from structlog.testing import capture_logs

from lendrail.runtime import http
from lendrail.runtime.admission import LARGE, Crowded, Full, Gate, Turnstile
from lendrail.runtime.http import Problem, own_gate, reply, strict_body, unavailable
from lendrail.runtime.tokens import AUDIENCE, Verifier

MEGABYTE = 1024 * 1024
ISSUER = "http://127.0.0.1/test-issuer"
KEY = ECKey.generate_key("P-256")


def enter(gate: Gate, stack: ExitStack, party: str, body: int = 0) -> bool:
    with ExitStack() as trying:
        try:
            trying.enter_context(gate.enter(body)).belongs_to(party)
        except (Full, Crowded):
            return False
        stack.push(trying.pop_all())
    return True


def fill(gate: Gate, stack: ExitStack, party: str, body: int = 0) -> int:
    """As many as it gets."""
    count = 0
    while enter(gate, stack, party, body):
        count += 1
    return count


def test_one_alone_has_three_quarters_and_who_comes_new_finds_a_place() -> None:
    gate = Gate(200, 16 * MEGABYTE)
    with ExitStack() as stack:
        assert fill(gate, stack, "loud") == 150
        assert fill(gate, stack, "quiet") == 25
        assert all(enter(gate, stack, f"newcomer {n}") and not enter(gate, stack, f"newcomer {n}") for n in range(25))
        assert not enter(gate, stack, "one too many")
    assert gate.requests.used == gate.bodies.used == 0


def test_two_that_ask_for_all_have_the_same_in_the_end() -> None:
    gate = Gate(200, 16 * MEGABYTE)
    held: dict[str, list[ExitStack]] = {"one": [], "other": []}
    for _ in range(2000):
        for party, stacks in held.items():
            stack = ExitStack()
            if enter(gate, stack, party):
                stacks.append(stack)
            if len(stacks) > 1:
                stacks.pop(0).close()  # the oldest is answered
            stack = ExitStack()
            if enter(gate, stack, party):
                stacks.append(stack)
    counts = [len(stacks) for stacks in held.values()]
    assert max(counts) - min(counts) <= 4
    assert all(70 <= count <= 90 for count in counts), counts


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3 * MEGABYTE)), max_size=300))
def test_what_is_counted_is_what_is_under_way(steps: list[tuple[int, bool, int]]) -> None:
    """Whatever comes and goes: never more than there is, nobody above its share, and a place for who comes new."""
    gate = Gate(40, 8 * MEGABYTE)
    held: list[tuple[int, ExitStack]] = []
    for party, comes, body in steps:
        if comes:
            free, mine = 40 - gate.requests.used, sum(p == party for p, _ in held)
            stack = ExitStack()
            if enter(gate, stack, str(party), body):
                held.append((party, stack))
                assert mine == 0 or (mine + 1 <= 3 * free and gate.requests.used <= 35)
        elif held:
            held.pop(party % len(held))[1].close()
        assert gate.requests.used == len(held) <= 40
        assert 0 <= gate.bodies.used <= 8 * MEGABYTE
    with ExitStack() as last:
        assert enter(gate, last, "newcomer")
    for _, stack in held:
        stack.close()
    assert gate.requests.used == gate.bodies.used == 0
    assert not gate.requests._by
    assert not gate.bodies._by


def test_bytes_of_bodies_are_bounded_too_and_a_large_one_counts_for_a_megabyte() -> None:
    gate = Gate(200, 4 * MEGABYTE)
    with ExitStack() as stack:
        assert fill(gate, stack, "large", 100 * MEGABYTE) == 3
        assert gate.bodies.used == 3 * LARGE
        assert enter(gate, stack, "large")  # what brings no body waits for none
        assert enter(gate, stack, "other", 10_000)


def test_fewer_are_let_in_where_those_that_were_ran_into_their_time_limit() -> None:
    now = [0.0]
    gate = Gate(200, 16 * MEGABYTE, clock=lambda: now[0])
    for _ in range(150):  # all those that were let in together
        gate.slow()
    assert gate.requests.most == 100
    for _ in range(5):
        now[0] += 3
        gate.slow()
    assert gate.requests.most == 48
    with ExitStack() as stack:
        assert fill(gate, stack, "one") == 36
    for _ in range(200):
        gate.good()
    assert gate.requests.most == 68
    for _ in range(5000):
        gate.good()
    assert gate.requests.most == 200
    small = Gate(8, 16 * MEGABYTE)
    small.slow()
    assert small.requests.most == 8


async def test_refusals_come_a_few_at_a_time() -> None:
    """Else an accepted request would get its turn only after thousands of them."""
    turnstile, out = Turnstile(each=5, seconds=0.1, most=20), list[float]()

    async def refuse() -> None:
        await turnstile.turn()
        out.append(time.monotonic())

    begun = time.monotonic()
    crowd = [asyncio.create_task(refuse()) for _ in range(25)]
    await asyncio.sleep(0)
    assert len(out) == 5
    crowd[7].cancel()
    await refuse()  # nobody else finds a place to stand
    assert time.monotonic() - begun < 0.1
    await asyncio.gather(*crowd, return_exceptions=True)
    assert len(out) == 25
    assert out[-1] - begun >= 0.35
    await asyncio.sleep(0.3)
    assert not turnstile._ticking
    begun = time.monotonic()
    await asyncio.gather(*(refuse() for _ in range(5)))
    assert time.monotonic() - begun < 0.05


@dataclass
class Server:
    port: int
    gate: Gate
    partners: Gate
    read: list[int]
    """Bytes of each body that a route has read."""

    async def holds(self, requests: int, gate: Gate | None = None) -> None:
        """Until so many are under way."""
        async with asyncio.timeout(20):
            while (gate or self.gate).requests.used != requests:
                await asyncio.sleep(0.01)


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """With a parameter: how long a body may take to come."""

    async def keys() -> KeySet:
        return KeySet([KEY])

    app, found = FastAPI(), Server(0, Gate(8, 2 * MEGABYTE), Gate(4, 2 * MEGABYTE), [])
    app.state.verifier = Verifier(ISSUER, keys)
    http.install(app, 100_000, found.gate, body_seconds=getattr(request, "param", 60.0))
    own_gate(app, r"(/webhooks/[^/]+)(?:/[^/]*)?", found.partners)

    @app.get("/ready")
    async def ready() -> Response:
        return reply({"status": "ok"})

    @app.post("/things")
    @app.post("/webhooks/{path}")
    async def take(request: Request) -> Response:
        data = await strict_body(request)
        found.read.append(len(await request.body()))
        return reply(data, 202)

    @app.get("/fails")
    async def fails(how: str) -> Response:
        if how == "slow":
            raise unavailable(slow=True)
        raise Problem(409, "conflict", "No.") if how == "problem" else RuntimeError

    serving = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, lifespan="off", http="httptools", access_log=False)
    )
    task = asyncio.create_task(serving.serve())
    while not serving.started:
        await asyncio.sleep(0.01)
    found.port = serving.servers[0].sockets[0].getsockname()[1]
    yield found
    serving.should_exit = True
    await task


def token(tenant: str) -> str:
    times = {"nbf": int(time.time()), "exp": int(time.time()) + 600}
    who = {"iss": ISSUER, "aud": AUDIENCE, "tenant": tenant, "client_id": tenant, "mode": "test", "scope": ""}
    return str(jwt.encode({"alg": "ES256"}, who | times, KEY))


BODY = json.dumps({"name": "x" * 1000}).encode()


class Line:
    """One connection, which says as much of a request as it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def begin(self, path: str, tenant: str = "", method: str = "POST", length: int | None = len(BODY)) -> None:
        """The head alone."""
        bearer = f"Authorization: Bearer {token(tenant)}\r\n" if tenant else ""
        sized = "Transfer-Encoding: chunked\r\n" if length is None else f"Content-Length: {length}\r\n"
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{bearer}{sized}\r\n"
        self.writer.write(head.encode())
        await self.writer.drain()

    async def answer(self, seconds: float = 20) -> tuple[int, dict[str, str], Any]:
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, json.loads(body)

    async def silent(self) -> bool:
        """Whether it waits for the body: it was let in."""
        try:
            await asyncio.wait_for(self.reader.readexactly(1), 0.15)
        except TimeoutError:
            return True
        return False

    async def finish(self) -> tuple[int, dict[str, str], Any]:
        self.writer.write(BODY)
        return await self.answer()


class Lines:
    def __init__(self, server: Server) -> None:
        self._server, self._stack = server, AsyncExitStack()

    async def __aenter__(self) -> "Lines":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._stack.aclose()

    async def open(self) -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self._server.port))
        self._stack.callback(line.writer.close)
        return line

    async def asks(self, path: str, tenant: str = "", **how: Any) -> Line:
        line = await self.open()
        await line.begin(path, tenant, **how)
        return line


def refused(answer: tuple[int, dict[str, str], Any], status: int, code: str) -> None:
    said, headers, problem = answer
    assert (said, problem["code"], problem["status"]) == (status, code, status)
    assert headers["content-type"] == "application/problem+json"
    assert re.fullmatch("[1-4]", headers["retry-after"])
    assert problem["requestId"] == headers["x-request-id"]


async def test_a_tenant_has_its_share_and_others_have_room(server: Server) -> None:
    async with Lines(server) as lines:
        held = [await lines.asks("/things", "loud") for _ in range(6)]
        await server.holds(6)
        refused(await (await lines.asks("/things", "loud")).answer(), 429, "too-many-requests")
        quiet = await lines.asks("/things", "quiet")
        assert await quiet.silent()
        assert (await quiet.finish())[0] == 202
        assert server.read == [len(BODY)]
        assert [(await line.finish())[0] for line in held] == [202] * 6
    assert server.gate.requests.used == server.gate.bodies.used == 0


async def test_all_in_use_is_503_before_a_byte_of_the_body_and_health_is_never_refused(server: Server) -> None:
    async with Lines(server) as lines:
        held = [await lines.asks("/things", "one") for _ in range(6)]
        await server.holds(6)
        held += [await lines.asks("/things", "two"), await lines.asks("/things", "three")]
        await server.holds(8)
        refused(await (await lines.asks("/things", "four", length=90_000)).answer(), 503, "overloaded")
        refused(await (await lines.asks("/nowhere", method="GET", length=0)).answer(), 503, "overloaded")
        assert (await (await lines.asks("/ready", method="GET", length=0)).answer())[0] == 200
        assert (await (await lines.asks("/webhooks/a")).finish())[0] == 202
        assert [(await line.finish())[0] for line in held] == [202] * 8
        again = await lines.asks("/things", "four")
        assert (await again.finish())[0] == 202


async def test_what_was_let_in_goes_on_while_a_crowd_is_refused(server: Server) -> None:
    """Callers that come again at once, as fast as they can, get a bounded number of answers."""
    async with Lines(server) as lines:
        held = [await lines.asks("/things", "loud") for _ in range(6)]
        await server.holds(6)
        ended, answers = asyncio.Event(), 0
        bearer = f"Authorization: Bearer {token('loud')}"
        ask = f"GET /things HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Length: 0\r\n\r\n".encode()

        async def hasty(line: Line) -> None:
            nonlocal answers
            while not ended.is_set():
                line.writer.write(ask)
                assert (await line.answer())[0] == 429
                answers += 1

        begun = time.monotonic()
        crowd = [asyncio.create_task(hasty(await lines.open())) for _ in range(60)]
        for _ in range(20):
            assert (await (await lines.asks("/ready", method="GET", length=0)).answer())[0] == 200
            await server.holds(6)  # the answer to the one before is there a moment before its place is free
            assert (await (await lines.asks("/things", "quiet")).finish())[0] == 202
        ended.set()
        await asyncio.gather(*crowd)
        took = time.monotonic() - begun
        assert answers <= 20 * (took / 0.05 + 2)
        assert [(await line.finish())[0] for line in held] == [202] * 6


async def test_partners_have_a_gate_of_their_own_and_each_path_its_share(server: Server) -> None:
    async with Lines(server) as lines:
        held = [await lines.asks("/webhooks/loud") for _ in range(3)]
        await server.holds(3, server.partners)
        refused(await (await lines.asks("/webhooks/loud")).answer(), 503, "overloaded")
        assert (await (await lines.asks("/webhooks/quiet")).finish())[0] == 202
        assert (await (await lines.asks("/things", "one")).finish())[0] == 202
        assert [(await line.finish())[0] for line in held] == [202] * 3
    assert server.partners.requests.used == 0


async def test_a_body_without_its_length_counts_for_all_that_it_may_become(server: Server) -> None:
    async with Lines(server) as lines:
        line = await lines.asks("/things", "one", length=None)
        await server.holds(1)
        assert server.gate.bodies.used == 100_000
        line.writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert (await line.answer())[0] == 202
    assert server.gate.bodies.used == 0


@pytest.mark.parametrize("server", [1.0], indirect=True)
async def test_who_holds_a_place_and_sends_nothing_is_cut_off(server: Server) -> None:
    async with Lines(server) as lines:
        line = await lines.asks("/things", "one")
        line.writer.write(BODY[:10])
        status, headers, problem = await line.answer()
        assert (status, problem["code"], headers["connection"]) == (408, "body-too-slow", "close")
        assert await line.reader.read() == b""
    assert server.gate.requests.used == 0


async def test_the_place_is_free_again_however_it_ended(server: Server) -> None:
    async with Lines(server) as lines:
        for how, status in (("problem", 409), ("bug", 500)):
            asked = await lines.asks(f"/fails?how={how}", "one", method="GET", length=0)
            assert (await asked.answer())[0] == status
        gone = await lines.asks("/things", "one")
        await server.holds(1)
        with capture_logs() as told:
            gone.writer.close()
            await server.holds(0)
        assert not [line for line in told if line["log_level"] == "error"]  # it is no fault of ours
    assert server.gate.requests.used == server.gate.bodies.used == 0


async def test_a_time_limit_of_ours_is_told_to_the_gate_that_let_it_in(server: Server) -> None:
    server.gate.requests.most = server.gate._stated = 400
    async with Lines(server) as lines:
        asked = await lines.asks("/fails?how=slow", "one", method="GET", length=0)
        assert (await asked.answer())[0] == 503
        assert server.gate.requests.most == 200
        for _ in range(10):
            assert (await (await lines.asks("/things", "one")).finish())[0] == 202
        assert server.gate.requests.most == 201
        assert (await (await lines.asks("/fails?how=problem", "one", method="GET", length=0)).answer())[0] == 409
        assert (server.gate.requests.most, server.partners.requests.most) == (201, 4)


async def test_a_bad_token_is_one_of_those_of_whom_nothing_is_known(server: Server) -> None:
    async with Lines(server) as lines:
        for _ in range(6):
            line = await lines.open()
            line.writer.write(
                b"POST /things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bad\r\nContent-Type: application/json\r\n"
                b"Content-Length: 9\r\n\r\n"
            )
        await server.holds(6)
        refused(await (await lines.asks("/things")).answer(), 503, "overloaded")
        assert (await (await lines.asks("/things", "one")).finish())[0] == 202
