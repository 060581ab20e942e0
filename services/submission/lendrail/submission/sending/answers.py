"""From what a channel brought back to the event that decides each attempt of the call. Pure."""

from __future__ import annotations

import structlog

from lendrail.partners import exchange
from lendrail.partners.exchange import (
    Absent,
    Accepted,
    CredentialRefused,
    FileResult,
    Outcome,
    PartlyAccepted,
    Present,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Partner
from lendrail.submission.attempts.attempt import UNDER_WAY, Attempt, State
from lendrail.submission.attempts.classify import Event, IdTaken, LookedUp, NotSent

log = structlog.get_logger()


def event_of(partner: Partner, request: Request, answer: Reply | exchange.NotSent | exchange.NoAnswer) -> Event:
    if isinstance(answer, Reply):
        try:
            outcome: Outcome = partner.outcome(request, answer)
        except Exception as error:  # the call is over; what we cannot read we do not know
            log.error("a reply could not be read", partner=partner.name, exc_info=error)
            return Unknown("unreadable-reply")
        if isinstance(outcome, Accepted) and not all(exchange.GIVEN.fullmatch(each) for each in outcome.given.values()):
            return Unknown("unusable-id")
        return outcome
    if isinstance(answer, exchange.NoAnswer):
        return Unknown("no-answer")
    if answer.reason == "credential-refused":
        return CredentialRefused()
    return NotSent(answer.reason, counts=answer.reason != "withheld")


def looked_up(partner: Partner, request: Request, answer: Reply | exchange.NotSent | exchange.NoAnswer) -> Event:
    """What came of asking for our reference. Nothing was changed by it, so whatever is unclear is asked again."""
    if isinstance(answer, exchange.NotSent):
        return CredentialRefused() if answer.reason == "credential-refused" else LookedUp(told=False)
    if isinstance(answer, exchange.NoAnswer) or partner.found is None:
        return LookedUp(told=False)
    try:
        found = partner.found(request, answer)
        refused = partner.outcome(request, answer) if isinstance(found, Unknown) else None
    except Exception as error:
        log.error("a search could not be read", partner=partner.name, exc_info=error)
        return LookedUp(told=False)
    if isinstance(found, Present):
        return LookedUp(found.partner_id)
    if isinstance(found, Absent):
        return LookedUp()
    return refused if isinstance(refused, CredentialRefused | RetryLater) else LookedUp(told=False)


def still_open(attempt: Attempt, event: Event) -> bool:
    """Whether the event still decides the attempt: also after somebody declared it lost, when it is a clear answer, or
    the answer to a look for our reference.
    """
    late = Accepted | Rejected | LookedUp | IdTaken
    if attempt.in_doubt and attempt.state == State.PARKED:
        return isinstance(event, Accepted | Rejected | IdTaken)
    return attempt.state in UNDER_WAY or (attempt.state == State.UNKNOWN and isinstance(event, late))


def unread(event: Event, reply: Reply | None) -> Reply | None:
    """The reply where it leaves us not knowing: a person may want to read it."""
    told_nothing = isinstance(event, LookedUp) and not event.told
    return reply if told_nothing or isinstance(event, Unknown | IdTaken) else None


def each_event(event: Event, count: int) -> list[Event]:
    """The event of each attempt of a call."""
    if not isinstance(event, PartlyAccepted):
        return [event] * count
    if len(event.files) != count:
        return [Unknown("unreadable-reply")] * count
    return [_of_file(each) for each in event.files]


def _of_file(result: FileResult) -> Event:
    return Accepted() if result.accepted else Rejected((), result.words)
