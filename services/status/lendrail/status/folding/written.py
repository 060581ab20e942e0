"""What one write leaves of an opportunity: the new observations, the state that all fold to, and the version of it that
is told. Pure; `store.py` puts it into MongoDB.

Times of writes never go back within a document, whatever the clocks of replicas say: so what was known at a time is a
beginning of what is known now, and the version that was told last by then is what was shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lendrail.contracts.event import Envelope, Record, encode, envelope_of
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Mode
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key
from lendrail.status.folding.cause import cause
from lendrail.status.folding.fold import fold, former_names
from lendrail.status.folding.noted import as_noted, noted
from lendrail.status.folding.observation import Answered, Observation, State
from lendrail.status.folding.words import NO_WORDS, Words

SERVICE = "status"


@dataclass(frozen=True, slots=True)
class Subject:
    """Which opportunity is meant, or which application when it has none (then the last three are None)."""

    id: str
    application_id: str
    tenant: str
    mode: Mode
    partner: str | None = None
    credential: str | None = None
    opportunity_id: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Something new about a subject, with the bytes that it was read from, if any."""

    subject: Subject
    observation: Observation
    key: Key
    cause: Envelope
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A document as it was read."""

    rev: int | None = None
    observations: tuple[Observation, ...] = ()
    state: State | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A write that is to be made."""

    state: State
    after: Document
    """The document as it will be, its observations aside, which are appended."""
    fresh: tuple[Heard, ...]
    records: tuple[Record, ...]

    @property
    def observations(self) -> list[Observation]:
        """The new ones."""
        return [each.observation for each in self.fresh]


def together(document: Document | None, heard: Sequence[Heard]) -> tuple[Known, tuple[Heard, ...]]:
    """What is stored, and what of `heard` is new to it. Raises ValidationError."""
    known = read(document, heard[0].key)
    old = {each.id for each in known.observations}
    return known, tuple({each.observation.id: each for each in heard if each.observation.id not in old}.values())


def written(
    document: Document | None,
    known: Known,
    fresh: Sequence[Heard],
    last: Heard,
    now: dt.datetime,
    words: Words = NO_WORDS,
) -> Written | None:
    """None where nothing changes. `known` is what `document` holds; `last` is what was heard last, be it new or not."""
    at = _not_before(document, known, now)
    stamped = tuple(_stamped(each, at) for each in fresh)
    observations = [*known.observations, *(each.observation for each in stamped)]
    state = fold(observations, words)
    notes = noted(observations, words, document or {}, state.flags)
    news = not state.looks_like(known.state)
    if document is not None and not fresh and not news and notes == as_noted(document):
        return None
    version = known.version + news
    records = (_record(state, version, stamped, last, at),) if news else ()
    after = _after(document, last, known, state, version, records)
    after |= _ours(document, [each.observation for each in stamped]) | _former(observations) | notes
    if state.pin is not None and state.pin.until is not None:
        after["pin_until"] = state.pin.until
    return Written(state, after, stamped, records)


def told_at(record: Document) -> dt.datetime:
    """When this record of an outbox was made: from then on we showed it."""
    return dt.datetime.fromisoformat(bytes(record["headers"]["ce_time"]).decode())


def _not_before(document: Document | None, known: Known, now: dt.datetime) -> dt.datetime:
    outbox = document["outbox"] if document is not None else []
    heard = [each.stored_at or each.received_at for each in known.observations[-1:]]
    return max([now, *heard, *(told_at(each) for each in outbox[-1:])])


def _stamped(heard: Heard, now: dt.datetime) -> Heard:
    return replace(heard, observation=heard.observation.model_copy(update={"stored_at": now}))


def read(document: Document | None, key: Key) -> Known:
    """Raises ValidationError for a document that this version of the program cannot read."""
    if document is None:
        return Known()
    context = {"key": key}
    observations = tuple(Observation.model_validate(each, context=context) for each in document["observations"])
    state = State.model_validate(document["state"], context=context)
    return Known(document["rev"], observations, state, document["version"])


def stored(heard: Heard) -> Document:
    kept = heard.observation.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": heard.key})
    return kept | ({"raw": heard.key.seal_bytes(heard.raw)} if heard.raw is not None else {})


def _after(
    document: Document | None, heard: Heard, known: Known, state: State, version: int, records: Sequence[Record]
) -> Document:
    """The document as this write leaves it; its observations aside, which are appended."""
    before = document or {"outbox": [], "sent": 0}
    subject, cause = heard.subject, heard.cause
    after: Document = {
        "_id": subject.id,
        "application_id": subject.application_id,
        "tenant": subject.tenant,
        "mode": subject.mode,
        "partner": subject.partner,
        "credential": subject.credential,
        "opportunity_id": subject.opportunity_id,
        "rev": (known.rev or 0) + 1,
        "version": version,
        "status": state.status.value,
        "state": state.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": heard.key}),
        "cause": kept_cause(cause),
        "outbox": [*before["outbox"], *(record.stored() for record in records)],
        "sent": before["sent"],
    }
    return after | ({"partner_id": state.partner_id} if state.partner_id else {})


def _ours(document: Document | None, fresh: Sequence[Observation]) -> Document:
    """Our references, by which partners may name the opportunity: the ids of the attempts to create it."""
    before = (document or {}).get("ours", [])
    said = (each.said for each in fresh)
    new = {str(each.attempt_id) for each in said if isinstance(each, Answered) and each.operation == "create"}
    return {"ours": [*before, *sorted(new.difference(before))]} if new else {}


def _former(observations: Sequence[Observation]) -> Document:
    """Ids and references of applications that the partner has beside the one that is followed; still recognised."""
    former = former_names(observations)
    return {"former": sorted(former)} if former else {}


def subject_of(document: Document) -> Subject:
    names = ("application_id", "tenant", "mode", "partner", "credential", "opportunity_id")
    return Subject(document["_id"], *(document[name] for name in names))


def cause_of(cause: Document) -> Envelope:
    """An event that something follows from, as far as it was kept: its id and what correlates."""
    return replace(_NOTHING, id=cause["id"], correlation_id=cause["correlation_id"], traceparent=cause["traceparent"])


def kept_cause(envelope: Envelope) -> Document:
    return {"id": envelope.id, "correlation_id": envelope.correlation_id, "traceparent": envelope.traceparent}


_NOTHING = Envelope(
    id="", type="", source=SERVICE, time=dt.datetime.min, subject="", correlation_id="", causation_id="",
    tenant_id="", mode="test", key_id="",
)  # fmt: skip


def _record(state: State, version: int, fresh: Sequence[Heard], last: Heard, now: dt.datetime) -> Record:
    subject = last.subject
    told = {name: getattr(state, name) for name in State.model_fields}
    event = StatusUpdated(
        tenant_id=subject.tenant,
        mode=subject.mode,
        application_id=subject.application_id,
        opportunity_id=subject.opportunity_id,
        partner=subject.partner,
        credential=subject.credential,
        state_version=version,
        cause=cause(state, [each.observation for each in fresh], now),
        **told,
    )
    return encode(event, envelope_of(event, SERVICE, now, last.cause), last.key)
