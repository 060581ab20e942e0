"""A service that looks at the simulated Forward Financing, and what was asked of it by its own ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.status.bench import Bench, Deal
from tests.status.conftest import MakeBench

from lendrail.runtime.mongo import Document

STAGES = {
    "approve": "Approval Sent",
    "decline": "Declined",
    "missing": "File Missing Info",
    "waiting": "Waiting on ISO",
    "working": "Working",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.reset()
    yield running
    running.reset()


@pytest.fixture
async def bench(make_bench: MakeBench, sandbox: Sandbox) -> Bench:
    """A service that is at work on the sandbox; sweeps are slow, retries quick."""
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.1]", recheck_seconds="0.3")
    bench.work()
    return bench


async def accepted(bench: Bench, sandbox: Sandbox, outcome: str, **dial: Any) -> Deal:
    """A deal that the partner has, with what it will decide."""
    deal = Deal()
    reference = str(deal.id)
    sandbox.dial(kind="outcome", outcome=outcome, reference=reference, **dial)
    with sandbox.client() as client:
        deal.partner_id = sandbox.lead(client, reference)
        stage = dial.get("stage") or STAGES[outcome]
        await asyncio.to_thread(sandbox.until_stage, client, deal.partner_id, stage)
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack())
    return deal


def becomes(bench: Bench, deal: Deal, status: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        document = await bench.document(deal.id)
        return bool(document["status"] == status and "pending" not in document)

    return check


async def idle(bench: Bench, deal: Deal) -> Document:
    """The document once no look is due at once or under way."""

    async def check() -> Document | None:
        document = await bench.document(deal.id)
        return document if "lease" not in document and document["fetch"].get("reason") != "hint" else None

    found: Document = await support.eventually(check)
    return found


def looks(sandbox: Sandbox, deal: Deal) -> int:
    """How often the partner was asked about this deal, by its own ledger."""
    return sum(each["operation"] == "deal_status" for each in sandbox.ledger(str(deal.id))["calls"])
