"""The status service as a process of its own on real Kafka and MongoDB, killed where a test says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from aiokafka.errors import TopicAlreadyExistsError
from tests import support
from tests.status.bench import credentials_file

from lendrail.contracts.topics import APPLICATION_REJECTED, APPLICATION_VALIDATED, PARTNER_ACK, PARTNER_WEBHOOK
from lendrail.local.servers.ports import free_port

HEARD = (APPLICATION_VALIDATED.name, APPLICATION_REJECTED.name, PARTNER_ACK.name, PARTNER_WEBHOOK.name)


class Process:
    """One status service; its port, name and databases stay when it is started again."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.environment = os.environ | environment
        self.url = f"http://127.0.0.1:{environment['LENDRAIL_PORT']}"
        self.running: subprocess.Popen[bytes] | None = None
        self._log = folder / "status.log"

    def start(self, kill_at: str = "") -> None:
        told = self.environment | ({"LENDRAIL_FAULT_AT": kill_at} if kill_at else {})
        with self._log.open("ab") as log:
            self.running = subprocess.Popen([sys.executable, "-m", "lendrail.status"], env=told, stdout=log, stderr=log)

    async def ready(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, self._log.read_text()[-3000:]
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(f"{self.url}/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def died(self) -> bool:
        assert self.running is not None
        return self.running.poll() == -signal.SIGKILL

    def stop(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()
            self.running.wait(20)


@pytest.fixture
async def process(kafka: str, mongo: str, database_prefix: str, tmp_path: Path) -> AsyncIterator[Process]:
    files = {"credentials_file": str(credentials_file(tmp_path)), "port": str(free_port())}
    servers = {"kafka": kafka, "mongo": mongo, "prefix": database_prefix}
    process = Process(tmp_path, support.environment(tmp_path, **servers, instance="status-1", **files))
    yield process
    process.stop()


@pytest.fixture(scope="module", autouse=True)
def _topics(kafka: str) -> None:
    with contextlib.suppress(TopicAlreadyExistsError):  # another test of this session made them
        asyncio.run(support.topics(kafka, *HEARD, "status-updated", partitions=1))
