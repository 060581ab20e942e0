"""Whoever waits for MongoDB may be cancelled at any time, twice too: the client goes on, and can be closed."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient
from tests import support
from tests.validation.process import Process

from lendrail.local.servers import Mongo
from lendrail.local.servers.ports import free_port
from lendrail.runtime.mongo import connect
from lendrail.runtime.settings import Stores

MANY = 8


def ends(scenario: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: one that never ends shall not hold up the tests that follow."""
    ended: Future[None] = Future()

    def run() -> None:
        try:
            ended.set_result(asyncio.run(scenario))
        except BaseException as error:
            ended.set_exception(error)

    Thread(target=run, daemon=True).start()
    ended.result(30)


async def cancelled_twice(*tasks: asyncio.Task[Any]) -> None:
    """Again while they are about to end, as a service does that is told to stop."""
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}


def test_who_waits_for_a_server_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in support.environment(tmp_path).items():
        monkeypatch.setenv(name, value)

    async def scenario() -> None:
        client = connect(Stores())
        tasks = [asyncio.create_task(client.admin.command("ping")) for _ in range(MANY)]
        await asyncio.sleep(0.3)
        await cancelled_twice(*tasks)
        await client.close()

    ends(scenario())


def test_who_waits_for_a_free_connection(mongo: str, database_prefix: str) -> None:
    async def scenario() -> None:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, maxPoolSize=1, waitQueueTimeoutMS=15_000)
        async with await client[f"{database_prefix}test"].watch(max_await_time_ms=2_000) as stream:
            busy = asyncio.create_task(stream.try_next())
            await asyncio.sleep(0.3)
            tasks = [asyncio.create_task(client.admin.command("ping")) for _ in range(MANY)]
            await asyncio.sleep(0.3)
            await cancelled_twice(*tasks)
            assert not busy.done(), "they had something to wait for"
            await busy
        assert (await client.admin.command("ping"))["ok"] == 1
        await client.close()

    ends(scenario())


async def test_a_service_that_is_told_to_stop_while_mongodb_is_away_ends(tmp_path: Path) -> None:
    """All of its loops wait then. Kafka was never there."""
    server, port = Mongo(tmp_path / "mongo").start(), free_port()
    service = Process(tmp_path, support.environment(tmp_path, mongo=server.url, port=str(port)))
    try:
        async with service.running():
            await support.eventually(lambda: has_its_store(port), 30)
            server.kill()
            await support.eventually(lambda: service.says("a worker waits for its store"), 30)
    finally:
        server.stop()


async def has_its_store(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return bool((await client.get(f"http://127.0.0.1:{port}/ready")).json()["checks"]["mongo"])
        except httpx.TransportError:
            return False
