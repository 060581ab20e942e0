"""The webhook sender against receivers that behave and receivers that do not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lendrail.sandbox.posts import NoAnswer, Posts


@asynccontextmanager
async def receiver(*answers: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """Answers request after request of each connection; the list counts requests per connection."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        mine = len(connections) - 1
        try:
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(b'{"a":1}'))
                connections[mine] += 1
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?x=1", connections
    server.close()


@pytest.fixture
async def posts() -> AsyncIterator[Posts]:
    made = Posts(ssl.create_default_context())
    yield made
    made.close()


async def test_a_connection_is_used_again(posts: Posts) -> None:
    async with receiver(*[b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"] * 3) as (url, connections):
        assert [await posts.send("POST", url, {"a": 1}, {}, 5) for _ in range(3)] == [202] * 3
    assert connections == [3]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.0 503 Busy\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])  # fmt: skip
async def test_a_connection_that_cannot_be_kept_is_not(posts: Posts, answer: bytes) -> None:
    async with receiver(answer) as (url, connections):
        statuses = [await posts.send("POST", url, {"a": 1}, {}, 5) for _ in range(2)]
    assert statuses == [int(answer.split()[1])] * 2
    assert connections == [1, 1]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 okay\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"\x00" * 70_000])  # fmt: skip
async def test_nonsense_is_no_answer(posts: Posts, answer: bytes) -> None:
    async with receiver(answer) as (url, _):
        with pytest.raises(NoAnswer):
            await posts.send("POST", url, {"a": 1}, {}, 5)


async def test_silence_ends_at_the_deadline(posts: Posts) -> None:
    async with receiver(b"", b"") as (url, _):
        with pytest.raises(TimeoutError):
            await posts.send("POST", url.replace("x=1", "silent"), {"a": 1, "longer": True}, {}, 0.2)
