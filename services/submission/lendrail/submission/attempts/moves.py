"""How an opportunity moves: the pure steps between a claim and what is written after a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lendrail.contracts import partner_ack
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.terms import FieldProblem, Report, Status
from lendrail.submission.attempts.attempt import (
    APPLICANT,
    FINAL,
    OPEN,
    UNDER_WAY,
    Attempt,
    Opportunity,
    State,
)
from lendrail.submission.attempts.beside import superseded
from lendrail.submission.attempts.classify import Verdict


@dataclass(frozen=True, slots=True)
class Result:
    """What one call meant for one attempt. `words` are sealed; `seconds` is the wait that the verdict asks for."""

    attempt: str
    verdict: Verdict
    seconds: float = 0.0
    partner_id: str | None = None
    problems: tuple[FieldProblem, ...] = ()
    words: str | None = None
    report: Report | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, Any] | None = None


NAMELESS = "nothing-to-follow"
"""The partner gave no id that could be named."""
PARTNER_ID = "partnerId"
"""Among what answers gave: the id that an earlier call of a creation brought."""
Move = tuple[Opportunity, tuple[PartnerAck, ...]]
"""The new opportunity, and the facts that are stored in the same write."""


def unless_moved(batch: Sequence[Attempt], move: Callable[[Opportunity], Move]) -> Callable[[Opportunity], Move | None]:
    """`move` for as long as these attempts are as they were when it was decided on: who withdraws, corrects or has the
    registry's word needs no lease, and what they stored since must not be overruled.
    """

    def checked(opportunity: Opportunity) -> Move | None:
        return move(opportunity) if all(each in opportunity.attempts for each in batch) else None

    return checked


def begin(opportunity: Opportunity, batch: Sequence[Attempt], digest: str, now: dt.datetime) -> Opportunity:
    """The first byte may leave from now on; `digest` is the SHA-256 of the bytes."""
    return opportunity.put(
        *(
            replace(
                each,
                state=State.RECONCILING if each.unknowns else State.SENDING,
                tries=each.tries + 1,
                request_sha256=digest,
                sent_at=each.sent_at or now,
                due=None,
                reason=None,
            )
            for each in batch
        )
    )


def finish(opportunity: Opportunity, results: Sequence[Result], now: dt.datetime) -> Move:
    """Carry out the verdicts. Raises ValueError for an attempt that is in no state to be decided."""
    acks = []
    for result in results:
        before = opportunity.attempt(result.attempt)
        if before.state not in UNDER_WAY and not before.in_doubt:
            raise ValueError(f"attempt {before.id} is {before.state}")
        after = _decided(before, result, now)
        opportunity = opportunity.put(after)
        if after.operation == "create":
            opportunity = _created(opportunity, after, result)
        if after.subject == APPLICANT and after.state == State.ACKED:
            opportunity = withdrawn(opportunity)
        if result.verdict.tell is not None:
            acks.append(ack(opportunity, after, result.verdict.tell, now, result.problems, result.report))
    return opportunity, tuple(acks)


def _created(opportunity: Opportunity, create: Attempt, result: Result) -> Opportunity:
    """What a creation means for all that was to follow it."""
    if create.state in (State.REJECTED, State.CANCELLED):
        return cancel_following(opportunity, create.generation, "not-submitted", added=False)
    if create.state != State.ACKED:
        return opportunity
    opportunity = replace(superseded(opportunity), partner_id=result.partner_id or create.given.get(PARTNER_ID))
    if result.report is not None and result.report.status == Status.DECLINED:
        return cancel_following(opportunity, create.generation, "declined", keep="supplement")
    if opportunity.partner_id is None:
        return cancel_following(opportunity, create.generation, NAMELESS, keep="supplement")
    return opportunity


def _decided(before: Attempt, result: Result, now: dt.datetime) -> Attempt:
    verdict = result.verdict
    unknowns = before.unknowns + verdict.unknowns
    after = replace(
        before,
        state=verdict.state,
        version=before.version + (verdict.tell is not None),
        unknowns=unknowns,
        delays=before.delays + verdict.delays,
        unknown_since=before.unknown_since or (now if unknowns else None),
        absences=before.absences if verdict.absences is None else verdict.absences,
        due=now + dt.timedelta(seconds=result.seconds) if result.seconds else None,
        reason=verdict.reason,
        plan=verdict.plan,
        words=result.words or before.words,
        unread=result.unread or before.unread,
        problems=kept(result.problems) or before.problems,
    )
    return _next_step(after, result) if verdict.next_step else after


def _next_step(attempt: Attempt, result: Result) -> Attempt:
    """The call is done for good; what was doubtful about it is over."""
    given = {**attempt.given, **result.given} | ({PARTNER_ID: result.partner_id} if result.partner_id else {})
    return replace(
        attempt, step=attempt.step + 1, given=given, unknowns=0, absences=0, unknown_since=None, sent_at=None, delays=0
    )


def kept(problems: Sequence[FieldProblem]) -> tuple[Mapping[str, str], ...]:
    """As an attempt keeps them."""
    return tuple({"pointer": each.pointer, "code": each.code, "message": each.message} for each in problems)


def recover(opportunity: Opportunity, decide: Callable[[Attempt], Result], now: dt.datetime) -> Move:
    """Whatever was under way under a lease that is over is lost."""
    under_way = [each for each in opportunity.attempts if each.state in UNDER_WAY]
    return finish(opportunity, [decide(each) for each in under_way], now)


def park(opportunity: Opportunity, batch: Sequence[Attempt], reason: str, now: dt.datetime) -> Move:
    """A person decides about attempts that are not under way."""
    acks = []
    for each in batch:
        parked = replace(each, state=State.PARKED, version=each.version + 1, reason=reason, plan="person", due=None)
        opportunity = opportunity.put(parked)
        acks.append(ack(opportunity, parked, "parked", now))
    return opportunity, tuple(acks)


def put_off(
    opportunity: Opportunity,
    batch: Sequence[Attempt],
    reason: str,
    seconds: float,
    now: dt.datetime,
    counts: bool = True,
) -> Opportunity:
    """Nothing was sent; later. `counts` is false where the wait is no fault of this attempt."""
    due = now + dt.timedelta(seconds=seconds)
    return opportunity.put(*(replace(each, due=due, reason=reason, delays=each.delays + counts) for each in batch))


def cancel_following(
    opportunity: Opportunity, generation: int, reason: str, keep: str = "", added: bool = True
) -> Opportunity:
    """What was to follow a creation that will not be, or after which there is nothing to do. Without `added` documents
    that came after the application wait for its next creation.
    """
    open_ones = [
        replace(each, state=State.CANCELLED, reason=reason, due=None)
        for each in opportunity.attempts
        if each.operation in {"document", "supplement"} - {keep}
        and not (each.in_thread and reason == NAMELESS)
        and (added if each.added else each.generation == generation)
        and each.state in OPEN
    ]
    return opportunity.put(*open_ones)


def withdrawn(opportunity: Opportunity) -> Opportunity:
    """Whatever has not begun will not be done."""
    planned = [each for each in opportunity.attempts if each.state in OPEN]
    return cancel(opportunity, planned, "withdrawn")


def cancel(opportunity: Opportunity, batch: Sequence[Attempt], reason: str) -> Opportunity:
    """Not sent, and no longer wanted."""
    return opportunity.put(*(replace(each, state=State.CANCELLED, reason=reason, due=None) for each in batch))


def erase(opportunity: Opportunity) -> Opportunity:
    """The person was erased: nothing can be read any more, so nothing more is sent and nothing can be told. What was
    under way never reads as if it had not been sent.
    """
    return opportunity.put(
        *(
            replace(
                each,
                state=State.CANCELLED,
                reason="erased",
                due=None,
                unknowns=each.unknowns + (each.state in UNDER_WAY),
            )
            for each in opportunity.attempts
            if each.state not in FINAL
        )
    )


def next_generation(opportunity: Opportunity, operation: str, least: int = 1) -> int:
    known = [each.generation + 1 for each in opportunity.attempts if each.operation == operation]
    return max([least, *known])


def ack(
    opportunity: Opportunity,
    attempt: Attempt,
    outcome: partner_ack.Outcome,
    now: dt.datetime,
    problems: tuple[FieldProblem, ...] = (),
    report: Report | None = None,
) -> PartnerAck:
    """The fact that this attempt, at this version, came to `outcome`."""
    return PartnerAck(
        tenant_id=opportunity.tenant,
        mode=opportunity.mode,
        application_id=opportunity.application_id,
        opportunity_id=opportunity.id,
        partner=opportunity.partner,
        credential=opportunity.credential,
        attempt_id=attempt.id,
        attempt_version=attempt.version,
        operation=attempt.operation,
        generation=attempt.generation if attempt.operation == "create" else None,
        document=attempt.document_name,
        outcome=outcome,
        partner_id=opportunity.partner_id if outcome in ("accepted", "id-bound") else None,
        report=report,
        problems=problems,
        reason=attempt.reason,
        occurred_at=now,
        asked_at=attempt.sent_at if report is not None else None,
        next_check_at=(attempt.due or now) if outcome == "unknown" else attempt.due if outcome == "not-sent" else None,
        unknown_since=attempt.unknown_since if outcome in ("unknown", "parked") else None,
        plan=attempt.plan,
    )
