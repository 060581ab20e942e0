"""What an event comes to: the opportunity with it in effect, and what is stored and told with it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lendrail.contracts.partner_ack import Outcome, PartnerAck
from lendrail.contracts.submit import Submit
from lendrail.contracts.terms import FieldProblem
from lendrail.partners.exchange import Request
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State


@dataclass(frozen=True, slots=True)
class Plan:
    opportunity: Opportunity
    requests: dict[str, tuple[Request, ...]] = field(default_factory=dict)
    """By attempt, in the order of its calls."""
    acks: tuple[PartnerAck, ...] = ()
    kept: dict[str, Submit] = field(default_factory=dict)
    """By attempt, the event that is kept whole until the outcome of the creation decides what it comes to."""


_OUTCOMES: dict[State, Outcome] = {State.ACKED: "accepted", State.PARKED: "parked", State.REJECTED: "rejected"}


def told(opportunity: Opportunity, attempt: Attempt, now: dt.datetime, problems: Sequence[FieldProblem] = ()) -> Plan:
    """With this attempt, which needs no call, or never comes to one."""
    attempt = replace(attempt, version=attempt.version + 1)
    opportunity = opportunity.put(attempt)
    outcome: Outcome = _OUTCOMES.get(attempt.state, "not-sent")
    return Plan(opportunity, acks=(moves.ack(opportunity, attempt, outcome, now, tuple(problems)),))


def refused(opportunity: Opportunity, attempt: Attempt, code: str, message: str, now: dt.datetime) -> Plan:
    """The partner cannot do it, so it is not asked."""
    found = FieldProblem(pointer="", code=code, message=message, phase="partner", partner=opportunity.partner)
    return told(opportunity, replace(attempt, state=State.REJECTED, reason=code, due=None), now, (found,))


def not_sent(opportunity: Opportunity, attempt: Attempt, reason: str, now: dt.datetime) -> Plan:
    return told(opportunity, replace(attempt, state=State.CANCELLED, reason=reason, due=None), now)


def merged(before: Plan, after: Plan) -> Plan:
    """Of two steps in turn."""
    return Plan(after.opportunity, before.requests | after.requests, before.acks + after.acks, before.kept | after.kept)
