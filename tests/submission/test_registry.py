"""The two-sided wait on a real store: the registry's word and the lenders' plans come in any order, also twice."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
import structlog
from tests import make, support
from tests.submission.desk import TENANT, Desk, submit
from tests.submission.test_partners import port

from lendrail.contracts.event import envelope_of
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.submit import Submit
from lendrail.contracts.terms import Match, Status
from lendrail.runtime.clock import utc_now
from lendrail.runtime.step import Delivery

pytestmark = pytest.mark.asyncio


async def word(desk: Desk, lender: Submit, status: Status, version: int, **more: Any) -> None:
    """The registry's opportunity came to this."""
    values: dict[str, Any] = {
        "tenant_id": TENANT, "mode": "test", "application_id": lender.application_id, "opportunity_id": lender.gate,
        "partner": "monetago", "credential": "demo-registry", "state_version": version, "status": status,
        "source": "fetch", "observed_at": make.NOW,
    }  # fmt: skip
    event = StatusUpdated(**values | more)
    await desk.registry.on_status_updated(
        [Delivery(event, envelope_of(event, "test", utc_now()), await desk.key(lender))]
    )


def gated() -> Submit:
    return submit(gate=uuid.uuid4())


async def test_plan_then_word(desk: Desk) -> None:
    lender = gated()
    await desk.hear(lender)
    assert await desk.states(lender) == ["planned", "prepared"]
    async with desk.lanes(gate_seconds="60"):
        await word(desk, lender, Status.IN_REVIEW, 1)
        await word(desk, lender, Status.APPROVED, 2)
        await desk.until(lender, "acked", "acked")
    assert len((await desk.ledger(lender))["leads"]) == 1


async def test_word_then_plan_and_both_again(desk: Desk) -> None:
    lender = gated()
    for _ in range(2):
        await word(desk, lender, Status.APPROVED, 1)
        await desk.hear(lender)
    assert await desk.states(lender) == ["acked", "prepared"]
    assert await desk.outcomes(lender) == ["not-sent", "accepted"]


async def test_an_older_word_that_comes_late_opens_nothing(desk: Desk) -> None:
    lender = gated()
    found = (Match(id="fake-match-1", kind="EXCT"),)
    await word(desk, lender, Status.DUPLICATE, 3, matches=found)
    await word(desk, lender, Status.APPROVED, 2)
    await desk.hear(lender)
    await word(desk, lender, Status.APPROVED, 2)
    assert await desk.states(lender) == ["rejected", "cancelled"]
    (_, stopped) = await desk.acks(lender)
    assert (stopped.outcome, "fake-match-1" in stopped.problems[0].message) == ("duplicate", True)


async def test_a_lender_is_no_registry(desk: Desk) -> None:
    lender = gated()
    await desk.hear(lender)
    await word(desk, lender, Status.APPROVED, 1, partner="finpace")
    assert await desk.states(lender) == ["planned", "prepared"]


async def test_a_silent_registry_is_told_of_while_the_lender_is_paused(desk: Desk) -> None:
    lender = gated()
    await desk.hear(lender)
    await port(desk).pause(lender.credential, "credential-refused", 30)
    waits = await desk.opportunity(lender)
    assert waits.gate is not None
    await desk.store.save(waits.put(replace(waits.gate, due=utc_now())), due="now")

    async def told() -> bool:
        gate = (await desk.opportunity(lender)).gate
        return gate is not None and gate.reason == "registry-late"

    async with desk.lanes(gate_seconds="60"):
        await support.eventually(told, 10)
    assert await desk.states(lender) == ["planned", "prepared"]


async def test_a_registration_that_turns_duplicate_alarms_every_lender_that_has_it(desk: Desk) -> None:
    """Those that have it keep it, with an alarm each; one that comes to the gate afterwards goes nowhere."""
    gate, application = uuid.uuid4(), make.new_id()
    have = [submit(application, gate=gate, opportunity_id=uuid.uuid4()) for _ in range(3)]
    await desk.hear(*have)
    async with desk.lanes(gate_seconds="60"):
        await word(desk, have[0], Status.APPROVED, 1)
        for each in have:
            await desk.until(each, "acked", "acked")
        matches = (Match(id="fake-match-1", kind="EXCT"),)
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):  # as after a death in the middle
                await word(desk, have[0], Status.DUPLICATE, 2, matches=matches)
        late = submit(application, gate=gate, opportunity_id=uuid.uuid4())
        await desk.hear(late)
    for each in have:
        told = (await desk.acks(each))[-1]
        assert (told.operation, told.outcome, told.reason) == ("gate", "duplicate", "alarm-registry-duplicate")
        assert "fake-match-1" in told.problems[0].message
        assert await desk.states(each) == ["rejected", "acked"], "what the lender has stays there"
        assert len((await desk.ledger(each))["leads"]) == 1
    alarms = [entry["opportunity"] for entry in logs if entry["log_level"] == "critical"]
    assert sorted(alarms) == sorted(str(each.opportunity_id) for each in have), "each once"
    assert await desk.states(late) == ["rejected", "cancelled"]
