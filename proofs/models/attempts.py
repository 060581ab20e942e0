"""An attempt against a partner that counts, for every class of what a partner gives: never two records of one wish.

The moves and the table of verdicts are the product's own; what a lane does around them (in `workers.py`) is told again
here in a few lines, with all that can happen between them: a request that arrives late or never, a reply that is lost,
a process that dies before or after the first byte, one that wakes with an answer when others have gone on, and a person
who looks at the partner and tells the truth.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests import make
from tests.submission.desk import submit
from tests.submission.test_plan import planned, send

from lendrail.partners.exchange import Accepted, CredentialRefused, Duplicate, Rejected, RetryLater, Unknown
from lendrail.partners.partner import Capability, Operation
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import FINAL, UNDER_WAY, Attempt, Opportunity, State, reference
from lendrail.submission.attempts.classify import ABSENCES, SEARCHED, Event, LookedUp, Lost, NotSent, classify, expired
from lendrail.submission.attempts.moves import Result
from lendrail.submission.attempts.turns import due_now
from lendrail.submission.sending.answers import still_open

PROCESSING = 120.0
LEASE = 120.0
KEY_LIFE = 900.0
MOST_DELAYS = 4
OPERATIONS = {
    "A": Operation(capability=Capability.KEYED, processing=PROCESSING, repeats=3, key_life=KEY_LIFE),
    "B": Operation(capability=Capability.UNIQUE_REFERENCE, processing=PROCESSING, repeats=3),
    "C": Operation(capability=Capability.SEARCHABLE, processing=PROCESSING, repeats=2),
    "D": Operation(capability=Capability.ASYNCHRONOUS, processing=PROCESSING, repeats=2),
    "E": Operation(capability=Capability.BLIND, processing=PROCESSING),
}
REPLIES = ("answer", "lost", "never", "rejected", "429", "401", "not-sent", "crash", "crash-unsent", "late")


@dataclass(frozen=True)
class Sent:
    """Bytes on their way to the partner."""

    reference: str
    arrives: dt.datetime


class Partner:
    """What the partner holds: the oracle. It knows nothing of attempts."""

    def __init__(self, capability: Capability) -> None:
        self._capability = capability
        self._coming: list[Sent] = []
        self.records: list[tuple[str, dt.datetime]] = []

    def sent(self, reference: str, arrives: dt.datetime) -> None:
        self._coming.append(Sent(reference, arrives))

    def arrive(self, now: dt.datetime) -> None:
        """Take what has come by now, in its order."""
        for each in sorted(self._coming, key=lambda it: it.arrives):
            if each.arrives <= now:
                self._coming.remove(each)
                self.take(each.reference, each.arrives)

    def take(self, reference: str, at: dt.datetime) -> Event:
        """One request; what it is answered."""
        before = [taken for known, taken in self.records if known == reference]
        if before and self._capability == Capability.UNIQUE_REFERENCE:
            return Duplicate()
        remembers = before and (at - before[0]).total_seconds() < KEY_LIFE
        if not (self._capability == Capability.KEYED and remembers):
            self.records.append((reference, at))
        return Accepted(f"at-{reference}")

    def has(self, reference: str) -> bool:
        return any(known == reference for known, _ in self.records)


class Attempts(RuleBasedStateMachine):
    """One creation; subclasses say at a partner of which class."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.operation = OPERATIONS[self.kind]
        self.partner = Partner(self.operation.capability)
        self.opportunity: Opportunity = planned(submit(intent=send(documents=()))).opportunity
        self.now = make.NOW
        self.final: dict[str, State] = {}
        self.asleep: list[tuple[str, int, Event]] = []
        """Answers in processes that are frozen: of which attempt, at which try."""
        self.over: dt.datetime | None = None
        """When the lease of whoever died, or sleeps, under way is over."""

    # -- what a lane does

    def _age(self, attempt: Attempt) -> float:
        return (self.now - attempt.sent_at).total_seconds() if attempt.sent_at else 0.0

    def _result(self, attempt: Attempt, event: Event) -> Result:
        verdict = classify(self.operation, attempt, event, MOST_DELAYS, self._age(attempt))
        waits = {"none": 0.0, "settle": self.operation.processing, "retry": 1.0, "after": verdict.seconds}
        partner_id = event.partner_id if isinstance(event, Accepted | LookedUp) else None
        return Result(attempt.id, verdict, waits[verdict.wait], partner_id)

    def _finish(self, attempt: str, tries: int, event: Event) -> None:
        """As a lane does: only what nobody decided meanwhile, or what this answer decides better."""
        found = self.opportunity.attempt(attempt)
        if found.tries == tries and still_open(found, event):
            self.opportunity, _ = moves.finish(self.opportunity, [self._result(found, event)], self.now)

    @rule(reply=st.sampled_from(REPLIES), late=st.sampled_from([0.0, 1.0, 60.0, PROCESSING]))
    def work(self, reply: str, late: float) -> None:
        """A lane claims the opportunity and does one thing that is due."""
        self.partner.arrive(self.now)
        if self.over is not None and self.now < self.over:
            return
        self.over = None
        self.opportunity, _ = moves.recover(self.opportunity, lambda each: self._result(each, Lost()), self.now)
        batch = due_now(self.opportunity, self.now, 1)
        if not batch:
            return
        looks = self.operation.capability in SEARCHED and batch[0].unknowns > 0 and batch[0].absences < ABSENCES
        if looks:
            return self._look_up(batch[0], reply)
        if batch[0].unknowns and expired(self.operation, self._age(batch[0])):
            self.opportunity, _ = moves.park(self.opportunity, batch, "key-expired", self.now)
            return None
        self.opportunity = moves.begin(self.opportunity, batch, "digest", self.now)
        return self._called(self.opportunity.attempt(batch[0].id), reply, late)

    def _look_up(self, attempt: Attempt, reply: str) -> None:
        known = reference(attempt)
        told = reply not in ("lost", "never", "429", "401")
        found = LookedUp(f"at-{known}" if self.partner.has(known) else None) if told else LookedUp(told=False)
        self.opportunity, _ = moves.finish(self.opportunity, [self._result(attempt, found)], self.now)

    def _called(self, attempt: Attempt, reply: str, late: float) -> None:
        left: dict[str, Event] = {
            "429": RetryLater(2.0), "401": CredentialRefused(), "not-sent": NotSent("refused"),
            "never": Unknown("no-answer"), "lost": Unknown("no-answer"),
        }  # fmt: skip
        known = reference(attempt)
        if reply in ("lost", "crash"):
            self.partner.sent(known, self.now + dt.timedelta(seconds=late))
        if reply in ("crash", "crash-unsent"):
            self.over = self.now + dt.timedelta(seconds=LEASE)
        elif reply in left:
            self._finish(attempt.id, attempt.tries, left[reply])
        elif reply == "rejected" and not self.partner.has(known):
            self._finish(attempt.id, attempt.tries, Rejected(()))
        else:
            answer = self.partner.take(known, self.now)
            if reply == "late":
                self.asleep.append((attempt.id, attempt.tries, answer))
                self.over = self.now + dt.timedelta(seconds=LEASE)
            else:
                self._finish(attempt.id, attempt.tries, answer)

    @precondition(lambda self: self.asleep)
    @rule()
    def wake(self) -> None:
        """A frozen process goes on with the answer that it had."""
        self._finish(*self.asleep.pop(0))

    @rule(seconds=st.sampled_from([1.0, 60.0, PROCESSING + 1, KEY_LIFE, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)
        self.partner.arrive(self.now)

    # -- what a person does

    @precondition(lambda self: self._open_to_a_person() is not None)
    @rule()
    def resolve(self) -> None:
        """After the lease and the partner's longest time a person looks there, and tells what is there."""
        attempt = self._open_to_a_person()
        assert attempt is not None
        began = attempt.unknown_since or attempt.sent_at or self.now
        if self.now < began + dt.timedelta(seconds=LEASE + PROCESSING):
            return
        known = reference(attempt)
        if self.partner.has(known):
            self.opportunity, _ = resolved.bind(self.opportunity, attempt, f"at-{known}", self.now)
        elif attempt.planned and attempt.state != State.SUBMITTED_ID_UNKNOWN:
            self.opportunity, _ = resolved.send_again(self.opportunity, attempt, self.now, self.now)

    def _open_to_a_person(self) -> Attempt | None:
        create = self.opportunity.create
        states = (State.PARKED, State.UNKNOWN, State.SUBMITTED_ID_UNKNOWN)
        return create if create is not None and create.state in states else None

    # -- what always holds

    @invariant()
    def the_partner_has_it_once(self) -> None:
        assert len(self.partner.records) <= 1, "two records of one application"

    @invariant()
    def what_is_told_is_so(self) -> None:
        for attempt in self.opportunity.attempts:
            if attempt.state in (State.ACKED, State.SUBMITTED_ID_UNKNOWN):
                assert self.partner.has(reference(attempt))
            if attempt.state == State.REJECTED and not attempt.unknowns:
                assert not self.partner.records

    @invariant()
    def final_states_stay(self) -> None:
        for attempt in self.opportunity.attempts:
            assert self.final.get(attempt.id, attempt.state) == attempt.state
            if attempt.state in FINAL:
                self.final[attempt.id] = attempt.state

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whatever is neither final nor a person's will be taken up by itself."""
        create = self.opportunity.create
        assert create is not None
        if create.state not in FINAL | UNDER_WAY | {State.PARKED, State.SUBMITTED_ID_UNKNOWN}:
            assert due_now(self.opportunity, self.now + dt.timedelta(days=1), 1) == (create,)

    def teardown(self) -> None:
        """With a partner that behaves, it comes to an end."""
        for _ in range(12):
            self.wait(4000.0)
            self.work("answer", 0.0)
            while self.asleep:
                self.wake()
            self.the_partner_has_it_once()
            self.what_is_told_is_so()
        create = self.opportunity.create
        assert create is not None
        assert create.state in FINAL | {State.PARKED, State.SUBMITTED_ID_UNKNOWN}


class Keyed(Attempts):
    kind = "A"


class UniqueReference(Attempts):
    kind = "B"


class Searchable(Attempts):
    kind = "C"


class Asynchronous(Attempts):
    kind = "D"


class Blind(Attempts):
    kind = "E"


MACHINES: tuple[type[Attempts], ...] = (Keyed, UniqueReference, Searchable, Asynchronous, Blind)
