"""The whole way of a file, on real processes: the command, the gateway, the status service, MongoDB and Kafka; and the
service is killed in the middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import TopicAlreadyExistsError
from tests import support
from tests.gateway.process import Gateway
from tests.status.bench import PARTNER, Bench, Deal, credentials_file
from tests.status.importing import csv, known, row
from tests.status.process import Process
from typer.testing import CliRunner

from lendrail.contracts.topics import TOPICS
from lendrail.local.cli import app

ROWS = 1100


@pytest.fixture(scope="module", autouse=True)
def _topics(kafka: str) -> None:
    for topic in TOPICS:
        with contextlib.suppress(TopicAlreadyExistsError):  # another test of this session made it
            asyncio.run(support.topics(kafka, topic.name, partitions=1))


@pytest.fixture
async def status(bench: Bench, kafka: str, mongo: str, database_prefix: str, tmp_path: Path) -> AsyncIterator[Process]:
    gateway = Gateway(tmp_path, kafka=kafka, mongo=mongo, prefix=database_prefix).start()
    gateway.wait_ready(60)
    oauth = {"token_url": f"{gateway.url}/oauth/token", "client_id": "demo-upstream"}
    endpoints = {"gateway": gateway.url, "oauth": oauth | {"client_secret": support.CLIENT_SECRET}}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    own = {
        "LENDRAIL_PORT": str(gateway.owner_port),
        "LENDRAIL_INSTANCE": "status-1",
        "LENDRAIL_CREDENTIALS_FILE": str(credentials_file(tmp_path)),
        "LENDRAIL_JWKS_URL": f"{gateway.url}/.well-known/jwks.json",
        "LENDRAIL_IMPORT_LEASE_SECONDS": "3",
    }
    status = Process(tmp_path, gateway.environment | own)
    yield status
    status.stop()
    gateway.stop()
    await bench.service.client.drop_database(f"{database_prefix}gateway")


async def bring(folder: Path, content: bytes, *more: str, partner: str = PARTNER) -> tuple[int, str]:
    """As an operator does it."""
    file = folder / "deals.csv"
    file.write_bytes(content)
    command = ["import", str(file), "--partner", partner, "--state", str(folder), *more]
    done = await asyncio.to_thread(CliRunner().invoke, app, command)
    return done.exit_code, done.output


def content_of(deals: list[Deal], minute: int) -> bytes:
    """Many times of few deals, the last of each the newest."""
    times = [f"2026-03-01T{minute:02}:{n // 60:02}:{n % 60:02}Z" for n in range(ROWS)]
    return csv(*(row(deals[n % len(deals)], "in-review", time) for n, time in enumerate(times)))


async def test_a_file_goes_the_whole_way_whatever_is_killed(status: Process, bench: Bench, tmp_path: Path) -> None:
    deals = await known(bench, 10)
    windows = ("store.opportunities.after#2", "store.import_reports.before#2", "store.import_reports.after#1",
               "store.imports.after#4")  # fmt: skip
    for hour, window in enumerate(windows, start=1):
        status.start(kill_at=window)
        await support.eventually(status.ready, 60)
        following = asyncio.create_task(bring(tmp_path, content_of(deals, hour)))
        await support.eventually(status.died, 60)
        status.start()
        code, said = await asyncio.wait_for(following, 120)
        assert (code, f"done, {ROWS} rows" in said) == (0, True), (window, said)
        status.stop()
        documents = [await bench.document(deal.id) for deal in deals]
        ids = [each["id"] for document in documents for each in document["observations"]]
        assert len(ids) == len(set(ids)) == len(deals) + hour * ROWS, window
        reports = await bench.parts.importing.imports.reports.find().to_list()
        told = [stored[0] for batch in reports for stored in batch["rows"]]
        assert len(told) == hour * ROWS, "each row is told of once"
    status.start()
    await support.eventually(status.ready, 60)
    code, said = await bring(tmp_path, csv(row(deals[0], "funded", "2026-03-05"), row(Deal()), "x"))
    assert (code, "1 changed, 1 fault, 1 unknown-id" in said, "too-few-columns" in said) == (1, True, True)
    code, said = await bring(tmp_path, csv(row(deals[0], "funded", "2026-03-05"), row(Deal()), "x"), "--dry-run")
    assert "dry run" in said
    assert (await bench.document(deals[0].id))["status"] == "funded"
    code, said = await bring(tmp_path, b"x" * 10_000_000, partner="nobody")
    assert (code, "no-account" in said) == (1, True), "the answer comes before the file was read"
    told_of = await updates(status, deals[0])
    assert told_of[-1] == ("funded", "csv")


async def updates(status: Process, deal: Deal) -> list[tuple[Any, Any]]:
    """What Kafka was told of it, as far as it is in clear."""
    from aiokafka import AIOKafkaConsumer

    consumer: Any = AIOKafkaConsumer(
        "status-updated",
        bootstrap_servers=status.environment["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
    )
    await consumer.start()
    found = []
    polled = await consumer.getmany(timeout_ms=3000)
    while polled:
        for records in polled.values():
            found += [json.loads(each.value) for each in records if each.key == str(deal.application_id).encode()]
        polled = await consumer.getmany(timeout_ms=500)
    await consumer.stop()
    ordered = sorted(found, key=lambda each: int(each["stateVersion"]))
    return [(each["status"], each["source"]) for each in ordered]
