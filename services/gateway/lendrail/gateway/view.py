"""The read model: an application's timeline and opportunities, folded from facts in any order. Pure.

Facts are kept one by one and folded when somebody reads, so order, repeats and late facts cannot spoil anything.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lendrail.contracts.age import age_seconds
from lendrail.contracts.application_validated import Check, Eligible, Ineligible
from lendrail.contracts.offered import history, offered
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import FieldProblem, Mode, Model, Reference, Status
from lendrail.contracts.wanted import to_do
from lendrail.gateway.shapes import AmendmentView, ApplicationView, Kind, OpportunityView, TimelineEntry
from lendrail.partners import PARTNERS

UNHEARD = dt.timedelta(minutes=1)
"""Longer than validation ever takes."""


class Change(Model):
    """What the read model has to know of a change."""

    kind: str


SENDING = (None, "corrected", "partner-added")
"""Kinds of changes (None: the application itself) after which validation's word says where the application goes; after
all others it names the opportunities concerned, which stay as they are.
"""


class Validated(Model):
    """What the read model keeps of `application-validated`: all but the application."""

    revision: int
    amendment: Change | None = None
    eligible: tuple[Eligible, ...] = ()
    ineligible: tuple[Ineligible, ...] = ()
    checks: tuple[Check, ...] = ()


class Rejected(Model):
    revision: int
    problems: tuple[FieldProblem, ...] = ()


@dataclass(frozen=True)
class Fact:
    """One event of another service, as it was said."""

    id: str
    event: str
    service: str
    time: dt.datetime
    said: Validated | Rejected | StatusUpdated


@dataclass(frozen=True)
class Received:
    """An application as it came through one of the doors."""

    application_id: uuid.UUID
    mode: Mode
    door: str
    upstream: str
    received_at: dt.datetime
    references: tuple[Reference, ...]
    revision: int = 1
    amendments: tuple[AmendmentView, ...] = ()
    """Changes as they were asked for, nothing yet said of them."""


_TOLD = (
    "status", "observed_at", "source", "partner_id", "partner_words", "partner_time", "decline_reasons", "missing_info",
    "contact", "close_chance", "closes_on", "commission", "matches", "documents_sent", "flags",
    "unknown_since", "plan", "next_check_at", "status_received_at", "partner_status", "pin", "cause",
)  # fmt: skip
"""What an opportunity's newest version says in our words for it."""

ADVANCE = (
    Status.FUNDED,
    Status.ACCEPTED,
    Status.APPROVED,
    Status.INFO_REQUIRED,
    Status.REFERRED,
    Status.IN_REVIEW,
    Status.OUTCOME_UNKNOWN,
    Status.SUBMITTED,
    Status.SUBMITTING,
    Status.RECEIVED,
    Status.DUPLICATE,
    Status.DECLINED,
    Status.EXPIRED,
    Status.WITHDRAWN,
    Status.FAILED,
    Status.INELIGIBLE,
    Status.INVALID,
    Status.ERASED,
)
"""An application is where its best opportunity is: live ones before ended ones."""


def view(received: Received, facts: Iterable[Fact], now: dt.datetime) -> ApplicationView:
    """The application as all facts together tell it; the order and the number of times they came do not matter."""
    once = sorted({fact.id: fact for fact in facts}.values(), key=_order)
    opportunities = _opportunities(once, now)
    rejected = _rejection(once)
    return ApplicationView(
        application_id=received.application_id,
        status=_overall(once, opportunities, rejected is not None),
        revision=max([received.revision, *(f.said.revision for f in once if isinstance(f.said, Validated))]),
        mode=received.mode,
        door=received.door,
        upstream=received.upstream,
        received_at=received.received_at,
        references=received.references,
        problems=rejected.problems if rejected else (),
        checks=_checks(once),
        amendments=tuple(_judged(each, once, now) for each in received.amendments),
        timeline=_timeline(received, once),
        opportunities=tuple(opportunities),
    )


def erased(received: Received) -> ApplicationView:
    """What is left of an application whose data key was deleted."""
    return ApplicationView(
        application_id=received.application_id,
        status=Status.ERASED,
        revision=received.revision,
        mode=received.mode,
        door=received.door,
        upstream=received.upstream,
        received_at=received.received_at,
    )


def _order(fact: Fact) -> tuple[dt.datetime, int, str]:
    """By time; versions of one opportunity that carry the same time stay in order."""
    return fact.time, fact.said.state_version if isinstance(fact.said, StatusUpdated) else 0, fact.id


def _rejection(facts: Sequence[Fact]) -> Rejected | None:
    """The newest word against the application itself, while none was found sound. A refused change is not one."""
    if any(isinstance(fact.said, Validated) for fact in facts):
        return None
    rejected = [fact.said for fact in facts if isinstance(fact.said, Rejected)]
    return max(rejected, key=lambda said: said.revision) if any(each.revision == 1 for each in rejected) else None


def _judged(asked: AmendmentView, facts: Sequence[Fact], now: dt.datetime) -> AmendmentView:
    """With what validation said of it, or since when it says nothing."""
    for fact in facts:
        if asked.revision is None or isinstance(fact.said, StatusUpdated) or fact.said.revision != asked.revision:
            continue
        if isinstance(fact.said, Rejected):
            return asked.model_copy(update={"state": "refused", "problems": fact.said.problems})
        return asked.model_copy(update={"state": "accepted"})
    unheard = asked.revision is not None and now - asked.at > UNHEARD
    return asked.model_copy(update={"waiting_since": asked.at}) if unheard else asked


def _timeline(received: Received, facts: Sequence[Fact]) -> tuple[TimelineEntry, ...]:
    asked = [_asked(each) for each in received.amendments]
    return (_arrival(received), *sorted([*asked, *map(_entry, facts)], key=lambda entry: entry.time))


def _asked(amendment: AmendmentView) -> TimelineEntry:
    refused = amendment.revision is None
    return TimelineEntry(
        time=amendment.at,
        event="amendment-refused" if refused else "application-amended",
        service="gateway",
        revision=amendment.revision,
        amendment=amendment.kind,
        opportunity_id=amendment.opportunity_id,
    )


def _arrival(received: Received) -> TimelineEntry:
    return TimelineEntry(
        time=received.received_at, event="application-received", service="gateway", status=Status.RECEIVED
    )


def _entry(fact: Fact) -> TimelineEntry:
    entry = TimelineEntry(time=fact.time, event=fact.event, service=fact.service)
    said = fact.said
    if isinstance(said, StatusUpdated):
        told = {name: getattr(said, name) for name in ("status", "opportunity_id", "partner", "source")}
        return entry.model_copy(update=told | {"words": said.partner_words})
    entry = entry.model_copy(update={"revision": said.revision})
    if isinstance(said, Rejected):
        return entry.model_copy(update={"status": Status.INVALID if said.revision == 1 else None})
    kind = said.amendment.kind if said.amendment else None
    status = Status.SUBMITTING if said.eligible else Status.INELIGIBLE
    return entry.model_copy(update={"amendment": kind, "status": status if _sends(said) else None})


def _overall(facts: Sequence[Fact], opportunities: Sequence[OpportunityView], rejected: bool) -> Status:
    at_lenders = [each.status for each in opportunities if each.kind == "lender"]
    if at_lenders:
        return min(at_lenders, key=ADVANCE.index)
    said = [f.said for f in facts if isinstance(f.said, StatusUpdated) and f.said.opportunity_id is None]
    if said:
        return max(said, key=lambda update: update.state_version).status
    if rejected:
        return Status.INVALID
    return Status.INELIGIBLE if any(isinstance(f.said, Validated) for f in facts) else Status.RECEIVED


def _checks(facts: Sequence[Fact]) -> tuple[Check, ...]:
    validated = [fact.said for fact in facts if isinstance(fact.said, Validated)]
    return max(validated, key=lambda said: said.revision).checks if validated else ()


def _opportunities(facts: Sequence[Fact], now: dt.datetime) -> list[OpportunityView]:
    """Every opportunity that validation named or status spoke of, by partner."""
    found: dict[uuid.UUID, OpportunityView] = {}
    validated = [fact for fact in facts if isinstance(fact.said, Validated) and _sends(fact.said)]
    for fact in sorted(validated, key=lambda fact: fact.said.revision if isinstance(fact.said, Validated) else 0):
        found |= {each.opportunity_id: each for each in _named(fact, now)}
    updates: dict[uuid.UUID, list[StatusUpdated]] = {}
    for fact in facts:
        if isinstance(fact.said, StatusUpdated) and fact.said.opportunity_id is not None:
            updates.setdefault(fact.said.opportunity_id, []).append(fact.said)
    for opportunity, versions in updates.items():
        found[opportunity] = _told(found.get(opportunity), versions, now)
    return sorted(found.values(), key=lambda each: (each.partner or "", each.credential or "", each.opportunity_id))


def _sends(said: Validated) -> bool:
    return (said.amendment.kind if said.amendment else None) in SENDING


def _named(fact: Fact, now: dt.datetime) -> Iterable[OpportunityView]:
    assert isinstance(fact.said, Validated)
    named: tuple[Eligible | Ineligible, ...] = (*fact.said.eligible, *fact.said.ineligible)
    for each in named:
        refused = isinstance(each, Ineligible)
        yield OpportunityView(
            opportunity_id=each.opportunity_id,
            partner=each.partner,
            kind=kind_of(each.partner),
            credential=each.credential,
            status=Status.INELIGIBLE if refused else Status.SUBMITTING,
            status_since=fact.time,
            age_seconds=age_seconds(fact.time, now),
            observed_at=fact.time,
            source="validation",
            reasons=each.reasons if isinstance(each, Ineligible) else (),
        )


def _told(named: OpportunityView | None, versions: Sequence[StatusUpdated], now: dt.datetime) -> OpportunityView:
    """The newest version; `status_since` reaches back over the versions before it with the same status."""
    newest_first = sorted(versions, key=lambda update: -update.state_version)
    newest = newest_first[0]
    since = newest.observed_at
    for update in newest_first:
        if update.status != newest.status:
            break
        since = min(since, update.observed_at)
    assert newest.opportunity_id is not None
    partner = newest.partner or (named.partner if named else None)
    return OpportunityView(
        opportunity_id=newest.opportunity_id,
        partner=partner,
        kind=kind_of(partner),
        credential=newest.credential or (named.credential if named else None),
        status_since=since,
        age_seconds=age_seconds(newest.observed_at, now),
        offers=offered(newest.offers, newest.opportunity_id),
        offer_history=history(newest.offer_history, newest.opportunity_id),
        made=newest.offers,
        reasons=newest.problems or (named.reasons if named else ()),
        to_do=to_do(newest.status, newest.application_id, newest.wanted, newest.missing_info, newest.problems),
        **{name: getattr(newest, name) for name in _TOLD},
    )


def kind_of(partner: str | None) -> Kind:
    """A partner that is no longer in our table counts as a lender."""
    known = PARTNERS.get(partner or "")
    return known.kind if known else "lender"
