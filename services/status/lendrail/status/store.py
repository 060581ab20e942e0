"""Opportunities in MongoDB: one document each, changed only by compare-and-set on its `rev`.

One write holds the new observations, the state they fold to and the versions of it that nobody was told yet; whoever
wrote publishes all unsent versions in their order. A writer that loses the race reads again and folds again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lendrail.contracts.event import Envelope, Record, encode, envelope_of
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Mode, utc_now
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError, GroupCommit, doing
from lendrail.runtime.outbox import Relay
from lendrail.runtime.vault import Key
from lendrail.status.fold import fold, former_names
from lendrail.status.noted import HELD, as_noted, noted
from lendrail.status.observation import Answered, Observation, State
from lendrail.status.vocabulary import Vocabulary
from lendrail.status.words import Words, held

SERVICE = "status"
NAMED = "/now"
"""Suffix of an instance's name on records that a running task publishes itself; the relay adopts what it leaves."""


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


Extra = Callable[[Subject, Document | None, State, Sequence[Observation]], Mapping[str, Any]]
"""(subject, document as read, new state, new observations) → further expressions to set in the same write."""


class Opportunities:
    """Reads, folds, writes, publishes."""

    def __init__(self, collection: Collection, relay: Relay, instance: str, vocabulary: Vocabulary) -> None:
        self.collection, self._relay, self._vocabulary = collection, relay, vocabulary
        self._group, self._preparing = GroupCommit(collection), doing(collection, "prepare")
        self._instance = instance
        self._named = instance + NAMED
        self._unsent: list[tuple[list[Document], asyncio.Future[None]]] = []
        self._publishing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        await self.collection.create_index("application_id")
        await self.collection.create_index(
            [("credential", 1), ("partner_id", 1)], partialFilterExpression={"partner_id": {"$type": "string"}}
        )
        await self.collection.create_index([("credential", 1), ("ours", 1)])
        await self.collection.create_index(
            [("credential", 1), ("former", 1)], partialFilterExpression={"former": {"$type": "string"}}
        )
        await self.collection.create_index(
            [("tenant", 1), ("fetch.failures", 1)], partialFilterExpression={"fetch.failures": {"$gt": 0}}
        )
        await self.collection.create_index(
            [("credential", 1), ("fetch.reason", 1), ("due", 1)], partialFilterExpression={"due": {"$type": "date"}}
        )
        mine = {"pending": self._named}  # of a process of this name that ended before it could publish
        await self._preparing.update_many(mine, {"$set": {"pending": self._instance}})

    async def find(self, ids: Sequence[str]) -> dict[str, Document]:
        cursor = self.collection.find({"_id": {"$in": list(ids)}})
        return {document["_id"]: document async for document in cursor}

    async def hear(
        self, heard: Sequence[Heard], extra: Extra, found: Mapping[str, Document] | None = None
    ) -> dict[str, Document]:
        """Add what is new, publish what is unsent. Returns the documents as they are afterwards, without the extras.

        `found`: the documents, where the caller has read them already.
        """
        waiting: dict[str, list[Heard]] = {}
        for each in heard:
            waiting.setdefault(each.subject.id, []).append(each)
        done: dict[str, Document] = {}
        while waiting:
            found, ids = await self.find(list(waiting)) if found is None else found, list(waiting)
            written = await asyncio.gather(*(self._add(found.get(i), waiting[i], extra) for i in ids))
            for document_id, document in zip(ids, written, strict=True):
                if document is not None:
                    done[document_id] = document
                    del waiting[document_id]
            found = None
        await self.publish(list(done.values()))
        return done

    async def publish(self, documents: Sequence[Document]) -> None:
        """Return when all that was unsent in `documents` is published and marked; concurrent callers share the way."""
        unsent = [document for document in documents if document["sent"] < len(document["outbox"])]
        if not unsent:
            return
        done = asyncio.get_running_loop().create_future()
        self._unsent.append((unsent, done))
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish())
        await done

    async def _publish(self) -> None:
        while self._unsent:
            round_, self._unsent = self._unsent, []
            try:
                await self._relay.publish(self.collection, _newest(each for unsent, _ in round_ for each in unsent))
            except Exception as error:
                for _, done in round_:
                    if not done.done():
                        done.set_exception(error)
            for _, done in round_:
                if not done.done():
                    done.set_result(None)

    async def words(self, subject: Subject, observations: Iterable[Observation]) -> Words:
        """What those words mean now that no table knows."""
        return await self._vocabulary.of(subject.partner, subject.tenant, subject.mode, held(observations))

    async def change(self, where: Document, stages: list[Document]) -> bool:
        """A change that touches no observation: times, leases, hints. Whether the document still matched."""
        return await self._group.update(where, stages)

    async def _add(self, document: Document | None, heard: Sequence[Heard], extra: Extra) -> Document | None:
        """The document after the write; None when another writer was faster, or somebody said meanwhile what a word in
        it means: who maps a word writes first and then looks for it, who holds one looks once more after the write.
        """
        first = heard[0]
        known = read(document, first.key)
        old = {each.id for each in known.observations}
        fresh = list({each.observation.id: each for each in heard if each.observation.id not in old}.values())
        together = [*known.observations, *(each.observation for each in fresh)]
        words = await self.words(first.subject, together)
        state, notes = fold(together, words), noted(together, words, document or {})
        news = not state.looks_like(known.state)
        if document is not None and not fresh and not news and notes == as_noted(document):
            return document
        version = known.version + news
        records = [_record(first.subject, state, version, heard[-1])] if news else []
        after = _after(document, heard[-1], known, state, version, records)
        after |= _ours(document, [each.observation for each in fresh])
        after |= _former(together) | notes
        further = extra(first.subject, document, state, [each.observation for each in fresh])
        stages = self._stages(after, fresh, records, further)
        try:
            matched = await self._group.update({"_id": first.subject.id, "rev": known.rev}, stages, upsert=True)
        except DuplicateKeyError:
            return None
        if matched and notes.get(HELD) and await self.words(first.subject, together) != words:
            return None
        return after if matched else None

    def _stages(
        self, after: Document, fresh: Sequence[Heard], records: Sequence[Record], extra: Mapping[str, Any]
    ) -> list[Document]:
        """Partners' words may begin with a dollar sign, which an aggregation would read as a path: hence `$literal`."""
        plain = {name: {"$literal": after[name]} for name in after if name not in ("_id", "outbox", "sent")}
        appended = {
            "observations": _append("$observations", [_stored(each) for each in fresh]),
            "outbox": _append("$outbox", [record.stored() for record in records]),
            "sent": {"$ifNull": ["$sent", 0]},
        }
        pending = {"pending": {"$literal": self._named}} if records else {}
        return [{"$set": {**plain, **appended, **pending, **extra}}]


def _newest(documents: Iterable[Document]) -> list[Document]:
    """Of each document the one with the longest outbox; it holds what the others hold."""
    newest: dict[Any, Document] = {}
    for each in documents:
        if each["_id"] not in newest or len(each["outbox"]) > len(newest[each["_id"]]["outbox"]):
            newest[each["_id"]] = each
    return list(newest.values())


def read(document: Document | None, key: Key) -> Known:
    """Raises ValidationError for a document that this version of the program cannot read."""
    if document is None:
        return Known()
    context = {"key": key}
    observations = tuple(Observation.model_validate(each, context=context) for each in document["observations"])
    state = State.model_validate(document["state"], context=context)
    return Known(document["rev"], observations, state, document["version"])


def _stored(heard: Heard) -> Document:
    kept = heard.observation.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": heard.key})
    return kept | ({"raw": heard.key.seal_bytes(heard.raw)} if heard.raw is not None else {})


def _append(name: str, values: list[Any]) -> Document:
    return {"$concatArrays": [{"$ifNull": [name, []]}, {"$literal": values}]}


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


def _record(subject: Subject, state: State, version: int, heard: Heard) -> Record:
    told = {name: getattr(state, name) for name in State.model_fields}
    event = StatusUpdated(
        tenant_id=subject.tenant,
        mode=subject.mode,
        application_id=subject.application_id,
        opportunity_id=subject.opportunity_id,
        partner=subject.partner,
        credential=subject.credential,
        state_version=version,
        **told,
    )
    return encode(event, envelope_of(event, SERVICE, utc_now(), heard.cause), heard.key)
