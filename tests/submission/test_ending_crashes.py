"""kill -9 and lost replies around an acceptance, a withdrawal and the cancellation of a registration: the partner's own
ledger has it once; where a repeat is not allowed, a person is asked and nothing goes a second time.
"""

import asyncio
import datetime as dt
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.sandbox.process import Sandbox
from tests.submission.desk import TENANT, Desk
from tests.submission.endings import (
    ACCEPTING,
    CANCELLING,
    STORIES,
    WITHDRAWING,
    Story,
    asks_a_person,
    once_by_id,
    word,
)
from tests.submission.others import dial, running, undial
from tests.submission.test_crashes import Killed, desks

from lendrail.contracts.submit import Submit
from lendrail.contracts.terms import Status
from lendrail.runtime.clock import utc_now
from lendrail.runtime.tokens import Caller
from lendrail.submission.attempts.attempt import Attempt
from lendrail.submission.operators.people import People
from lendrail.submission.operators.resolving import Resolution, Resolver

pytestmark = pytest.mark.asyncio
OPERATOR = Caller(TENANT, "demo-operator", "test", frozenset({"operator"}))
BEFORE = ("store.opportunities.claim.before#1", "partner.before#1", "store.opportunities.before#1")
"""Nothing says yet that it is under way."""
NOTED = ("store.opportunities.after#1", "partner.sending#1")
"""It is noted as under way; the partner heard nothing."""
HEARD = ("partner.after#1", "store.opportunities.before#2")
"""The partner did it; we know nothing of it."""
STORED = ("store.opportunities.after#2",)
"""It is stored, and nobody was told."""
POINTS = (*BEFORE, *NOTED, *HEARD, *STORED)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))


async def all_killed(story: Story, made: Sequence[Desk]) -> list[Killed]:
    """One at each point, a few at a time: each is a process of its own."""
    few = asyncio.Semaphore(3)

    async def one(desk: Desk, label: str) -> Killed:
        async with few:
            return await killed(story, desk, label)

    return await asyncio.gather(*(one(*each) for each in zip(made, POINTS, strict=True)))


async def killed(story: Story, desk: Desk, label: str) -> Killed:
    """A process that has nothing else to do dies there. Its lease is long, so that a slow machine changes nothing of
    what it does, and is over afterwards.
    """
    event = await story.begin(desk)
    await story.ask(desk, event)
    process = desk.process(fault_at=label, lease_seconds="60")
    try:
        assert await asyncio.to_thread(process.wait, 120) == -signal.SIGKILL, label
    finally:
        process.kill()
    over = utc_now() - dt.timedelta(seconds=1)
    held = {"_id": str(event.opportunity_id), "lease": {"$exists": True}}
    await desk.store.collection.update_one(held, {"$set": {"lease.until": over}})
    return Killed(label, desk, event)


async def resolved(desk: Desk, attempt: Attempt, outcome: str) -> None:
    told = Resolution.model_validate({"outcome": outcome, "reason": "asked by phone"})
    resolver = Resolver(desk.store, desk.vault, desk.settings, lambda: None)
    await resolver.resolve(OPERATOR, attempt.id, told, f"key-{attempt.id}", "request-1")


@pytest.mark.parametrize("story", [ACCEPTING, WITHDRAWING], ids=lambda story: story.name)
async def test_killed_at_every_point_a_keyed_partner_has_it_once(
    story: Story, tmp_path: Path, mongo: str, sandbox: Sandbox
) -> None:
    async with desks(tmp_path, mongo, sandbox, [str(n) for n in range(len(POINTS))]) as made:
        cases = await all_killed(story, made)
        async with AsyncExitStack() as others:
            for case in cases:
                await others.enter_async_context(case.desk.lanes())
            for case in cases:
                await story.until(case.desk, case.event, "acked")
        for case in cases:
            assert await story.done(case.desk, case.event) == 1, case.label
            doubted = case.label in (*NOTED, *HEARD)
            told = await story.told(case.desk, case.event)
            assert told == (["unknown"] if doubted else []) + ["accepted"], case.label
            assert once_by_id(case.desk.heard.records), case.label


async def test_killed_at_every_point_a_registration_is_cancelled_once_or_a_person_is_asked(
    tmp_path: Path, mongo: str, sandbox: Sandbox
) -> None:
    story = CANCELLING
    async with desks(tmp_path, mongo, sandbox, [str(n) for n in range(len(POINTS))]) as made:
        cases = await all_killed(story, made)
        async with AsyncExitStack() as others:
            for case in cases:
                await others.enter_async_context(case.desk.lanes())
            for case in cases:
                doubted = case.label in (*NOTED, *HEARD)
                attempt = await story.until(case.desk, case.event, "parked" if doubted else "acked")
                assert await story.done(case.desk, case.event) == (case.label not in NOTED), case.label
                if doubted:
                    assert asks_a_person(attempt), case.label
                    assert await _asked(case.desk) == [attempt.id], case.label
                if case.label in NOTED:  # the person looks there, and it goes once more
                    await resolved(case.desk, attempt, "not-sent")
                if case.label in HEARD:  # the registry's own status says it before anybody has looked
                    await word(case.desk, case.event, Status.WITHDRAWN)
            for case in cases:
                await story.until(case.desk, case.event, "acked")
        for case in cases:
            assert await story.done(case.desk, case.event) == 1, case.label
            assert once_by_id(case.desk.heard.records), case.label


async def _asked(desk: Desk) -> list[str]:
    page = await People(desk.store).attempts(OPERATOR, "parked", 50, None)
    return [each["id"] for each in page["items"]]


@pytest.mark.parametrize("label", HEARD)
async def test_the_registry_says_that_it_is_cancelled_before_the_killed_process_is_back(
    label: str, tmp_path: Path, mongo: str, sandbox: Sandbox
) -> None:
    """Its feed is faster than a lease: who comes back finds the question answered, and asks nobody."""
    async with desks(tmp_path, mongo, sandbox, ["one"]) as (desk,):
        case = await killed(CANCELLING, desk, label)
        await word(desk, case.event, Status.WITHDRAWN)
        async with desk.lanes():
            await CANCELLING.until(desk, case.event, "acked", 15)
        assert await CANCELLING.told(desk, case.event) == ["accepted"]
        assert await CANCELLING.done(desk, case.event) == 1


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_lost_reply(story: Story, tmp_path: Path, mongo: str, sandbox: Sandbox) -> None:
    async with desks(tmp_path, mongo, sandbox, ["one"]) as (desk,):
        event = await story.begin(desk)
        dial(desk, story.partner, kind="drop_reply", operation=story.call, times=1)
        try:
            async with desk.lanes():
                await story.ask(desk, event)
                attempt = await story.until(desk, event, "parked" if story is CANCELLING else "acked")
        finally:
            undial(desk, story.partner)
        assert await story.done(desk, event) == 1
        if story is CANCELLING:
            assert (attempt.tries, asks_a_person(attempt)) == (1, True)
        else:
            assert (attempt.tries, attempt.unknowns) == (2, 1)
            assert await story.told(desk, event) == ["unknown", "accepted"]


@pytest.mark.parametrize("label", ["partner.sending#1", "partner.after#1"])
async def test_what_outlived_its_key_goes_no_second_time(
    label: str, tmp_path: Path, mongo: str, sandbox: Sandbox
) -> None:
    """This lender forgets a key after a day: from then on the withdrawal is blind, and a person is asked."""
    async with desks(tmp_path, mongo, sandbox, ["one"]) as (desk,):
        case = await killed(WITHDRAWING, desk, label)
        await _sent_yesterday(desk, case.event)
        async with desk.lanes():
            attempt = await WITHDRAWING.until(desk, case.event, "parked")
        assert asks_a_person(attempt)
        assert (attempt.tries, await WITHDRAWING.told(desk, case.event)) == (1, ["parked"])
        assert await WITHDRAWING.done(desk, case.event) == (label == "partner.after#1")
        await resolved(desk, attempt, "sent-elsewhere" if label == "partner.after#1" else "not-sent")
        async with desk.lanes():
            await WITHDRAWING.until(desk, case.event, "acked")
        assert await WITHDRAWING.done(desk, case.event) == 1


async def _sent_yesterday(desk: Desk, event: Submit) -> None:
    where = {"_id": str(event.opportunity_id), "attempts.operation": "withdraw"}
    await desk.store.collection.update_one(where, {"$set": {"attempts.$.sent_at": utc_now() - dt.timedelta(hours=25)}})


async def test_a_key_that_ends_while_the_outcome_is_unknown_leaves_the_question_to_a_person(
    tmp_path: Path, mongo: str, sandbox: Sandbox
) -> None:
    async with desks(tmp_path, mongo, sandbox, ["one"], partner_processing_seconds="1.5") as (desk,):
        event = await WITHDRAWING.begin(desk)
        dial(desk, "soap-lender", kind="drop_reply", operation="update", times=1)
        try:
            async with desk.lanes():
                await WITHDRAWING.ask(desk, event)
                await WITHDRAWING.until(desk, event, "unknown")
                await _sent_yesterday(desk, event)
                attempt = await WITHDRAWING.until(desk, event, "parked")
        finally:
            undial(desk, "soap-lender")
        assert (attempt.reason, attempt.plan) == ("key-expired", "person")
        told = [each for each in await desk.acks(event) if each.operation == "withdraw"]
        assert [(each.outcome, each.plan) for each in told] == [("unknown", "repeat"), ("parked", "person")]
        assert await WITHDRAWING.done(desk, event) == 1


async def test_an_acceptance_that_was_tried_often_enough_is_a_persons_and_goes_again_on_their_word(
    tmp_path: Path, mongo: str, sandbox: Sandbox
) -> None:
    async with desks(tmp_path, mongo, sandbox, ["one"]) as (desk,):
        event = await ACCEPTING.begin(desk)
        dial(desk, "reference-partner", kind="status", operation="accept", status=503)
        try:
            async with desk.lanes(breaker_failures="50"):
                await ACCEPTING.ask(desk, event)
                attempt = await ACCEPTING.until(desk, event, "parked")
        finally:
            undial(desk, "reference-partner")
        assert asks_a_person(attempt)
        assert await ACCEPTING.done(desk, event) == 0
        await resolved(desk, attempt, "not-sent")
        async with desk.lanes():
            await ACCEPTING.until(desk, event, "acked")
        assert await ACCEPTING.done(desk, event) == 1
