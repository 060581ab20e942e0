"""Validation and documents as programs, on real Kafka and MongoDB; and what a killed program leaves behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAlreadyExistsError
from pymongo import AsyncMongoClient
from tests import make, support
from tests.documents.bench import pdf
from tests.validation.sound import sound

from lendrail.contracts.event import decode
from lendrail.contracts.submit import Send, Submit
from lendrail.documents.files import Files
from lendrail.local.servers.ports import free_port
from lendrail.runtime.settings import read_key
from lendrail.runtime.tokens import ServiceTokens
from lendrail.runtime.vault import LocalWrapper, Vault

TOPICS = ("application-received", "application-amended", "application-validated", "application-rejected", "submit")


@contextlib.contextmanager
def program(name: str, environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    told = os.environ | environment | {"LENDRAIL_PORT": str(port), "LENDRAIL_INSTANCE": f"{name}-1"}
    process = subprocess.Popen([sys.executable, "-m", f"lendrail.{name}"], env=told, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


async def ready(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/ready")).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
async def stack(
    kafka: str, mongo: str, database_prefix: str, tmp_path: Path
) -> AsyncIterator[tuple[dict[str, str], Vault]]:
    with contextlib.suppress(TopicAlreadyExistsError):  # another test of this session made them
        await support.topics(kafka, *TOPICS)
    environment = support.environment(
        tmp_path, kafka=kafka, mongo=mongo, prefix=database_prefix, public_url="http://127.0.0.1:9"
    )
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, w="majority", journal=True)
    master = read_key(tmp_path / "master.key")
    yield environment, Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(master))
    for name in ("validation", "documents", "keys"):
        await client.drop_database(database_prefix + name)
    await client.close()


async def test_from_received_to_submit_and_killed(stack: tuple[dict[str, str], Vault], kafka: str) -> None:
    environment, vault = stack
    validation, documents = free_port(), free_port()
    event = make.received(application=sound())
    key = (await vault.create([event.key_id]))[event.key_id]
    with program("validation", environment, validation), program("documents", environment, documents) as killed:
        await support.eventually(lambda: ready(validation), 30)
        await support.eventually(lambda: ready(documents), 30)
        record = make.record(event, key)
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            await producer.send_and_wait(record.topic, record.value, record.key, headers=list(record.headers))
        submit = await first(kafka, str(event.application_id), "submit")
        found = decode(Submit, submit, key)
        assert isinstance(found.intent, Send)
        assert (found.application_id, found.partner) == (event.application_id, "forward-financing")
        assert [each.kind for each in found.intent.documents] == ["application-summary"]

        children = psutil.Process(killed.pid).children(recursive=True)
        assert children, "sheets are rendered in a process of their own"
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 5)
        assert alive == []


@pytest.mark.parametrize("label", ["store.fs.chunks.before", "store.fs.chunks.after", "store.fs.files.after"])
async def test_an_upload_whose_service_is_killed(label: str, mongo: str, database_prefix: str, tmp_path: Path) -> None:
    """Killed at this point: half a file is no file, and the same request afterwards stores it, counted once."""
    environment = support.environment(tmp_path, mongo=mongo, prefix=database_prefix, public_url="http://127.0.0.1:9")
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, w="majority", journal=True)
    vault = Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(read_key(tmp_path / "master.key")))
    id, content, port = str(make.new_id()), pdf(700_000), free_port()
    key = (await vault.create([id]))[id]
    try:
        with program("documents", environment | {"LENDRAIL_FAULT_AT": label}, port) as killed:
            await support.eventually(lambda: alive(port), 30)
            with pytest.raises(httpx.HTTPError):
                await upload(environment, port, id, content)
            assert await asyncio.to_thread(killed.wait, 10) == -signal.SIGKILL
        database = client[f"{database_prefix}documents"]
        assert await database["fs.files"].count_documents({}) == (1 if label == "store.fs.files.after" else 0)
        with program("documents", environment, port):
            await support.eventually(lambda: alive(port), 30)
            reply = await upload(environment, port, id, content)
        assert reply.status_code == 201
        file = await Files(database).get(reply.json()["id"])
        assert file is not None
        assert key.open_bytes(file.sealed) == content
        [quota] = await database["quotas"].find({}).to_list()
        assert (quota["bytes"], len(quota["files"])) == (len(content), 1)
    finally:
        for name in ("documents", "keys"):
            await client.drop_database(database_prefix + name)
        await client.close()


async def alive(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
        try:
            return (await http.get(f"http://127.0.0.1:{port}/live")).status_code == 200
        except httpx.HTTPError:
            return False


async def upload(environment: dict[str, str], port: int, application: str, content: bytes) -> httpx.Response:
    token = ServiceTokens(read_key(Path(environment["LENDRAIL_SERVICE_KEY_FILE"])), "gateway").header()
    path = f"http://127.0.0.1:{port}/internal/applications/{application}/documents?kind=other"
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        return await http.put(path, content=content, headers=token)


async def first(kafka: str, key: str, topic: str) -> bytes:
    """The first record of this key."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            async for record in consumer:
                if record.key == key.encode():
                    return bytes(record.value)
    finally:
        await consumer.stop()
    raise AssertionError
