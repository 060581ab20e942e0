"""Operators pause and resume partners. Who, what and why is recorded before it takes effect.

The record is never changed. It carries the server's time, and of two words to one credential the later one counts; so
a repeated request gives its first answer and undoes nothing that was said since.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Model
from lendrail.partners import PARTNERS
from lendrail.runtime import audit
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenants
from lendrail.runtime.holds import Hold, Holds
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import ASCENDING, Collection, Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault

REASONS_KEY = "operators"
"""Name of the data key that seals reasons: they may name a person."""
LONGEST_MINUTES = 60 * 24 * 90
What = Literal["pause", "resume"]
SAID: dict[What, str] = {"pause": "partner-paused", "resume": "partner-resumed"}
"""In the audit."""


class Resuming(Model):
    """Why, and whether it is meant for all tenants."""

    reason: SensitiveText
    all_tenants: bool = Field(default=False, strict=True)


class Pausing(Resuming):
    minutes: Annotated[int, Field(strict=True, ge=1, le=LONGEST_MINUTES)] | None = None
    """None: until it is resumed."""


@dataclass(frozen=True)
class Done:
    answer: dict[str, Any]
    replayed: bool


class Pauses:
    """The append-only collection of operators' actions, and their effect."""

    def __init__(self, actions: Collection, holds: Holds, tenants: Mounted[Tenants], vault: Vault) -> None:
        self._actions, self._holds, self._tenants, self._vault = actions, holds, tenants, vault

    async def prepare(self) -> None:
        await self._actions.create_index([("tenant", ASCENDING), ("at", ASCENDING)])

    async def key(self) -> Key:
        """Seals and opens reasons."""
        return (await self._vault.create([REASONS_KEY]))[REASONS_KEY]

    def accounts(self, caller: Caller, partner: str | None = None) -> list[PartnerAccount]:
        """The caller's own, in the caller's mode."""
        tenant = self._tenants.current.by_id.get(caller.tenant_id)
        mine = tenant.partners if tenant else ()
        return [each for each in mine if each.mode == caller.mode and partner in (None, each.partner)]

    async def carry_out(
        self, caller: Caller, what: What, partner: str, told: Resuming, idempotency: str, request: str
    ) -> Done:
        """`request`: its id. Raises `Problem`."""
        self._check(caller, partner, told)
        document, replayed = await self._recorded(caller, what, partner, told, idempotency, request)
        word = Hold(
            action=document["_id"], at=document["at"], paused=what == "pause", until=document.get("until"),
            by=document["who"], reason=document["why"],
        )  # fmt: skip
        if document["all_tenants"]:
            await self._holds.hold_partner(partner, caller.mode, word)
        else:
            await self._holds.hold(document["credentials"], word)
        return Done(_answer(document), replayed)

    def _check(self, caller: Caller, partner: str, told: Resuming) -> None:
        scope = "platform" if told.all_tenants else "operator"
        if scope not in caller.scopes:
            raise Problem(403, "forbidden", f"The token lacks a scope: {scope}.")
        if partner not in PARTNERS or (not told.all_tenants and not self.accounts(caller, partner)):
            raise Problem(404, "not-found", "There is no such partner, or you have no account there.")

    async def _recorded(
        self, caller: Caller, what: What, partner: str, told: Resuming, idempotency: str, request: str
    ) -> tuple[Document, bool]:
        """The record of this request, and whether it was there before. Raises `Problem` when the key was another's."""
        minutes = told.minutes if isinstance(told, Pausing) else None
        said = [what, partner, caller.mode, told.all_tenants, minutes, told.reason.reveal()]
        key = await self.key()
        fields: Document = {
            "tenant": caller.tenant_id,
            "mode": caller.mode,
            "who": caller.client_id,
            "what": what,
            "partner": partner,
            "all_tenants": told.all_tenants,
            "credentials": [] if told.all_tenants else [each.credential for each in self.accounts(caller, partner)],
            "why": told.reason.seal(key),
        }
        action = f"{caller.tenant_id}|{idempotency}"
        about = {"tenants": "all"} if told.all_tenants else None
        entry = audit.entry(
            audit.by(caller, request), SAID[what], f"partners/{partner}",
            why=told.reason, key=key, after=audit.digest(fields), about=about,
        )  # fmt: skip
        fields |= {"fingerprint": hashlib.sha256(orjson.dumps(said)).hexdigest(), "nonce": uuid.uuid4().hex}
        document = await self._insert(action, fields, minutes, entry)
        if document["fingerprint"] != fields["fingerprint"]:
            raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used with another request.")
        return document, document["nonce"] != fields["nonce"]

    async def _insert(self, action: str, fields: Document, minutes: int | None, entry: Document) -> Document:
        """The record under this id: ours, with the server's time, or the one that was there."""
        new: Document = {"at": "$$NOW"} | audit.held_now(entry)
        if minutes is not None:
            new["until"] = {"$dateAdd": {"startDate": "$$NOW", "unit": "minute", "amount": minutes}}
        fresh = {"$mergeObjects": ["$$ROOT", {"$literal": fields}, new]}
        change = [{"$replaceWith": {"$cond": [{"$eq": [{"$type": "$at"}, "missing"]}, fresh, "$$ROOT"]}}]
        with contextlib.suppress(DuplicateKeyError):  # the same request, at the same moment
            await self._actions.update_one({"_id": action}, change, upsert=True)
        document = await self._actions.find_one({"_id": action})
        assert document is not None
        return document


def _answer(document: Document) -> dict[str, Any]:
    until: dt.datetime | None = document.get("until")
    fields = {
        "partner": document["partner"],
        "mode": document["mode"],
        "paused": document["what"] == "pause",
        "allTenants": document["all_tenants"],
        "credentials": document["credentials"] or None,
        "at": document["at"].isoformat(),
        "until": until.isoformat() if until else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
