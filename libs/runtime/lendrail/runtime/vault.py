"""Data keys: one for each application, wrapped by a master key; and one for each day of intake.

Deleting a data key erases the person: what is sealed under it stays unreadable everywhere, in backups and topics too.
The data keys live in the shared database `keys`. AES-256-GCM seals values (NIST SP 800-38D, 96-bit random nonce, the
key's
id as associated data); AES key wrap (RFC 3394) wraps keys.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, WTimeoutError

from lendrail.contracts.sensitive import TOKEN, Erased, SealBroken

INTAKE = "intake-"
INTAKE_KEY_DAYS = 45
"""How long unmatched bytes stay readable: longer than dead letters are kept (30 days)."""
_ERASED = {"erased": {"$exists": True}}


class Wrapper(Protocol):
    """What a key management service does for us; the local one below does it with a key from settings."""

    def wrap(self, key: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes) -> bytes: ...


class LocalWrapper:
    def __init__(self, master: bytes) -> None:
        self._master = master

    def wrap(self, key: bytes) -> bytes:
        return aes_key_wrap(self._master, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return aes_key_unwrap(self._master, wrapped)
        except InvalidUnwrap:
            raise SealBroken("a data key was wrapped by another master key") from None


class Key:
    """A data key in memory; see `lendrail.contracts.sensitive.DataKey`."""

    __slots__ = ("_aad", "_cipher", "_secret", "id")

    def __init__(self, key_id: str, secret: bytes) -> None:
        self.id = key_id
        self._cipher = AESGCM(secret)
        self._secret = secret
        self._aad = key_id.encode()

    def seal(self, plain: str) -> str:
        return TOKEN + base64.b64encode(self.seal_bytes(plain.encode())).decode()

    def open(self, token: str) -> str:
        if not token.startswith(TOKEN):
            raise SealBroken("not a token")
        try:
            sealed = base64.b64decode(token[len(TOKEN) :], validate=True)
        except ValueError:
            raise SealBroken("a token is not Base64") from None
        return self.open_bytes(sealed).decode()

    def seal_bytes(self, plain: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, plain, self._aad)

    def seal_content(self, plain: bytes) -> bytes:
        """Like `seal_bytes`, but the same bytes always give the same sealed bytes, so that a stored file which is
        written again, or half written by somebody who died, is the same file. The nonce is a keyed hash of the bytes.
        """
        mac = hmac.new(self._secret, b"content|", "sha256")
        mac.update(plain)
        nonce = mac.digest()[:12]
        return nonce + self._cipher.encrypt(nonce, plain, self._aad)

    def open_bytes(self, sealed: bytes) -> bytes:
        """Raises `SealBroken`."""
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], self._aad)
        except (InvalidTag, ValueError):
            raise SealBroken("sealed under another key, or altered") from None


class Vault:
    """Makes, finds and deletes data keys; remembers the last few thousand in memory."""

    def __init__(self, keys: AsyncCollection[dict[str, Any]], wrapper: Wrapper, remember: int = 4096) -> None:
        self._keys, self._wrapper, self._limit = keys, wrapper, remember
        self._known: OrderedDict[str, Key] = OrderedDict()

    async def prepare(self) -> None:
        """The index that destroys intake keys after their time, and the one along which erasures are followed."""
        await self._keys.create_index("expires", expireAfterSeconds=0)
        await self._keys.create_index([("erased", 1), ("_id", 1)], partialFilterExpression=_ERASED)

    async def create(self, key_ids: Sequence[str], expires: dt.datetime | None = None) -> dict[str, Key]:
        """Durable new keys; an id that has a key already keeps it. Raises `Erased` for one that was erased."""
        fresh = {key_id: os.urandom(32) for key_id in key_ids}
        limit = {"expires": expires} if expires else {}
        documents = [{"_id": k, "wrapped": self._wrapper.wrap(secret), **limit} for k, secret in fresh.items()]
        try:
            await self._keys.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if (error.details or {}).get("writeConcernErrors"):
                raise WTimeoutError("data keys were not confirmed by the majority") from None
            taken = list((error.details or {})["writeErrors"])
            if any(fault["code"] != 11000 for fault in taken):
                raise
            for fault in taken:
                del fresh[documents[fault["index"]]["_id"]]
        for key_id, secret in fresh.items():
            self._remember(Key(key_id, secret))
        return await self.find(key_ids)

    async def find(self, key_ids: Iterable[str]) -> dict[str, Key]:
        """The keys that exist among `key_ids`; those of erased persons are absent too (see `erased`)."""
        wanted = set(key_ids)
        found = {key_id: self._known[key_id] for key_id in wanted if key_id in self._known}
        missing = [key_id for key_id in wanted if key_id not in found]
        if missing:
            async for document in self._keys.find({"_id": {"$in": missing}, "wrapped": {"$exists": True}}):
                key = Key(document["_id"], self._wrapper.unwrap(bytes(document["wrapped"])))
                found[key.id] = self._remember(key)
        return found

    async def get(self, key_id: str) -> Key:
        """One key. Raises `Erased` when the person was erased, `SealBroken` when there never was such a key."""
        found = (await self.find([key_id])).get(key_id)
        if found is not None:
            return found
        if await self.erased([key_id]):
            raise Erased(key_id)
        raise SealBroken("there is no such data key")

    async def erased(self, key_ids: Iterable[str]) -> set[str]:
        """Which of these keys were deleted on purpose."""
        cursor = self._keys.find({"_id": {"$in": list(key_ids)}} | _ERASED, {"_id": 1})
        return {document["_id"] async for document in cursor}

    async def erase(self, key_id: str) -> None:
        """Delete the key for good and leave a mark when that was, by the server's clock."""
        change: list[dict[str, Any]] = [{"$set": {"erased": {"$ifNull": ["$erased", "$$NOW"]}}}, {"$unset": "wrapped"}]
        await self._keys.update_one({"_id": key_id}, change, upsert=True)
        self.forget([key_id])

    def forget(self, key_ids: Iterable[str]) -> None:
        """Drop these keys from the memory of this process."""
        for key_id in key_ids:
            self._known.pop(key_id, None)

    async def newest_erasure(self) -> dt.datetime | None:
        found = await self._keys.find(_ERASED, {"erased": 1}).sort("erased", -1).limit(1).to_list()
        return found[0]["erased"] if found else None

    async def erased_since(self, time: dt.datetime) -> AsyncIterator[str]:
        """The ids of keys that were deleted then or later."""
        async for document in self._keys.find({"erased": {"$gte": time}}, {"_id": 1}):
            yield document["_id"]

    async def erasures(
        self, after: tuple[dt.datetime, str] | None, delay: float, limit: int
    ) -> list[tuple[str, dt.datetime]]:
        """Deleted keys and when, in the order of time and id: those behind `after`, at least `delay` seconds ago."""
        wanted: dict[str, Any] = dict(_ERASED)
        if after is not None:
            time, key_id = after
            wanted |= {"$or": [{"erased": {"$gt": time}}, {"erased": time, "_id": {"$gt": key_id}}]}
        aged = {"$lte": ["$erased", {"$dateSubtract": {"startDate": "$$NOW", "unit": "second", "amount": int(delay)}}]}
        cursor = self._keys.find(wanted | {"$expr": aged}, {"erased": 1}).sort([("erased", 1), ("_id", 1)])
        return [(document["_id"], document["erased"]) async for document in cursor.limit(limit)]

    async def intake(self, now: dt.datetime) -> Key:
        """The intake key of this UTC day."""
        key_id = f"{INTAKE}{now.astimezone(dt.UTC):%Y-%m-%d}"
        if key_id in self._known:
            return self._known[key_id]
        created = await self.create([key_id], expires=now + dt.timedelta(days=INTAKE_KEY_DAYS))
        return created[key_id]

    def _remember(self, key: Key) -> Key:
        self._known[key.id] = key
        self._known.move_to_end(key.id)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return key
