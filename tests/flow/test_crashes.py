"""Kill -9 in the two windows of every step, and of every service in the middle of work: the partner's ledger judges."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import psutil
import pytest
from proofs.matrix.bench import bench
from proofs.matrix.cells import cells, sample
from tests.flow.stack import SERVICES, Stack, loan, opportunity, post, reached, until

WINDOWS = [
    *(
        ("gateway", f"step.{topic}.{when}")
        for topic in ("application-validated", "status-updated")
        for when in ("written",)
    ),
    ("gateway", "store.applications.after"),
    ("gateway", "relay.applications.published"),
    ("gateway", "relay.webhooks.published"),
    *(("validation", f"step.application-received.{when}") for when in ("written", "published")),
    *(("documents", f"step.application-validated.{when}") for when in ("written", "published")),
    ("submission", "step.submit.written"),
    ("submission", "partner.before"),
    ("submission", "partner.after"),
    ("submission", "relay.opportunities.published"),
    *(
        ("status", f"step.{topic}.{when}")
        for topic in ("application-validated", "partner-ack")
        for when in ("written", "published")
    ),
    ("status", "step.partner-webhook.written"),
    ("status", "partner.after"),
    *(
        ("notifications", f"step.{topic}.{when}")
        for topic in ("status-updated", "notify")
        for when in ("written", "published")
    ),
]

SEED = 6
SECONDS = 40.0
"""For the draw from the matrix."""
MOST_SECONDS = 25.0
"""Of one cell, so that the draw ends in time."""


@pytest.fixture
async def patient(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with stack.client() as client:
        yield client
    for service in SERVICES:
        if not _alive(stack, service):
            stack.restart(service)


def _alive(stack: Stack, service: str) -> bool:
    try:
        return psutil.Process(stack.endpoints["services"][service]["pid"]).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("service", "label"), WINDOWS)
async def test_killed_in_a_window(stack: Stack, patient: httpx.AsyncClient, service: str, label: str) -> None:
    stack.restart_to_die(service, label)
    posting = asyncio.create_task(post(patient, loan("30000")))
    async with asyncio.timeout(40):
        while _alive(stack, service):
            await asyncio.sleep(0.05)
    stack.restart(service)
    application_id = await posting
    final = ("approved", "submitted") if label in ("partner.before", "partner.after") else ("approved",)
    view = await until(patient, application_id, reached(*final), 60)
    leads = Counter(lead["reference"] for lead in stack.ledger()["leads"])
    assert set(leads.values()) == {1}
    told = [json.dumps(entry, sort_keys=True) for entry in view["timeline"]]
    assert len(told) == len(set(told))


async def test_a_draw_from_the_matrix_holds(stack: Stack) -> None:
    """As many cells as there is time for. One that was not reached proves nothing, and does not count."""
    end, outcomes = time.monotonic() + SECONDS, Counter[str]()
    async with bench(stack) as made:
        for cell in sample(list(cells()), 20, SEED):
            if time.monotonic() + MOST_SECONDS > end:
                break
            result = await made.run(cell)
            assert result.why == (), str(cell)
            outcomes[result.outcome] += 1
    assert outcomes["held"] >= 1


async def test_each_service_is_killed_once_while_fifty_are_under_way(stack: Stack, patient: httpx.AsyncClient) -> None:
    before = {lead["reference"] for lead in stack.ledger()["leads"]}
    amounts = ["30000", "30001", "30000", "30002", "30003"] * 10
    posting = [asyncio.create_task(post(patient, loan(amount))) for amount in amounts]
    for service in SERVICES:
        await asyncio.sleep(0.5)
        stack.kill(service)
        await asyncio.to_thread(stack.restart, service)
    ids = await asyncio.gather(*posting)
    expected = {"30000": {"approved"}, "30001": {"declined"}, "30002": {"info-required"}, "30003": {"in-review"}}
    expected["30002"] |= {"approved"}  # a kill before the last document: it comes after the question, and answers it
    unknown = 0
    for amount, application_id in zip(amounts, ids, strict=True):
        view = await until(patient, application_id, reached(*expected[amount], "submitted"), 90)
        deal = opportunity(view)
        if deal["status"] == "submitted" and "partner-id-unknown" not in deal["flags"]:
            deal = opportunity(await until(patient, application_id, reached(*expected[amount]), 60))
        unknown += "partner-id-unknown" in deal["flags"]
    new = [lead["reference"] for lead in stack.ledger()["leads"] if lead["reference"] not in before]
    assert len(new) == len(set(new)) == 50
    assert unknown <= 16, "more unknown ids than calls that a kill can have cut"
