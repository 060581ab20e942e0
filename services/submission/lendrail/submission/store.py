"""How opportunities rest in MongoDB: one document each, every write a comparison of its version.

Whoever begins a send must also hold the lease. Whoever brings an outcome need not: it is true in any case.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from lendrail.contracts.event import Envelope, decode, encode, envelope_of
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Submit
from lendrail.partners.exchange import Reply, Request
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.due import MARGIN_SECONDS, Lease
from lendrail.runtime.mongo import ASCENDING, Collection, Document, DuplicateKeyError, GroupCommit, doing
from lendrail.runtime.vault import Key
from lendrail.submission.attempts.attempt import OPEN, Attempt, Opportunity, State, reference
from lendrail.submission.attempts.beside import still_kept
from lendrail.submission.attempts.turns import next_due, waiting

SERVICE = "submission"
REGISTRY = "(registry)"
"""In place of a credential, where a registry is waited for and nobody is called; no credential has such a name."""
LONGEST_KEPT = 64 * 1024
"""Bytes of a reply that nobody could read; the rest of a longer one is not kept."""
HIDDEN = {"outbox": 0, "requests": 0, "replies": 0, "kept": 0}
"""What is long and of no interest to most readers."""
Due = dt.datetime | Literal["now"] | None
"""Due at once; or with the first waiting attempt, given the server's time now; or as it was."""


class Store:
    """The collection `opportunities`."""

    def __init__(self, collection: Collection, instance: str) -> None:
        self.collection, self._instance = collection, instance
        self._writes, self._preparing = GroupCommit(collection), doing(collection, "prepare")

    async def prepare(self) -> None:
        """The indexes; a partner's id and an idempotency key each belong to one opportunity."""
        create = self.collection.create_index
        waits = {"due": {"$type": "date"}}
        await create([("due", ASCENDING), ("through", ASCENDING)], partialFilterExpression=waits)
        # and behind any number of those that may not go now
        await create([("through", ASCENDING), ("due", ASCENDING)], partialFilterExpression=waits)
        older = {**waits, "through": {"$exists": False}}  # stored before mails had lanes of their own
        await self._preparing.update_many(older, [{"$set": {"through": "$credential"}}])
        there = {"$exists": True}
        await create(
            [("credential", ASCENDING), ("partner_id", ASCENDING)],
            unique=True,
            partialFilterExpression={"partner_id": there},
        )
        await create("audit.idempotency", unique=True, partialFilterExpression={"audit.idempotency": there})
        await create([("tenant", ASCENDING), ("attempts.state", ASCENDING), ("_id", ASCENDING)])
        await create("attempts.id")
        await create("gate", partialFilterExpression={"gate": there})

    async def find(self, ids: Iterable[str]) -> dict[str, Opportunity]:
        cursor = self.collection.find({"_id": {"$in": list(ids)}}, HIDDEN)
        return {document["_id"]: read(document) async for document in cursor}

    async def behind(self, gate: str) -> list[Opportunity]:
        """The lenders' opportunities that this registry's opportunity clears."""
        cursor = self.collection.find({"gate": gate}, HIDDEN)
        return [read(document) async for document in cursor]

    async def gated(self, ids: Iterable[str]) -> list[Opportunity]:
        """Those of `ids` that wait, or waited, for a registry."""
        wanted = {"_id": {"$in": list(ids)}, "gate": {"$exists": True}}
        cursor = self.collection.find(wanted, HIDDEN)
        return [read(document) async for document in cursor]

    async def lenders_open(self, gate: str) -> bool:
        """Whether one of them may still be funded, as far as it is known here."""
        return await self.collection.find_one({"gate": gate, "ended": {"$exists": False}}, {"_id": 1}) is not None

    async def load(self, opportunity: str) -> Document:
        """The document as it is now, without its outbox."""
        document = await self.collection.find_one({"_id": opportunity}, {"outbox": 0, "replies": 0})
        assert document is not None
        return document

    async def add(
        self, opportunity: Opportunity, requests: Mapping[str, Sequence[Request]], acks: Sequence[PartnerAck], key: Key
    ) -> bool:
        """Store a new opportunity, due at once; false when there is one already."""
        fields = _fixed(opportunity) | _moving(opportunity) | {"version": 1, "sent": 0}
        fields |= {"outbox": self._records(opportunity, acks, key), "requests": _sealed(requests, key)}
        if acks:
            fields["pending"] = self._instance
        stored = {name: {"$literal": value} for name, value in fields.items()} | audit.flag(opportunity.audit)
        stages = [{"$set": stored}, _due(opportunity, "now")]
        try:
            await self._writes.update({"_id": opportunity.id, "version": {"$exists": False}}, stages, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def save(
        self,
        opportunity: Opportunity,
        acks: Sequence[PartnerAck] = (),
        key: Key | None = None,
        *,
        plans: Mapping[str, Sequence[Request]] | None = None,
        kept: Mapping[str, Submit] | None = None,
        replies: Mapping[str, Reply] | None = None,
        begins: Lease | None = None,
        releases: Lease | None = None,
        due: Due = None,
    ) -> bool:
        """Write `opportunity` over the version that it was made from; false when somebody was faster.

        `plans`: a new plan with these requests. `kept`: events, by attempt, that are decided later. `replies`: what
        nobody could read, by attempt, to be kept. `begins`: only while this lease is held. `releases`: let go of it.
        `key` seals all of these and the acks. Raises `DuplicateKeyError` where the partner's id, or an idempotency
        key, is somebody else's.
        """
        where: Document = {"_id": opportunity.id, "version": opportunity.version}
        if begins is not None:
            where["lease.token"] = begins.token
        changed = _moving(opportunity)
        if plans is not None:
            assert key is not None
            changed |= _fixed(opportunity) | {f"requests.{a}": each for a, each in _sealed(plans, key).items()}
        for attempt, event in (kept or {}).items():
            assert key is not None
            changed[f"kept.{attempt}"] = encode(event, opportunity.cause, key).value
        for attempt, reply in (replies or {}).items():
            assert key is not None
            changed[f"replies.{attempt}"] = key.seal_bytes(reply.content[:LONGEST_KEPT])
        fields: Document = {name: {"$literal": value} for name, value in changed.items()}
        fields |= audit.flag(opportunity.audit)
        fields["version"] = opportunity.version + 1
        if acks:
            assert key is not None
            records = {"$literal": self._records(opportunity, acks, key)}
            fields |= {"outbox": {"$concatArrays": ["$outbox", records]}, "pending": self._instance}
        stages: list[Document] = [{"$set": fields}]
        if over := _over(opportunity):
            stages.append({"$unset": over})
        if due is not None:
            stages.append(_due(opportunity, due))
        if releases is not None:
            mine = {"$eq": ["$lease.token", releases.token]}
            stages.append({"$set": {"lease": {"$cond": [mine, "$$REMOVE", "$lease"]}}})
        return await self._writes.update(where, stages)

    def _records(self, opportunity: Opportunity, acks: Sequence[PartnerAck], key: Key) -> list[Document]:
        time_ = utc_now()
        return [encode(each, envelope_of(each, SERVICE, time_, opportunity.cause), key).stored() for each in acks]


def _over(opportunity: Opportunity) -> list[str]:
    """Fields that are needed no longer. One that stands beside an older creation may have no id in place of its."""
    updates = {each.id for each in opportunity.attempts if each.operation == "update"}
    nameless = opportunity.partner_id is None and any(each.beside for each in opportunity.attempts)
    return [f"kept.{each}" for each in sorted(updates - still_kept(opportunity))] + ["partner_id"] * nameless


def server_time(document: Document, lease: Lease, seconds: float) -> dt.datetime:
    """The server's time now, read off the lease: it began when the lease was given, a round trip ago at most."""
    until: dt.datetime = document["lease"]["until"]
    given = lease.deadline + MARGIN_SECONDS - seconds
    return until - dt.timedelta(seconds=seconds) + dt.timedelta(seconds=time.monotonic() - given)


def _due(opportunity: Opportunity, now: dt.datetime | Literal["now"]) -> Document:
    """The stage that makes the opportunity due at once, or with its first waiting attempt, or never; and says for
    which credential it waits then.
    """
    through = {"through": {"$literal": _through(opportunity)}}
    if now == "now":
        return {"$set": {"due": "$$NOW"} | through}
    first = next_due(opportunity, now)
    return {"$set": {"due": {"$literal": first}} | through} if first else {"$unset": ["due", "through"]}


def _through(opportunity: Opportunity) -> str:
    """The credential of what is next: a mail beside the application must wait for its own, and for no other. A silent
    registry is told of even while the lender is paused.
    """
    ordered = sorted(waiting(opportunity), key=lambda each: (each.due is not None, each.due))
    if not ordered and opportunity.gate is not None and opportunity.gate.state in OPEN:
        return REGISTRY
    return (ordered[0].via if ordered else None) or opportunity.credential


def _sealed(requests: Mapping[str, Sequence[Request]], key: Key) -> Document:
    return {attempt: [key.seal_bytes(each.dump()) for each in calls] for attempt, calls in requests.items()}


def stored_requests(document: Document, attempt: Attempt, key: Key) -> tuple[Request, ...]:
    """All calls of an attempt as they were planned. Raises KeyError where there are none, `SealBroken`."""
    return tuple(Request.load(key.open_bytes(bytes(each))) for each in document["requests"][attempt.id])


def stored_request(document: Document, attempt: Attempt, key: Key) -> Request:
    """The call that is next, as it will be sent. Raises KeyError where there is none, `SealBroken`."""
    sealed = document["requests"][attempt.id][attempt.step]
    return Request.load(key.open_bytes(bytes(sealed))).filled(attempt.given, reference(attempt))


def kept_event(document: Document, attempt: Attempt, key: Key) -> Submit | None:
    """What this attempt was kept with until it can be decided. Raises `SealBroken`."""
    value = document.get("kept", {}).get(attempt.id)
    return None if value is None else decode(Submit, bytes(value), key)


def token_of(document: Document) -> str | None:
    """Of the lease on it."""
    return (document.get("lease") or {}).get("token")


def _fixed(opportunity: Opportunity) -> Document:
    """What only a plan changes."""
    content = {} if opportunity.content is None else {"content": opportunity.content}
    return content | {
        "tenant": opportunity.tenant,
        "mode": opportunity.mode,
        "partner": opportunity.partner,
        "credential": opportunity.credential,
        "application_id": str(opportunity.application_id),
        "revision": opportunity.revision,
        "options": dict(opportunity.options),
        "cause": {name: getattr(opportunity.cause, name) for name in Envelope.__slots__},
        "inbox": list(opportunity.inbox),
    }


def digest(opportunity: Opportunity) -> str:
    """The hash by which an audit entry knows what it was about, before and after."""
    return audit.digest(_fixed(opportunity) | _moving(opportunity))


def _moving(opportunity: Opportunity) -> Document:
    fields: Document = {"attempts": [write_attempt(each) for each in opportunity.attempts]}
    if opportunity.partner_id is not None:
        fields["partner_id"] = opportunity.partner_id
    if opportunity.ended is not None:
        fields["ended"] = opportunity.ended
    if opportunity.agreed:
        fields["agreed"] = True
    if (gate := opportunity.gate) is not None:
        fields["gate"] = gate.subject
    if opportunity.audit:
        fields["audit"] = [dict(each) for each in opportunity.audit]
    return fields


def _plain(value: Any) -> Any:
    """As MongoDB keeps it."""
    if isinstance(value, Mapping):
        return dict(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


_EMPTY = asdict(Attempt(id="", operation="create"))


def write_attempt(attempt: Attempt) -> Document:
    """As it rests: only what differs from an attempt that was just planned."""
    fields = {name: getattr(attempt, name) for name in _EMPTY}
    kept = {name: _plain(value) for name, value in fields.items() if value != _EMPTY[name]}
    return kept | {"operation": attempt.operation, "state": str(attempt.state)}


def _read_attempt(stored: Document) -> Attempt:
    lists: dict[str, Any] = {name: tuple(stored[name]) for name in ("calls", "problems") if name in stored}
    return Attempt(**stored | lists | {"state": State(stored["state"])})


def read(document: Document) -> Opportunity:
    return Opportunity(
        id=document["_id"],
        tenant=document["tenant"],
        mode=document["mode"],
        partner=document["partner"],
        credential=document["credential"],
        application_id=uuid.UUID(document["application_id"]),
        revision=document["revision"],
        options=document["options"],
        cause=Envelope(**document["cause"]),
        content=document.get("content"),
        attempts=tuple(_read_attempt(each) for each in document["attempts"]),
        inbox=tuple(document["inbox"]),
        partner_id=document.get("partner_id"),
        ended=document.get("ended"),
        agreed=document.get("agreed", False),
        version=document["version"],
        audit=tuple(document.get("audit", ())),
    )
