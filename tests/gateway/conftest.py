import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient
from tests import support
from tests.gateway.process import Gateway

from lendrail.contracts.topics import TOPICS

INTAKES = ("intake-demo-crm", "intake-other-crm", "intake-nobody")


@pytest.fixture(scope="session")
def topics(kafka: str) -> None:
    asyncio.run(support.topics(kafka, *(topic.name for topic in TOPICS), *INTAKES))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, kafka: str, mongo: str, topics: None) -> Iterator[Gateway]:
    """One process for all tests of a module."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    running = Gateway(folder, kafka=kafka, mongo=mongo, prefix=f"g{folder.stat().st_ino}_").start()
    running.wait_ready()
    yield running
    running.stop()


@pytest.fixture
async def caller(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.caller() as client:
        yield client


@pytest.fixture
async def stored(gateway: Gateway) -> AsyncIterator[Any]:
    """The gateway's own database, to look into."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(gateway.environment["MONGO_URL"], tz_aware=True)
    yield client[f"{gateway.environment['LENDRAIL_DATABASE_PREFIX']}gateway"]
    await client.close()
