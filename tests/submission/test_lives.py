"""The later life of an application in any order: everything may be heard before, twice, or while nobody knows what the
partner has. A partner that knows our keys counts what it was told.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.submission.amended import (
    NOW,
    SOAP_LENDER,
    accept,
    corrected,
    decided,
    desk_of,
    first_of,
    heard,
    intended,
    late_document,
    withdraw,
)

from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Submit
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, Rejected, RetryLater, Unknown
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import FINAL, Attempt, Opportunity, State
from lendrail.submission.attempts.classify import Event, Lost, NotSent, classify
from lendrail.submission.attempts.moves import Result
from lendrail.submission.attempts.turns import due_now, undecided

FIRST = first_of(SOAP_LENDER)
EVENTS: list[Submit] = [
    FIRST,
    corrected(FIRST, SOAP_LENDER, 2),
    intended(FIRST, late_document(), 3),
    corrected(FIRST, SOAP_LENDER, 4),
    intended(FIRST, accept(), 5),
    intended(FIRST, late_document(b"another"), 6),
]
WITHDRAWAL = intended(FIRST, withdraw(), 7)
OPERATION = PARTNERS["soap-lender"].operations["create"]
REPLIES = st.sampled_from(
    ["answer", "answer", "answer", "lost", "rejected", "429", "not-sent", "crash", "crash-unsent"]
)
UNSENT: dict[str, Event | None] = {"429": RetryLater(2.0), "not-sent": NotSent("refused"), "crash-unsent": None}


class Lives(RuleBasedStateMachine):
    can: dict[str, object] = {"accept": lambda *_: None}
    """What this partner has or lacks beside."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = desk_of(SOAP_LENDER, **self.can)
        self.opportunity: Opportunity | None = None
        self.kept: dict[str, Submit] = {}
        self.now = NOW
        self.acks: list[PartnerAck] = []
        self.heard: set[int] = set()
        self.told: dict[str, str] = {}
        """By key, what the partner took."""
        self.holds = 0
        """The revision that it has; 0: none."""
        self.order: list[int] = []
        self.over = False
        """It was withdrawn for certain."""

    def _take(self, move: moves.Move) -> None:
        self.opportunity = move[0]
        self.acks += move[1]
        self.over |= any((each.operation, each.outcome) == ("withdraw", "accepted") for each in move[1])

    def _hear(self, submit: Submit) -> None:
        made = heard(self.opportunity, submit, self.desk)
        self.kept |= made.kept
        self.heard.add(submit.revision)
        self._take((made.opportunity, made.acks))

    @initialize(early=st.booleans())
    def begin(self, early: bool) -> None:
        """Mostly the application comes first, and the partner has it."""
        if not early:
            self._hear(FIRST)
            self.call("answer")

    @rule(submit=st.sampled_from([*EVENTS, *EVENTS, WITHDRAWAL]))
    def hear(self, submit: Submit) -> None:
        self._hear(submit)

    @precondition(lambda self: self.opportunity is not None)
    @rule(reply=REPLIES)
    def call(self, reply: str) -> None:
        """A worker claims the opportunity and does what is due."""
        assert self.opportunity is not None
        self._take(moves.recover(self.opportunity, lambda each: self._result(each, Lost()), self.now))
        while (held := undecided(self.opportunity)) is not None:
            made = decided(self.opportunity, held, self.kept.get(held.id), self.desk, FIRST)
            self._take((made.opportunity, made.acks))
        if not (batch := due_now(self.opportunity, self.now, 1)):
            return
        self.opportunity = moves.begin(self.opportunity, batch, "digest", self.now)
        attempt = self.opportunity.attempt(batch[0].id)
        event = self._partner(attempt, reply)
        if event is not None:
            self._take(moves.finish(self.opportunity, [self._result(attempt, event)], self.now))

    def _result(self, attempt: Attempt, event: Event) -> Result:
        verdict = classify(OPERATION, attempt, event, 6)
        seconds = {"none": 0.0, "settle": 120.0, "retry": 1.0, "after": verdict.seconds}[verdict.wait]
        return Result(attempt.id, verdict, seconds, event.partner_id if isinstance(event, Accepted) else None)

    def _partner(self, attempt: Attempt, reply: str) -> Event | None:
        if reply in UNSENT:
            return UNSENT[reply]
        assert not self.over, "sent after it was withdrawn for certain"
        if reply == "rejected" and attempt.id not in self.told:
            return Rejected(())
        if attempt.id not in self.told:
            self.told[attempt.id] = attempt.operation
            self._does(attempt)
        answer = Accepted("app-1") if attempt.operation == "create" else Accepted()
        return None if reply == "crash" else Unknown("no-answer") if reply == "lost" else answer

    def _does(self, attempt: Attempt) -> None:
        if attempt.operation == "create":
            assert self.holds == 0, "two applications"
            self.holds = 1
        if attempt.operation == "update":
            self.order.append(attempt.generation)

    @rule(seconds=st.sampled_from([1, 121, 4000]))
    def wait(self, seconds: int) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @precondition(lambda self: self.opportunity is not None and any(a.in_doubt for a in self.opportunity.attempts))
    @rule()
    def a_person_finds_it_there(self) -> None:
        assert self.opportunity is not None
        attempt = next(each for each in self.opportunity.attempts if each.in_doubt)
        if attempt.id not in self.told or attempt.state != State.PARKED:
            return
        if attempt.operation == "create":
            self._take(resolved.bind(self.opportunity, attempt, "app-1", self.now))
        else:
            self._take(resolved.settle(self.opportunity, attempt, self.now))

    @invariant()
    def each_takes_effect_once(self) -> None:
        done = list(self.told.values())
        assert all(done.count(each) <= 1 for each in ("create", "accept", "withdraw"))
        assert done.count("document") <= 2
        assert self.order == sorted(set(self.order)), "an older correction came after a newer one"

    @invariant()
    def no_fact_is_told_twice_under_another_content(self) -> None:
        assert len({each.id for each in self.acks}) == len(self.acks)

    def teardown(self) -> None:
        """In the end, when the partner answers, everything that was heard has come to something."""
        for _ in range(60):
            self.call("answer") if self.opportunity else None
            self.now += dt.timedelta(hours=1)
        if self.opportunity is None:
            return
        create = self.opportunity.create
        open_ones = [each for each in self.opportunity.attempts if each.state not in (*FINAL, State.PARKED)]
        if create is not None and create.state in (State.ACKED, State.CANCELLED):
            withheld = self.opportunity.withdrawal is not None and self.opportunity.withdrawal.state == State.PARKED
            assert open_ones == [] or withheld
        if WITHDRAWAL.revision in self.heard and create is not None and create.state != State.PARKED:
            answers = [each for each in self.acks if each.operation == "withdraw"]
            assert {each.outcome for each in answers} & {"accepted", "rejected", "parked"}


class Narrow(Lives):
    """At a partner that takes nothing later."""

    can = {"accept": None, "withdraw": None, "update": None, "document": None}


for machine in (Lives, Narrow):
    machine.TestCase.settings = hypothesis_settings(max_examples=200, stateful_step_count=40, deadline=None)
TestLives = Lives.TestCase
TestNarrow = Narrow.TestCase


def test_every_order_of_three_events_sends_nothing_after_a_withdrawal() -> None:
    for events in ([FIRST, EVENTS[2], WITHDRAWAL], [WITHDRAWAL, FIRST, EVENTS[2]], [EVENTS[2], WITHDRAWAL, FIRST]):
        opportunity: Opportunity | None = None
        for each in (*events, *events):
            opportunity = heard(opportunity, each, replace(desk_of(SOAP_LENDER))).opportunity
        assert opportunity is not None
        assert due_now(opportunity, NOW + dt.timedelta(days=1), 25) == ()
