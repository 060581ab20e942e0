"""What operators and approvers did: one append-only collection, written before anything takes effect.

A record is never changed. It carries the server's time, and a repeated request finds the first one.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from typing import Any

import orjson

from lendrail.contracts.sensitive import SensitiveText
from lendrail.runtime import audit
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import ASCENDING, Collection, Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault

REASONS_KEY = "operators"
"""Name of the data key that seals reasons: they may name a person."""


class Actions:
    def __init__(self, collection: Collection, vault: Vault) -> None:
        self._collection, self._vault = collection, vault

    async def prepare(self) -> None:
        await self._collection.create_index([("tenant", ASCENDING), ("at", ASCENDING)])

    async def key(self) -> Key:
        """Seals and opens reasons."""
        return (await self._vault.create([REASONS_KEY]))[REASONS_KEY]

    async def record(
        self,
        caller: Caller,
        idempotency: str,
        request: str,
        *,
        said: str,
        about: Document,
        why: SensitiveText,
        told: list[Any],
        noted: dict[str, str] | None = None,
        minutes: int | None = None,
    ) -> tuple[Document, bool]:
        """The record of this request, and whether it was there before. `said` is its word in the audit; `about` what it
        is about, the partner included; `told` what tells it from another request under the same key; `noted` goes
        into the audit beside; `minutes` after which it ends. Raises `Problem` when the key was another request's.
        """
        key = await self.key()
        by: Document = {"tenant": caller.tenant_id, "mode": caller.mode, "who": caller.client_id}
        fields = by | about | {"why": why.seal(key)}
        entry = audit.entry(
            audit.by(caller, request), said, f"partners/{about['partner']}",
            why=why, key=key, after=audit.digest(fields), about=noted,
        )  # fmt: skip
        asked = hashlib.sha256(orjson.dumps([*told, why.reveal()])).hexdigest()
        fields |= {"fingerprint": asked, "nonce": uuid.uuid4().hex}
        document = await self._insert(f"{caller.tenant_id}|{idempotency}", fields, minutes, entry)
        if document["fingerprint"] != asked:
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
            await self._collection.update_one({"_id": action}, change, upsert=True)
        document = await self._collection.find_one({"_id": action})
        assert document is not None
        return document
