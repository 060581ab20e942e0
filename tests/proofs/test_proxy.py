"""The proxy between us and the others, over loopback: what each toxic lets through, and what the book says of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from proofs.chaos import wire
from proofs.chaos.gates import MAIL_BYTES
from proofs.chaos.proxy import BYTES, HTTP, MAIL, Proxy
from proofs.chaos.remote import UUID, Gate, Remote
from proofs.chaos.toxics import Toxic

from lendrail.local.servers.ports import free_port

PARTNER = "finpace"
BODY = b'{"ok": true, "padding": "' + b"x" * 200 + b'"}'
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Partner:
    """Keeps what it was asked and answers it."""

    def __init__(self, answer: bytes = b"", wait: float = 0.0) -> None:
        self.asked: list[wire.Message] = []
        self._answer = answer or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
        self._wait = wait

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await wire.request(reader)) is not None:
            self.asked.append(request)
            await asyncio.sleep(self._wait)
            writer.write(self._answer)
            if b"Content-Length" not in self._answer and b"chunked" not in self._answer:
                break
        writer.close()


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Between:
    """A proxy in this loop, its notes, and a client of it."""

    def __init__(self, proxy: Proxy, port: int, notes: list[dict[str, Any]]) -> None:
        self.proxy, self.port, self.notes = proxy, port, notes
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=2)

    def on(self, kind: Any, target: str = PARTNER, **more: Any) -> str:
        return self.proxy.toxics.on(Toxic(target=target, kind=kind, **more))

    async def get(self, path: str = f"/{PARTNER}/v1/thing") -> httpx.Response:
        return await self.client.get(path)

    @property
    def outcomes(self) -> list[str]:
        return [note["outcome"] for note in self.notes]


@asynccontextmanager
async def between(serve: Serve, kind: str = HTTP, name: str = "partners") -> AsyncIterator[Between]:
    notes: list[dict[str, Any]] = []
    async with listening(serve) as to:
        proxy = Proxy(notes.append, UUID, 1)
        port = await proxy.open({"name": name, "kind": kind, "port": 0, "to": to})
        found = Between(proxy, port, notes)
        try:
            async with found.client:
                yield found
        finally:
            await proxy.close()


async def settled(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not check():
            await asyncio.sleep(0.01)


async def test_what_passes_is_byte_for_byte_the_same_and_noted() -> None:
    partner, reference = Partner(), str(uuid.uuid4())
    async with between(partner.serve) as way:
        sent = json.dumps({"reference": reference}).encode()
        reply = await way.client.post(f"/{PARTNER}/v1/lead?a=1", content=sent, headers={"X-One": "1"})
        assert (reply.status_code, reply.content) == (200, BODY)
        await way.get()
        assert [request.method for request in partner.asked] == ["POST", "GET"]
        assert partner.asked[0].body == sent
        assert partner.asked[0].path == f"/{PARTNER}/v1/lead?a=1"
        first, second = way.notes
        assert first["partner"] == PARTNER
        assert first["body"] == hashlib.sha256(sent).hexdigest()
        assert first["marks"] == (reference,)
        assert first["began"] <= first["ended"]
        assert (first["outcome"], second["outcome"], first["toxic"]) == ("answered", "answered", None)
        assert way.proxy.book.passed == {PARTNER: 2}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\n\r\nhello world",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    ],
)
async def test_an_answer_of_any_framing_arrives_whole(answer: bytes) -> None:
    async with between(Partner(answer).serve) as way:
        assert (await way.get()).content == b"hello world"
        assert way.outcomes == ["answered"]


async def test_a_chunked_request_arrives_whole() -> None:
    partner = Partner()

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with between(partner.serve) as way:
        await way.client.post(f"/{PARTNER}/v1/lead", content=parts())
        assert partner.asked[0].body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_answers_without_a_body() -> None:
    async with between(Partner(b"HTTP/1.1 204 No Content\r\nX-Content-Length: 0\r\n\r\n").serve) as way:
        assert (await way.get()).status_code == 204
        assert (await way.client.head(f"/{PARTNER}/v1")).status_code == 204


async def test_the_request_is_delivered_and_the_reply_dropped() -> None:
    partner = Partner()
    async with between(partner.serve) as way:
        name = way.on("drop-reply")
        with pytest.raises(httpx.RemoteProtocolError):
            await way.get()
        assert len(partner.asked) == 1
        assert (way.outcomes, way.notes[0]["toxic"]) == (["unanswered"], "drop-reply")
        way.proxy.toxics.off(name)
        assert (await way.get()).content == BODY
        assert way.outcomes == ["unanswered", "answered"]


async def test_a_toxic_of_one_partner_leaves_the_others_alone() -> None:
    async with between(Partner().serve) as way:
        way.on("drop-reply")
        assert (await way.get("/valiant/api/v1")).content == BODY


async def test_a_reset_on_the_way_there_delivers_nothing() -> None:
    partner = Partner()
    async with between(partner.serve) as way:
        way.on("reset", direction="up")
        with pytest.raises(httpx.ReadError):
            await way.get()
        assert (partner.asked, way.outcomes) == ([], ["undelivered"])


async def test_a_reset_on_the_way_back_delivers_the_request() -> None:
    partner = Partner()
    async with between(partner.serve) as way:
        way.on("reset", direction="down")
        with pytest.raises(httpx.ReadError):
            await way.get()
        assert (len(partner.asked), way.outcomes) == (1, ["unanswered"])


async def test_a_cut_reply_ends_after_its_first_bytes() -> None:
    async with between(Partner().serve) as way:
        way.on("cut", bytes=60)
        with pytest.raises(httpx.RemoteProtocolError):
            await way.get()
        assert way.outcomes == ["unanswered"]


@pytest.mark.parametrize(("direction", "asked", "outcome"), [("up", 0, "undelivered"), ("down", 1, "unanswered")])
async def test_a_black_hole_swallows_until_the_client_gives_up(direction: str, asked: int, outcome: str) -> None:
    partner = Partner()
    async with between(partner.serve) as way:
        way.on("black-hole", direction=direction)
        with pytest.raises(httpx.ReadTimeout):
            await way.client.get(f"/{PARTNER}/v1", timeout=0.3)
        await settled(lambda: bool(way.notes))
        assert (len(partner.asked), way.outcomes) == (asked, [outcome])


async def test_what_a_black_hole_held_never_arrives() -> None:
    partner = Partner()
    async with between(partner.serve) as way:
        name = way.on("black-hole", direction="up")
        waiting = asyncio.create_task(way.get())
        await asyncio.sleep(0.1)
        way.proxy.toxics.off(name)
        with pytest.raises(httpx.RemoteProtocolError):
            await waiting
        assert (partner.asked, way.outcomes) == ([], ["undelivered"])


async def test_latency_is_waited_and_changes_nothing_else() -> None:
    async with between(Partner().serve) as way:
        way.on("latency", milliseconds=200, jitter=100)
        begin = time.monotonic()
        assert (await way.get()).content == BODY
        assert 0.2 <= time.monotonic() - begin < 1
        assert (way.outcomes, way.notes[0]["toxic"]) == (["answered"], "latency")


async def test_limited_bandwidth_takes_its_time() -> None:
    async with between(Partner().serve) as way:
        way.on("bandwidth", bytes=1000)
        begin = time.monotonic()
        assert (await way.get()).content == BODY
        assert time.monotonic() - begin >= 0.2


async def test_a_request_that_was_slow_is_not_delivered_for_one_who_has_gone() -> None:
    partner = Partner()
    async with between(partner.serve) as way:
        way.on("latency", direction="up", milliseconds=500)
        with pytest.raises(httpx.ReadTimeout):
            await way.client.get(f"/{PARTNER}/v1", timeout=0.1)
        await settled(lambda: bool(way.notes))
        assert (partner.asked, way.outcomes) == ([], ["undelivered"])


async def test_a_client_that_leaves_before_the_reply_is_noted_without_a_toxic() -> None:
    partner = Partner(wait=0.3)
    async with between(partner.serve) as way:
        with pytest.raises(httpx.ReadTimeout):
            await way.client.get(f"/{PARTNER}/v1", timeout=0.1)
        await settled(lambda: bool(way.notes))
        assert (way.outcomes, way.notes[0]["toxic"]) == (["unanswered"], None)


async def test_a_partner_that_hangs_up_is_passed_on_as_that() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.request(reader)
        writer.close()

    async with between(rude) as way:
        with pytest.raises(httpx.RemoteProtocolError):
            await way.get()
        assert way.outcomes == ["unanswered"]


async def test_a_partner_that_is_away_gets_nothing() -> None:
    notes: list[dict[str, Any]] = []
    proxy = Proxy(notes.append, UUID, 1)
    port = await proxy.open({"name": "partners", "kind": HTTP, "port": 0, "to": free_port()})
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://127.0.0.1:{port}/{PARTNER}/v1")
    await proxy.close()
    assert [note["outcome"] for note in notes] == ["undelivered"]


async def test_half_of_the_calls_are_struck_when_the_share_says_so() -> None:
    async with between(Partner().serve) as way:
        way.on("latency", share=0.5)
        for _ in range(60):
            await way.get()
        assert 15 <= sum(note["toxic"] == "latency" for note in way.notes) <= 45


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each line, and what is between by nothing."""
    try:
        while line := await reader.readline():
            writer.write(line)
    except OSError:
        pass
    writer.close()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def said(ends: Ends, line: bytes) -> bytes:
    ends[1].write(line)
    return await asyncio.wait_for(ends[0].readline(), 2)


async def test_bytes_pass_both_ways_and_are_counted_when_the_connection_ends() -> None:
    async with between(echo, BYTES, "kafka") as way:
        ends = await asyncio.open_connection("127.0.0.1", way.port)
        assert await said(ends, b"one\n") == b"one\n"
        for _ in range(4):
            assert await said(ends, b"x" * 60_000 + b"\n") == b"x" * 60_000 + b"\n"
        ends[1].close()
        await settled(lambda: way.proxy.book.passed["kafka"] == 1)
        assert way.notes == []


async def test_a_toxic_that_comes_on_strikes_connections_that_stand() -> None:
    async with between(echo, BYTES, "mongo") as way:
        ends = await asyncio.open_connection("127.0.0.1", way.port)
        assert await said(ends, b"one\n") == b"one\n"
        way.on("reset", "mongo", direction="down")
        with pytest.raises(ConnectionResetError):
            await said(ends, b"two\n")
        await settled(lambda: way.proxy.book.struck["mongo"] == 1)


async def test_a_byte_gate_cuts_an_answer() -> None:
    async with between(echo, BYTES, "mongo") as way:
        way.on("cut", "mongo", bytes=6)
        ends = await asyncio.open_connection("127.0.0.1", way.port)
        assert await said(ends, b"one\n") == b"one\n"
        ends[1].write(b"two\n")
        try:
            rest = await asyncio.wait_for(ends[0].read(), 2)
        except ConnectionResetError:
            rest = b""
        assert b"two\n" not in rest


async def test_a_black_hole_in_a_byte_gate_ends_with_the_connection() -> None:
    async with between(echo, BYTES, "kafka") as way:
        name = way.on("black-hole", "kafka", direction="up")
        ends = await asyncio.open_connection("127.0.0.1", way.port)
        ends[1].write(b"one\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ends[0].readline(), 0.2)
        way.proxy.toxics.off(name)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(ends[0].readline(), 2)


async def test_a_mail_is_delivered_and_its_reply_dropped() -> None:
    async with between(echo, MAIL, "email-lender") as way:
        way.on("drop-reply", "email-lender", bytes=MAIL_BYTES)
        ends = await asyncio.open_connection("127.0.0.1", way.port)
        assert await said(ends, b"EHLO\n") == b"EHLO\n"
        with pytest.raises(ConnectionResetError):
            await said(ends, b"x" * MAIL_BYTES + b"\n")
        (note,) = way.notes
        assert (note["partner"], note["outcome"], note["toxic"]) == ("email-lender", "unanswered", "drop-reply")


async def test_every_mail_is_noted() -> None:
    async with between(echo, MAIL, "email-lender") as way:
        ends = await asyncio.open_connection("127.0.0.1", way.port)
        for _ in range(2):
            await said(ends, b"MAIL FROM\n")
            await said(ends, b"x" * MAIL_BYTES + b"\n")
        ends[1].write(b"x" * MAIL_BYTES)
        await asyncio.sleep(0.1)
        ends[1].close()
        await settled(lambda: len(way.notes) == 3)
        assert way.outcomes == ["answered", "answered", "unanswered"]


async def test_the_proxy_as_a_process_of_its_own(tmp_path: Path) -> None:
    async with listening(Partner().serve) as to:
        port = free_port()
        remote = Remote(tmp_path, free_port(), [Gate("partners", HTTP, port, to)])
        await asyncio.to_thread(remote.start)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                name = await remote.on(Toxic(target=PARTNER, kind="drop-reply"))
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(f"/{PARTNER}/v1")
                await remote.off(name)
                assert (await client.get(f"/{PARTNER}/v1")).content == BODY
                await remote.on(Toxic(target=PARTNER, kind="reset"))
                await remote.clear()
                await client.get(f"/{PARTNER}/v1")
            counts = await remote.counts()
            assert (counts.passed, counts.struck) == ({PARTNER: 2}, {PARTNER: 1})
        finally:
            await asyncio.to_thread(remote.stop)
        assert [call.outcome for call in remote.calls()] == ["unanswered", "answered", "answered"]
