"""The one door through which a stored application changes, whoever asks: REST, or a record of the Kafka intake.

A change is one write to the application's document: its next revision, the event in the outbox, the idempotency key
and the audit entry. The write holds only while the document is at the revision that was read (compare-and-set), so two
changes never get one revision; the loser reads again and decides again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.application_amended import Amendment, ApplicationAmended, Corrected, Withdrawn
from lendrail.contracts.event import Record
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.terms import FieldProblem, Mode
from lendrail.gateway import receive
from lendrail.gateway.amending.amend import Refusal, Standing, refusal, replayed
from lendrail.gateway.reads import Reader, is_id
from lendrail.gateway.store import STANDING, Applications, Facts, soon
from lendrail.gateway.stored import about_of, amended, amended_record_of, answer_of, told
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, Tenant, Tenants
from lendrail.runtime.http import Problem, unavailable
from lendrail.runtime.mongo import OUTAGES, Document, DuplicateKeyError
from lendrail.runtime.outbox import Relay
from lendrail.runtime.vault import Key, Vault

TRIES = 30
MAX_STORED = 12 * 1024 * 1024
"""Bytes of all records of one application; a document of the store holds 16 MiB."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who wants to change which application, and under which key."""

    tenant: str
    mode: Mode
    by: str
    application: str
    idempotency: str
    fingerprint: str
    request: str
    correlation: str
    revision: int | None = None
    """The one it must follow; None: whichever is the newest."""
    cause: str | None = None
    """The intake record that asked for it."""


@dataclass(frozen=True, kw_only=True)
class Asked(Asker):
    amendment: Amendment


@dataclass(frozen=True)
class Stored:
    """A change that is durable; `again`: it was before."""

    application: str
    revision: int
    document: dict[str, Any] | None = None
    again: bool = False


class Amendments:
    def __init__(
        self,
        applications: Applications,
        facts: Facts,
        reader: Reader,
        vault: Vault,
        relay: Relay,
        tenants: Mounted[Tenants],
        instance: str,
        relist: Callable[[Iterable[str]], Awaitable[None]],
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """`relist` makes the entries of these applications in the lists anew."""
        self._applications, self._facts, self._reader, self._vault = applications, facts, reader, vault
        self._relay, self._tenants, self._instance, self._clock = relay, tenants, instance, clock
        self._relist = relist

    async def find(self, tenant: str, mode: str, application: str) -> Document:
        """The stored application. Raises `Problem` 404, also for another tenant's."""
        found = await soon(self._applications.whole(tenant, mode, application)) if is_id(application) else None
        if found is None:
            raise Problem(404, "not-found", "You have no such application.")
        return found

    async def application_of(self, opportunity: str) -> str:
        """Raises `Problem` 404 where no application has this opportunity; whose it is `find` asks."""
        found = await soon(self._facts.application_of(opportunity)) if is_id(opportunity) else None
        if found is None and is_id(opportunity):
            found = await soon(self._applications.owner_of(opportunity))
        if found is None:
            raise Problem(404, "not-found", "You have no such opportunity.")
        return found

    def tenant(self, tenant: str) -> Tenant:
        """Raises `Problem` 403."""
        known = self._tenants.current.by_id.get(tenant)
        if known is None:
            raise Problem(403, "forbidden", "Your tenant is not known here.")
        return known

    async def key_of(self, document: Document) -> Key:
        """Raises `Problem` 410 for an erased person, also while the key is there or still in our memory."""
        try:
            if "erasing" not in document and not await soon(self._vault.erased([document["_id"]])):
                return await soon(self._vault.get(document["_id"]))
        except Erased:
            pass
        raise Problem(410, "erased", "The person was erased; nothing can be done with this application.")

    async def standing(self, document: Document, key: Key) -> Standing:
        """What is known of the application now."""
        shown = await soon(self._reader.view(document))
        first, changes = told(document, key)
        refused = {each.revision for each in shown.amendments if each.state == "refused"}
        good = [change for revision, change in sorted(changes.items()) if revision not in refused]
        rejected = bool(shown.problems) and not any(isinstance(change, Corrected) for change in good)
        content = None if rejected else replayed(first, good)
        return Standing(shown, content, self.tenant(document["tenant"]), self._clock())

    async def may(self, document: Document, amendment: Amendment) -> None:
        """Look whether it could be done, before something costly is. Raises `Problem`."""
        _raise(refusal(amendment, await self.standing(document, await self.key_of(document))))

    async def known(self, document: Document, asked_by: str, fingerprint: str | None) -> Stored | None:
        """What the same key did to this application before. Raises `Problem` 422 where it came with something else;
        without a fingerprint that is not asked.
        """
        entry = next((e for e in document.get("amendments", ()) if e["idempotency"] == asked_by), None)
        if entry is None:
            return None
        key = await self.key_of(document)
        if fingerprint is not None and key.open(entry["fingerprint"]) != fingerprint:
            raise _reused()
        if "revision" not in entry:
            _raise(Refusal("amendment-refused", "It was refused before.", 422, _problems(entry)))
        document_ref = json.loads(key.open(entry["answer"])) if "answer" in entry else None
        return Stored(document["_id"], entry["revision"], document_ref, again=True)

    async def store(self, asked: Asked) -> Stored:
        """Durable when it returns. Raises `Problem`, and then nothing was stored."""
        if not self._applications.prepared:
            raise unavailable()
        await self._unused_elsewhere(asked)
        for attempt in range(TRIES):
            document = await self.find(asked.tenant, asked.mode, asked.application)
            if known := await self.known(document, asked.idempotency, asked.fingerprint):
                return known
            if done := await self._try(document, asked):
                return done
            await asyncio.sleep(random.uniform(0, 0.005 * (attempt + 1)))
        detail = "Others are changing this application at the same time; repeat the request."
        raise Problem(409, "amended-at-once", detail, headers={"Retry-After": "1"})

    async def refuse(self, asked: Asker, kind: str, problems: tuple[FieldProblem, ...]) -> None:
        """Show a change that was refused where nobody waits for the answer; it takes no revision."""
        document = await self.find(asked.tenant, asked.mode, asked.application)
        key = await self.key_of(document)
        shown = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in problems[:50]]
        about = about_of(asked.amendment) if isinstance(asked, Asked) else {}
        entry = _entry(asked, kind, key, self._clock()) | about | {"problems": shown}
        where = {"_id": document["_id"], "amendments.idempotency": {"$ne": asked.idempotency}} | STANDING
        await soon(self._applications.collection.update_one(where, {"$push": {"amendments": entry}}))

    async def note(self, document: Document, entry: Document) -> None:
        """Durable when it returns: what was looked at, and by whom."""
        await soon(self._applications.collection.update_one({"_id": document["_id"]}, audit.pushed(entry)))

    async def _unused_elsewhere(self, asked: Asked) -> None:
        """A key that brought an application is taken; the index tells of those that amended another one."""
        if await soon(self._applications.by_key(asked.tenant, asked.idempotency)):
            raise _reused()

    async def _try(self, document: Document, asked: Asked) -> Stored | None:
        """None when somebody else was faster."""
        key = await self.key_of(document)
        if asked.revision is not None and asked.revision != document["revision"]:
            raise stale(document["revision"])
        standing = await self.standing(document, key)
        _raise(refusal(asked.amendment, standing))
        event = amended(document, asked.amendment, asked.by, standing.content, self._clock())
        record = amended_record_of(event, key, asked.correlation, asked.cause)
        _fits(document, record)
        change = self._change(document, asked, event, record, key)
        try:
            if not await soon(
                self._applications.amend(document["_id"], document["revision"], asked.idempotency, change)
            ):
                return None
        except DuplicateKeyError:
            raise _reused() from None
        self._relay.wake()
        with contextlib.suppress(Problem, *OUTAGES):  # the change is there; validation's word lists it anew, too
            await soon(self._relist([document["_id"]]))
        return Stored(document["_id"], event.revision, answer_of(asked.amendment))

    def _change(
        self, document: Document, asked: Asked, event: ApplicationAmended, record: Record, key: Key
    ) -> Document:
        entry = _entry(asked, asked.amendment.kind, key, event.amended_at) | about_of(asked.amendment)
        entry["revision"] = event.revision
        if (answer := answer_of(asked.amendment)) is not None:
            entry["answer"] = key.seal(json.dumps(answer))
        noted = audit.pushed(_audited(document, asked, event, record, key))
        push = {"amendments": entry, "outbox": record.stored()}
        change: Document = {
            "$push": push | noted["$push"],
            "$set": {"revision": event.revision, "pending": self._instance} | noted["$set"],
            "$unset": {"pending_since": ""},
        }
        if isinstance(asked.amendment, Corrected):
            references = [each.model_dump() for each in asked.amendment.application.external_references]
            change["$addToSet"] = {"references": {"$each": references}}
        return change


def _entry(asked: Asker, kind: str, key: Key, now: dt.datetime) -> Document:
    """What is remembered beside the event; nothing personal in clear."""
    sealed = key.seal(asked.fingerprint)
    return {"kind": kind, "at": now, "by": asked.by, "idempotency": asked.idempotency, "fingerprint": sealed}


def _audited(document: Document, asked: Asked, event: ApplicationAmended, record: Record, key: Key) -> Document:
    """Hashes are those of sealed events, the only form in which the application rests."""
    before = bytes(document["outbox"][-1]["value"])
    return audit.entry(
        audit.Actor(asked.tenant, asked.mode, asked.by, asked.request),
        "application-amended",
        f"applications/{document['_id']}",
        application=document["_id"],
        why=asked.amendment.reason if isinstance(asked.amendment, Withdrawn) else None,
        key=key,
        before=hashlib.sha256(before).hexdigest(),
        after=hashlib.sha256(record.value).hexdigest(),
        at=event.amended_at,
        about={"kind": asked.amendment.kind, "revision": str(event.revision)},
    )


def _fits(document: Document, record: Record) -> None:
    if len(record.value) > receive.MAX_RECORD:
        raise Problem(413, "too-large", f"Sealed, the application exceeds {receive.MAX_RECORD} bytes.")
    if sum(len(each["value"]) for each in document["outbox"]) + len(record.value) > MAX_STORED:
        raise Problem(409, "too-many-amendments", "The application was changed too often; send a new one.")


def _problems(entry: Document) -> tuple[FieldProblem, ...]:
    return tuple(FieldProblem.model_validate(each) for each in entry.get("problems", ()))


def _raise(why: Refusal | None) -> None:
    if why is not None:
        headers = {"Retry-After": "1"} if why.wait else {}
        raise Problem(why.status, why.code, why.detail, errors=why.errors, headers=headers)


def stale(revision: int) -> Problem:
    detail = f'The application is at revision {revision} now; read it again and state If-Match: "{revision}".'
    return Problem(412, "revision-stale", detail, headers={"ETag": f'"{revision}"'})


def _reused() -> Problem:
    detail = "This Idempotency-Key came with another request before; use a new key."
    return Problem(422, "idempotency-key-reused", detail)
