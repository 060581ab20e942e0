"""kill -9 around a check, on real Kafka and MongoDB: each application gets one fact, whoever finishes the work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import make, support
from tests.sandbox.register import Register
from tests.validation.process import stage
from tests.validation.test_checks import CREDENTIAL, australian, credentials

WINDOWS = (
    "store.checks.after",
    "partner.before",
    "checks.told",
    "store.reports.after",
    "relay.reports.published",
)


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    running = Register(tmp_path_factory.mktemp("register"))
    running.start()
    yield running
    running.stop()


async def test_killed_between_claim_and_result(
    kafka: str, mongo: str, register: Register, tmp_path: Path, database_prefix: str
) -> None:
    settings = {
        "credentials_file": str(credentials(tmp_path, register.asmx)),
        "abn_credential": CREDENTIAL,
        "abn_seconds": "2",
    }
    async with stage(tmp_path, kafka, mongo, database_prefix, **settings) as validation:
        ours: set[bytes] = set()
        for nth, window in enumerate(WINDOWS):
            event = make.received(application=australian(amount=str(1000 + nth)))
            ours.add(event.key.encode())
            await validation.send(event)
            await validation.killed_at(window)

        async def all_done() -> bool:
            return await _quiet(validation.database) and {each.key for each in await validation.facts(*ours)} == ours

        async with validation.running():
            await support.eventually(all_done, 60)
        facts = await validation.facts(*ours)
    assert len(facts) == len(ours), "one fact each, and where it came twice the same bytes"
    assert {each.topic for each in facts} == {"application-validated"}


async def _quiet(database: Any) -> bool:
    """Everything reported, nothing waits, nothing is left to publish."""
    reports = database["reports"]
    waits = await database["checks"].count_documents({}) + await reports.count_documents({"pending": {"$exists": True}})
    done: int = await reports.count_documents({})
    return bool(waits == 0 and done == len(WINDOWS))
