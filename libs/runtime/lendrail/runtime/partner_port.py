"""The partner port: every request to a partner starts here, within its credential's budget, only while neither its
credential is paused nor the breaker of its operation open, and through a live credential only once it was approved.

The channels of `lendrail.partners` carry the bytes; this port decides when they may, and shares what processes must
agree on through the database `partners`: the next free start, pauses, breakers, the access token.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import structlog
from pydantic import SecretStr

from lendrail.runtime.breaker import Rules
from lendrail.runtime.budget import Budget, Kind
from lendrail.runtime.circuits import Circuits
from lendrail.runtime.circuits import Open as Open  # callers catch it from here
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.due import in_seconds
from lendrail.runtime.faults import call_point
from lendrail.runtime.mongo import OUTAGES, AutoReconnect, Collection
from lendrail.runtime.standing import Standing
from lendrail.runtime.vault import Key, Vault

log = structlog.get_logger()
TOKEN_KEY = "partner-tokens"  # noqa: S105 - the name of a data key


class Paused(Exception):
    """The credential is paused, or lacks its approval; the work waits and nothing was sent."""


class PartnerPort:
    """Hands out permissions to call partners."""

    def __init__(
        self,
        state: Collection,
        credentials: Mounted[Credentials],
        vault: Vault,
        rules: Rules | None = None,
        *,
        approvals: bool = True,
    ) -> None:
        """`state` is `partners.credentials`, one document per credential; `rules` are those of the breakers.
        `approvals` is False only where no application goes out and no tenant could approve.
        """
        self._state, self._credentials, self._vault = state, credentials, vault
        self._budget = Budget(state)
        self._standing = Standing(state, credentials, approvals)
        self._circuits = Circuits(state, self._standing, rules or Rules())
        self._refreshing: dict[str, asyncio.Lock] = {}

    def credential(self, credential_id: str) -> Credential:
        """Raises KeyError for one that is not in the mounted file."""
        return self._credentials.current.by_id[credential_id]

    @asynccontextmanager
    async def call(self, credential_id: str, kind: Kind, operation: str = "") -> AsyncIterator[Credential]:
        """Wait for a free start, then let the caller send exactly one request. Raises `Paused`, `Open`.

        Whoever names the `operation` tells `answered` or `failed` of it before the block ends, in the same task. A call
        without one (a token) has no breaker.
        """
        credential = self.credential(credential_id)

        async def admit() -> None:
            standing = await self._standing.look()
            if credential_id in standing.paused or not standing.approved(credential):
                raise Paused(credential_id)
            self._circuits.check((credential_id, operation))

        await self._budget.start(credential_id, credential.rate, kind, admit)
        async with self._circuits.turn((credential_id, operation)) as took_time:
            if took_time:
                await self._budget.start(credential_id, credential.rate, kind, admit)
            await call_point("partner.before", AutoReconnect)
            yield credential
            await call_point("partner.after", ConnectionResetError)

    async def answered(self, credential_id: str, operation: str) -> None:
        """A complete reply came that speaks of no trouble (5xx) at the partner, whatever it says."""
        await self._circuits.answered((credential_id, operation))

    async def failed(self, credential_id: str, operation: str, wait: float | None = None) -> None:
        """No connection, no complete reply, or one that speaks of trouble; `wait`: the seconds that it asks for."""
        await self._circuits.failed((credential_id, operation))
        if wait is not None:
            try:
                await self.pause(credential_id, "retry-later", wait)
            except OUTAGES as error:
                log.warning("a pause could not be stored", error=type(error).__name__)

    async def paused(self) -> dict[str, str]:
        """Credentials through which nothing goes, with the reason's code: `operator`, that of our own pause, or
        `approval-missing`.
        """
        return (await self._standing.look()).paused

    async def pause(self, credential_id: str, reason: str, seconds: float) -> None:
        """Hold all calls of a credential; after `seconds` the next call is the probe. A longer pause stays, and an
        operator's is not touched.
        """
        until = in_seconds(seconds)
        longer = {"$gt": [until, {"$ifNull": ["$paused_until", "$$NOW"]}]}
        fields = {"paused_until": until, "pause_reason": {"$literal": reason}}
        change = [{"$set": {name: {"$cond": [longer, value, f"${name}"]} for name, value in fields.items()}}]
        await self._state.update_one({"_id": credential_id}, change, upsert=True)
        self._standing.forget()

    def tokens(self, credential_id: str) -> StoredToken:
        """Of the credential as it is mounted now. Raises KeyError."""
        lock = self._refreshing.setdefault(credential_id, asyncio.Lock())
        return StoredToken(self.credential(credential_id), self._state, self._vault, lock)


class StoredToken:
    """The access token of one credential, shared by all processes and sealed at rest.

    It belongs to the secrets that it was given for: after a rotation another one is fetched.
    """

    def __init__(self, credential: Credential, state: Collection, vault: Vault, lock: asyncio.Lock) -> None:
        self._credential, self._state, self._vault = credential, state, vault
        self._lock = lock

    def lock(self) -> asyncio.Lock:
        """Held while one task of this process fetches a token."""
        return self._lock

    async def get(self) -> tuple[SecretStr, float] | None:
        """The token and when it expires (seconds since the epoch), if one was stored for these secrets."""
        shown = {"token": 1, "token_expires": 1, "token_of": 1}
        document = await self._state.find_one({"_id": self._credential.id}, shown)
        if not document or "token" not in document:
            return None
        key = await self._vault.get(TOKEN_KEY)
        if document.get("token_of") != self._mark(key):
            return None
        return SecretStr(key.open(document["token"])), document["token_expires"].timestamp()

    async def set(self, token: SecretStr, expires_at: float) -> None:
        key = (await self._vault.create([TOKEN_KEY]))[TOKEN_KEY]
        expires = dt.datetime.fromtimestamp(expires_at, dt.UTC)
        fields = {"token": key.seal(token.get_secret_value()), "token_expires": expires, "token_of": self._mark(key)}
        await self._state.update_one({"_id": self._credential.id}, {"$set": fields}, upsert=True)

    def _mark(self, key: Key) -> str:
        """Tells these secrets from others to whoever has the data key, and to nobody else."""
        secrets = {name: value.get_secret_value() for name, value in self._credential.auth.items()}
        told = orjson.dumps([self._credential.base_url, secrets], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(key.seal_content(told)).hexdigest()
