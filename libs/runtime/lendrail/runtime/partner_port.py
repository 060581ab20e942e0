"""The partner port: every request to a partner starts here, within its credential's budget and only while not paused.

The channels of `lendrail.partners` carry the bytes; this port decides when they may, and shares what processes must
agree
on through the database `partners`: the next free start, the pause, the access token.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from lendrail.runtime.budget import Budget, Kind
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.faults import point
from lendrail.runtime.mongo import Collection
from lendrail.runtime.vault import Vault

PAUSE_LOOK_SECONDS = 0.2
"""How old our knowledge of pauses may be: that long after a pause another process may still start a call."""
TOKEN_KEY = "partner-tokens"  # noqa: S105 - the name of a data key


class Paused(Exception):
    """The credential is paused; the work waits and nothing was sent."""


class PartnerPort:
    """Hands out permissions to call partners."""

    def __init__(self, state: Collection, credentials: Mounted[Credentials], vault: Vault) -> None:
        """`state` is `partners.credentials`, one document per credential."""
        self._state, self._credentials, self._vault = state, credentials, vault
        self._budget = Budget(state)
        self._refreshing: dict[str, asyncio.Lock] = {}
        self._paused: dict[str, str] = {}
        self._looked = -PAUSE_LOOK_SECONDS

    def credential(self, credential_id: str) -> Credential:
        """Raises KeyError for one that is not in the mounted file."""
        return self._credentials.current.by_id[credential_id]

    @asynccontextmanager
    async def call(self, credential_id: str, kind: Kind) -> AsyncIterator[Credential]:
        """Wait for a free start, then let the caller send exactly one request. Raises `Paused`."""
        credential = self.credential(credential_id)
        if credential_id in await self.paused():
            raise Paused(credential_id)
        await self._budget.start(credential_id, credential.rate, kind)
        point("partner.before")
        yield credential
        point("partner.after")

    async def paused(self) -> dict[str, str]:
        """The paused credentials, with the reason."""
        if time.monotonic() - self._looked >= PAUSE_LOOK_SECONDS:
            begun = time.monotonic()
            now = {"$expr": {"$gt": ["$paused_until", "$$NOW"]}, "paused_until": {"$type": "date"}}
            self._paused = {d["_id"]: str(d.get("pause_reason", "")) async for d in self._state.find(now)}
            self._looked = begun
        return self._paused

    async def pause(self, credential_id: str, reason: str, seconds: float) -> None:
        """Hold all calls of a credential; after `seconds` the next call is the probe."""
        until = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": int(seconds)}}
        change = [{"$set": {"paused_until": until, "pause_reason": reason}}]
        await self._state.update_one({"_id": credential_id}, change, upsert=True)
        self._looked = -PAUSE_LOOK_SECONDS

    def tokens(self, credential_id: str) -> StoredToken:
        lock = self._refreshing.setdefault(credential_id, asyncio.Lock())
        return StoredToken(credential_id, self._state, self._vault, lock)


class StoredToken:
    """The access token of one credential, shared by all processes and sealed at rest."""

    def __init__(self, credential_id: str, state: Collection, vault: Vault, lock: asyncio.Lock) -> None:
        self._id, self._state, self._vault = credential_id, state, vault
        self._lock = lock

    def lock(self) -> asyncio.Lock:
        """Held while one task of this process fetches a token."""
        return self._lock

    async def get(self) -> tuple[SecretStr, float] | None:
        """The token and when it expires (seconds since the epoch), if one was stored."""
        document = await self._state.find_one({"_id": self._id}, {"token": 1, "token_expires": 1})
        if not document or "token" not in document:
            return None
        key = await self._vault.get(TOKEN_KEY)
        return SecretStr(key.open(document["token"])), document["token_expires"].timestamp()

    async def set(self, token: SecretStr, expires_at: float) -> None:
        key = (await self._vault.create([TOKEN_KEY]))[TOKEN_KEY]
        expires = dt.datetime.fromtimestamp(expires_at, dt.UTC)
        change = {"$set": {"token": key.seal(token.get_secret_value()), "token_expires": expires}}
        await self._state.update_one({"_id": self._id}, change, upsert=True)
