"""Who changed what, and why: an entry for every change that a person or a machine asked for.

The entry is part of the effect's own document write (array `audit` of the owner's document), so neither can exist
without the other. `unchained` says that some of them wait for `audit_chain`, which links all entries of a service by
hash; `chained` counts those that are linked. An entry holds no personal data: a reason is sealed, a client is an id,
and hashes are taken of what rests sealed, so nothing can be guessed back from them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Mode
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key

FIELDS = (
    "id", "at", "tenant", "mode", "who", "what", "of", "application", "request", "why", "key", "before", "after",
    "about",
)  # fmt: skip
"""What an entry is made of, and what is hashed. An owner may keep fields of its own beside them."""
AUDIT, UNCHAINED, CHAINED = "audit", "unchained", "chained"
"""Fields of an owner's document."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change: a client of a tenant, an upstream system, or one of our services."""

    tenant: str
    mode: Mode
    who: str
    request: str
    """Id of the request or the event that asked for it."""


def by(caller: Caller, request: str) -> Actor:
    """The caller of an HTTP request with this id."""
    return Actor(caller.tenant_id, caller.mode, caller.client_id, request)


def by_service(tenant: str, mode: Mode, service: str, request: str = "") -> Actor:
    """One of our services, by itself; `request` names the event that made it, where there is one."""
    return Actor(tenant, mode, f"service:{service}", request)


def entry(
    actor: Actor,
    what: str,
    of: str,
    *,
    application: str | None = None,
    why: SensitiveText | None = None,
    key: Key | None = None,
    before: str | None = None,
    after: str | None = None,
    at: dt.datetime | None = None,
    about: Mapping[str, str] | None = None,
) -> Document:
    """An entry, ready to be stored. `of` names what changed as `collection/id`; `before` and `after` are its digests
    (none where there was nothing, or nothing changes). A reason is sealed here under `key`. `about` says more in ids
    and words of ours, never in somebody's own words.
    """
    sealed: Document = {}
    if why is not None:
        if key is None:
            raise ValueError("a reason needs a key")
        sealed = {"why": why.seal(key), "key": key.id}
    told: Document = {"application": application, "request": actor.request, "before": before, "after": after}
    told["about"] = dict(about or {})
    fixed = {"id": uuid.uuid4().hex, "at": _milliseconds(at or utc_now()), "tenant": actor.tenant, "mode": actor.mode}
    said = {"who": actor.who, "what": what, "of": of}
    return fixed | said | sealed | {name: value for name, value in told.items() if value}


def held(*entries: Document) -> Document:
    """Fields of a new document that holds `entries`."""
    return {AUDIT: list(entries), UNCHAINED: entries[-1]["at"]}


def pushed(*entries: Document) -> dict[str, Document]:
    """Update operators (`$push`, `$set`) that add `entries` to a document; merge them with those of the effect."""
    return {"$push": {AUDIT: {"$each": list(entries)}}, "$set": {UNCHAINED: entries[-1]["at"]}}


def staged(*entries: Document) -> Document:
    """Fields of a pipeline's `$set` stage that add `entries` to a document."""
    before = {"$ifNull": [f"${AUDIT}", []]}
    together = {"$concatArrays": [before, {"$literal": list(entries)}]}
    return {AUDIT: together, UNCHAINED: {"$literal": entries[-1]["at"]}}


def held_now(one: Document) -> Document:
    """Fields of a new document that a pipeline makes; the entry gets the server's time."""
    return {AUDIT: [{"$mergeObjects": [{"$literal": one}, {"at": "$$NOW"}]}], UNCHAINED: "$$NOW"}


def flag(entries: tuple[Mapping[str, Any], ...]) -> Document:
    """For an owner that writes its whole list each time: the field of a `$set` stage that says whether some wait."""
    if not entries:
        return {}
    waits = {"$gt": [len(entries), {"$ifNull": [f"${CHAINED}", 0]}]}
    return {UNCHAINED: {"$cond": [waits, {"$literal": entries[-1]["at"]}, "$$REMOVE"]}}


def only(stored: Mapping[str, Any]) -> Document:
    """The entry itself, without what the owner keeps beside it."""
    return {name: stored[name] for name in FIELDS if name in stored}


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document as it rests, without its audit. Hand in sealed values only."""
    own = {AUDIT, UNCHAINED, CHAINED, "stamp"}
    return sha256({name: value for name, value in document.items() if name not in own})


def sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON of one form only: names in order, no spaces, UTF-8, times in UTC to the millisecond as they are stored."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    """Times and bytes are marked, so that no text can be taken for one."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dt.datetime):
        return {"$time": _time(value)}
    if isinstance(value, bytes | uuid.UUID):
        return {"$bytes": value.hex()} if isinstance(value, bytes) else {"$uuid": str(value)}
    raise TypeError(f"nothing of type {type(value).__name__} can be hashed")


def _time(value: dt.datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC).isoformat(timespec="milliseconds")


def _milliseconds(value: dt.datetime) -> dt.datetime:
    """As the store keeps it."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)
