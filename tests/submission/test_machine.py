"""Any order of outcomes, crashes, lost leases and new revisions, against a partner that counts."""

import datetime as dt
from collections import Counter
from dataclasses import replace

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests import make
from tests.submission.amended import decided
from tests.submission.desk import submit
from tests.submission.test_plan import DESK, planned, send

from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Submit
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, CredentialRefused, Duplicate, Rejected, RetryLater, Unknown
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import FINAL, UNDER_WAY, Attempt, Opportunity, State, reference
from lendrail.submission.attempts.classify import Event, Lost, NotSent, classify
from lendrail.submission.attempts.moves import Result
from lendrail.submission.attempts.turns import due_now, undecided

OPERATIONS = PARTNERS["forward-financing"].operations
SETTLE = OPERATIONS["create"].processing
REPLIES = st.sampled_from(["answer", "lost", "rejected", "429", "401", "not-sent", "crash", "crash-unsent"])


def _heard(answer: Event, reply: str) -> Event | None:
    """What reaches us of the partner's answer; None: we are gone."""
    if reply == "crash":
        return None
    return Unknown("no-answer") if reply == "lost" else answer


class Lives(RuleBasedStateMachine):
    """One opportunity with one document at a partner of class B, whose documents are blind."""

    def __init__(self) -> None:
        super().__init__()
        self.application = make.new_id()
        self.revision = 1
        self.opportunity: Opportunity = planned(submit(self.application, intent=send())).opportunity
        self.now = make.NOW
        self.leads: Counter[str] = Counter()
        self.documents: Counter[str] = Counter()
        self.doubt: dict[str, dt.datetime] = {}
        self.acks: list[PartnerAck] = []
        self.kept: dict[str, Submit] = {}
        self.final: dict[str, State] = {}

    def _result(self, attempt: Attempt, event: Event) -> Result:
        verdict = classify(OPERATIONS[attempt.operation], attempt, event, 4)
        waits = {"none": 0.0, "settle": SETTLE, "retry": 1.0, "after": verdict.seconds}
        partner_id = event.partner_id if isinstance(event, Accepted) else None
        return Result(attempt.id, verdict, waits[verdict.wait], partner_id)

    def _take(self, move: moves.Move) -> None:
        self.opportunity = move[0]
        self.acks += move[1]

    @rule(reply=REPLIES)
    def call(self, reply: str) -> None:
        """A worker claims the opportunity and does what is due."""
        self._take(moves.recover(self.opportunity, lambda each: self._result(each, Lost()), self.now))
        while (held := undecided(self.opportunity)) is not None:
            made = decided(self.opportunity, held, self.kept[held.id], DESK, self.kept[held.id])
            self._take((made.opportunity, made.acks))
        batch = due_now(self.opportunity, self.now, 1)
        if not batch:
            return
        before = batch[0]
        if before.id in self.doubt and reply != "not-sent":
            assert self.now >= self.doubt[before.id] + dt.timedelta(seconds=SETTLE), "sent again before it was settled"
        self.opportunity = moves.begin(self.opportunity, batch, "digest", self.now)
        attempt = self.opportunity.attempt(before.id)
        event = self._partner(attempt, reply)
        if reply in ("lost", "crash"):
            self.doubt[attempt.id] = self.now
        if event is not None:
            self._take(moves.finish(self.opportunity, [self._result(attempt, event)], self.now))

    def _partner(self, attempt: Attempt, reply: str) -> Event | None:
        refusals: dict[str, Event | None] = {
            "429": RetryLater(2.0),
            "401": CredentialRefused(),
            "not-sent": NotSent("refused"),
            "crash-unsent": None,
        }
        if reply in refusals:
            return refusals[reply]
        if attempt.operation == "document":
            if reply == "rejected":
                return Rejected(())
            self.documents[attempt.id] += 1
            return _heard(Accepted(), reply)
        if reply == "rejected" and not self.leads[reference(attempt)]:
            return Rejected(())
        known = self.leads[reference(attempt)] > 0
        if not known:
            self.leads[reference(attempt)] += 1
        answer: Event = Duplicate() if known else Accepted("lead-" + attempt.id)
        return _heard(answer, reply)

    @rule(seconds=st.sampled_from([1, 60, 121, 4000]))
    def wait(self, seconds: int) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @rule()
    def revise(self) -> None:
        self.revision += 1
        found = planned(submit(self.application, self.revision, intent=send()), self.opportunity)
        self.kept |= found.kept
        self._take((found.opportunity, found.acks))

    @precondition(lambda self: any(a.state == State.SUBMITTED_ID_UNKNOWN for a in self.opportunity.attempts))
    @rule()
    def bind(self) -> None:
        attempt = next(a for a in self.opportunity.attempts if a.state == State.SUBMITTED_ID_UNKNOWN)
        self._take(resolved.bind(self.opportunity, attempt, "lead-" + attempt.id, self.now))

    @invariant()
    def the_partner_has_it_once(self) -> None:
        assert sum(self.leads.values()) <= 1, "two leads for one application"

    @invariant()
    def no_second_reference_while_the_first_may_be_there(self) -> None:
        creates = [a for a in self.opportunity.attempts if a.operation == "create"]
        assert all(a.never_taken for a in creates[:-1])

    @invariant()
    def documents_go_at_most_twice_and_only_with_an_id(self) -> None:
        assert all(count <= 2 for count in self.documents.values())
        assert not self.documents or self.opportunity.partner_id is not None

    @invariant()
    def final_states_stay(self) -> None:
        for attempt in self.opportunity.attempts:
            assert self.final.get(attempt.id, attempt.state) == attempt.state
            if attempt.state in FINAL:
                self.final[attempt.id] = attempt.state

    @invariant()
    def id_unknown_only_after_our_own_unknown(self) -> None:
        for attempt in self.opportunity.attempts:
            if attempt.state == State.SUBMITTED_ID_UNKNOWN:
                assert attempt.unknowns > 0
                assert self.leads[reference(attempt)] == 1

    @invariant()
    def what_is_acked_is_there(self) -> None:
        for attempt in self.opportunity.attempts:
            if attempt.state == State.ACKED and attempt.operation == "create":
                assert self.leads[reference(attempt)] == 1

    @invariant()
    def no_fact_is_told_twice_under_another_content(self) -> None:
        assert len({each.id for each in self.acks}) == len(self.acks)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whatever is neither decided nor a person's is under way, waits for a time, or waits for the creation."""
        create = self.opportunity.create
        assert create is not None
        for attempt in self.opportunity.attempts:
            assert attempt.state in FINAL | UNDER_WAY | {
                State.PARKED,
                State.SUBMITTED_ID_UNKNOWN,
                State.PLANNED,
                State.PREPARED,
                State.UNKNOWN,
            }
        if create.state in (State.PREPARED, State.UNKNOWN) and undecided(self.opportunity) is None:
            assert due_now(self.opportunity, self.now + dt.timedelta(days=1), 1) == (create,)


Lives.TestCase.settings = hypothesis_settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLives = Lives.TestCase


def test_planned_document_of_a_cancelled_creation_is_cancelled() -> None:
    opportunity = planned(submit(intent=send())).opportunity
    create = opportunity.create
    assert create is not None
    sending = opportunity.put(replace(create, state=State.SENDING, tries=1))
    verdict = classify(OPERATIONS["create"], replace(create, state=State.SENDING), Rejected(()), 3)
    after, acks = moves.finish(sending, [Result(create.id, verdict)], make.NOW)
    assert [each.state for each in after.attempts] == [State.REJECTED, State.CANCELLED]
    assert [each.outcome for each in acks] == ["rejected"]
