"""From what a channel brought back to the event that decides each attempt of the call. Pure."""

from __future__ import annotations

import structlog

from lendrail.partners import exchange
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    FileResult,
    Outcome,
    PartlyAccepted,
    Rejected,
    Reply,
    Request,
    Unknown,
)
from lendrail.partners.partner import Partner
from lendrail.submission.attempt import UNDER_WAY, Attempt, State
from lendrail.submission.classify import Event, NotSent

log = structlog.get_logger()


def event_of(partner: Partner, request: Request, answer: Reply | exchange.NotSent | exchange.NoAnswer) -> Event:
    if isinstance(answer, Reply):
        try:
            outcome: Outcome = partner.outcome(request, answer)
        except Exception as error:  # the call is over; what we cannot read we do not know
            log.error("a reply could not be read", partner=partner.name, exc_info=error)
            return Unknown("unreadable-reply")
        return outcome
    if isinstance(answer, exchange.NoAnswer):
        return Unknown("no-answer")
    if answer.reason == "credential-refused":
        return CredentialRefused()
    return NotSent(answer.reason, counts=answer.reason != "withheld")


def still_open(attempt: Attempt, event: Event) -> bool:
    """Whether the event still decides the attempt: also after somebody declared it lost, when it is a clear answer."""
    return attempt.state in UNDER_WAY or (attempt.state == State.UNKNOWN and isinstance(event, Accepted | Rejected))


def each_event(event: Event, count: int) -> list[Event]:
    """The event of each attempt of a call."""
    if not isinstance(event, PartlyAccepted):
        return [event] * count
    if len(event.files) != count:
        return [Unknown("unreadable-reply")] * count
    return [_of_file(each) for each in event.files]


def _of_file(result: FileResult) -> Event:
    return Accepted() if result.accepted else Rejected((), result.words)
