from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient
from tests.status.bench import Bench, settings
from tests.status.importing import Files, client_of
from tests.status.reading import application

from lendrail.runtime.mongo import Document

MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def make_bench(
    mongo: str, database_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeBench]:
    """Makes benches that share one database and one set of keys: several replicas of the service."""
    benches: list[Bench] = []

    async def make(**more: Any) -> Bench:
        number = len(benches) + 1
        told = settings(
            tmp_path, monkeypatch.setenv, mongo=mongo, prefix=database_prefix, instance=f"status-{number}", **more
        )
        benches.append(Bench(told))
        await benches[-1].start()
        return benches[-1]

    yield make
    for bench in benches:
        await bench.stop()
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo)
    for name in ("status", "keys", "partners"):
        await client.drop_database(database_prefix + name)
    await client.close()


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    return await make_bench()


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(bench))
    async with httpx.AsyncClient(transport=transport, base_url="http://status.test") as client:
        yield client


@pytest.fixture
async def files(bench: Bench) -> AsyncIterator[Files]:
    async with client_of(bench) as client:
        yield Files(bench, client)
