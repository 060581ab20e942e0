"""How an opportunity moves: the pure steps between a claim and what is written after a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lendrail.contracts import partner_ack
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.terms import FieldProblem
from lendrail.submission.attempt import UNDER_WAY, Attempt, Opportunity, State
from lendrail.submission.classify import Verdict


@dataclass(frozen=True, slots=True)
class Result:
    """What one call meant for one attempt. `words` are sealed; `seconds` is the wait that the verdict asks for."""

    attempt: str
    verdict: Verdict
    seconds: float = 0.0
    partner_id: str | None = None
    problems: tuple[FieldProblem, ...] = ()
    words: str | None = None


Move = tuple[Opportunity, tuple[PartnerAck, ...]]
"""The new opportunity, and the facts that are stored in the same write."""


def begin(opportunity: Opportunity, batch: Sequence[Attempt], digest: str) -> Opportunity:
    """The first byte may leave from now on; `digest` is the SHA-256 of the bytes."""
    return opportunity.put(
        *(
            replace(
                each,
                state=State.RECONCILING if each.unknowns else State.SENDING,
                tries=each.tries + 1,
                request_sha256=digest,
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
        if before.state not in UNDER_WAY and before.state != State.UNKNOWN:
            raise ValueError(f"attempt {before.id} is {before.state}")
        after = _decided(before, result, now)
        opportunity = opportunity.put(after)
        if result.partner_id is not None and after.operation == "create" and after.state == State.ACKED:
            opportunity = replace(opportunity, partner_id=result.partner_id)
        if after.operation == "create" and after.state in (State.REJECTED, State.CANCELLED):
            opportunity = cancel_documents(opportunity, after.generation, "not-submitted")
        if result.verdict.tell is not None:
            acks.append(ack(opportunity, after, result.verdict.tell, now, result.problems))
    return opportunity, tuple(acks)


def _decided(before: Attempt, result: Result, now: dt.datetime) -> Attempt:
    verdict = result.verdict
    unknowns = before.unknowns + verdict.unknowns
    return replace(
        before,
        state=verdict.state,
        version=before.version + (verdict.tell is not None),
        unknowns=unknowns,
        delays=before.delays + verdict.delays,
        unknown_since=before.unknown_since or (now if unknowns else None),
        due=now + dt.timedelta(seconds=result.seconds) if result.seconds else None,
        reason=verdict.reason,
        words=result.words or before.words,
    )


def recover(opportunity: Opportunity, decide: Callable[[Attempt], Result], now: dt.datetime) -> Move:
    """Whatever was under way under a lease that is over is lost."""
    under_way = [each for each in opportunity.attempts if each.state in UNDER_WAY]
    return finish(opportunity, [decide(each) for each in under_way], now)


def park(opportunity: Opportunity, batch: Sequence[Attempt], reason: str, now: dt.datetime) -> Move:
    """A person decides about attempts that are not under way."""
    acks = []
    for each in batch:
        parked = replace(each, state=State.PARKED, version=each.version + 1, reason=reason, due=None)
        opportunity = opportunity.put(parked)
        acks.append(ack(opportunity, parked, "parked", now))
    return opportunity, tuple(acks)


def put_off(
    opportunity: Opportunity, batch: Sequence[Attempt], reason: str, seconds: float, now: dt.datetime
) -> Opportunity:
    """Nothing was sent; later."""
    due = now + dt.timedelta(seconds=seconds)
    return opportunity.put(*(replace(each, due=due, reason=reason, delays=each.delays + 1) for each in batch))


def cancel_documents(opportunity: Opportunity, generation: int, reason: str) -> Opportunity:
    """Documents of a creation that will not be."""
    open_ones = [
        replace(each, state=State.CANCELLED, reason=reason, due=None)
        for each in opportunity.attempts
        if each.operation == "document"
        and each.generation == generation
        and each.state in (State.PLANNED, State.PREPARED)
    ]
    return opportunity.put(*open_ones)


def erase(opportunity: Opportunity) -> Opportunity:
    """The person was erased: nothing can be read any more, so nothing more is sent and nothing can be told."""
    final = (State.ACKED, State.REJECTED, State.CANCELLED)
    return opportunity.put(
        *(
            replace(each, state=State.CANCELLED, reason="erased", due=None)
            for each in opportunity.attempts
            if each.state not in final
        )
    )


def bind(opportunity: Opportunity, attempt: Attempt, partner_id: str, now: dt.datetime) -> Move:
    """A person told us the partner's id; the documents that waited for it can go."""
    bound = replace(attempt, state=State.ACKED, version=attempt.version + 1, reason="id-bound", due=None)
    opportunity = replace(opportunity.put(bound), partner_id=partner_id)
    return opportunity, (ack(opportunity, bound, "id-bound", now),)


def ack(
    opportunity: Opportunity,
    attempt: Attempt,
    outcome: partner_ack.Outcome,
    now: dt.datetime,
    problems: tuple[FieldProblem, ...] = (),
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
        document=attempt.document_name,
        outcome=outcome,
        partner_id=opportunity.partner_id if outcome in ("accepted", "id-bound") else None,
        problems=problems,
        reason=attempt.reason,
        occurred_at=now,
        next_check_at=attempt.due or now if outcome == "unknown" else None,
    )
