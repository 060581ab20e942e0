"""Imports as they rest: one document for each file, its bytes in sealed pieces until it is read, its report in batches.

The file is stored under the intake key of its day and never in clear; the pieces go when the import has ended. What
stays names rows by their number, never by their content.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.files import FileFormat
from lendrail.contracts.sensitive import Erased, SealBroken
from lendrail.contracts.terms import NAMESPACE
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.runtime.due import MARGIN_SECONDS, Lease
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError, insert_absent
from lendrail.runtime.vault import INTAKE_KEY_DAYS, Vault
from lendrail.status.timing import released

PIECE_BYTES = 255 * 1024
PIECES_AT_ONCE = 16
KEPT_DAYS = 400
"""Of an import and its report: a file that comes again is known for as long."""
ENDED = ("done", "refused", "failed")


class FileGone(Exception):
    """Pieces of the file are missing, or their key is."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person sends, beside the bytes."""

    tenant: str
    mode: str
    partner: str
    credential: str
    format: FileFormat
    as_of: dt.datetime | None
    dry: bool
    again: str | None
    """What tells one repetition that was asked for from another."""


@dataclass(frozen=True)
class Stored:
    """A file that is here, whole."""

    upload: str
    sha256: str
    size: int
    pieces: int


def import_id(wanted: Wanted, sha256: str) -> str:
    """The same for the same bytes, read by the same facts."""
    as_of = wanted.as_of.isoformat() if wanted.as_of else ""
    about = [wanted.tenant, wanted.mode, wanted.credential, sha256, wanted.format.digest, as_of]
    return str(uuid.uuid5(NAMESPACE, "|".join(["import", *about, "dry" if wanted.dry else "", wanted.again or ""])))


class Pieces:
    """The bytes of files."""

    def __init__(self, collection: Collection, vault: Vault) -> None:
        self._pieces, self._vault = collection, vault

    async def prepare(self) -> None:
        await self._pieces.create_index("expires", expireAfterSeconds=0)

    async def keep(self, body: AsyncIterator[bytes]) -> Stored:
        """Store what comes, piece by piece; of a body that breaks off nothing stays."""
        upload, found = uuid.uuid4().hex, hashlib.sha256()
        size = count = 0
        waiting: list[Document] = []
        try:
            async for piece in _pieces(body):
                found.update(piece)
                size += len(piece)
                waiting.append(await self._sealed(upload, count, piece))
                count += 1
                if len(waiting) == PIECES_AT_ONCE:
                    await insert_absent(self._pieces, waiting)
                    waiting = []
            await insert_absent(self._pieces, waiting)
        except BaseException:
            await self.drop(upload)
            raise
        return Stored(upload, found.hexdigest(), size, count)

    async def _sealed(self, upload: str, n: int, data: bytes) -> Document:
        now = utc_now()
        key = await self._vault.intake(now)
        expires = now + dt.timedelta(days=INTAKE_KEY_DAYS)
        return {"_id": _piece_id(upload, n), "data": key.seal_bytes(data), "key": key.id, "expires": expires}

    async def read(self, upload: str, count: int) -> AsyncIterator[bytes]:
        """Raises `FileGone`."""
        for n in range(count):
            piece = await self._pieces.find_one({"_id": _piece_id(upload, n)})
            if piece is None:
                raise FileGone
            try:
                yield (await self._vault.get(piece["key"])).open_bytes(bytes(piece["data"]))
            except (Erased, SealBroken):
                raise FileGone from None

    async def drop(self, upload: str) -> None:
        await self._pieces.delete_many({"_id": {"$gte": f"{upload}/", "$lt": f"{upload}0"}})


def _piece_id(upload: str, n: int) -> str:
    return f"{upload}/{n:08d}"


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body cut anew, so that stored pieces have one size however it came."""
    held = bytearray()
    async for part in body:
        held += part
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    if held:
        yield bytes(held)


class Imports:
    """The documents of imports and their reports."""

    def __init__(self, imports: Collection, reports: Collection) -> None:
        self.collection, self.reports = imports, reports

    async def prepare(self) -> None:
        await due.prepare(self.collection)
        await self.collection.create_index([("tenant", 1), ("mode", 1), ("received_at", -1)])
        await self.collection.create_index("expires", expireAfterSeconds=0)
        await self.reports.create_index([("import", 1), ("n", 1)])
        await self.reports.create_index("expires", expireAfterSeconds=0)

    async def find(self, id: str) -> Document | None:
        return await self.collection.find_one({"_id": id})

    async def begin(self, document: Document) -> bool:
        """Whether this import is a new one; then it is due."""
        is_new = {"$eq": [{"$type": "$sha256"}, "missing"]}
        fresh = {"$mergeObjects": [{"$literal": document}, {"due": "$$NOW"}]}
        change = [{"$replaceWith": {"$cond": [is_new, fresh, "$$ROOT"]}}]
        try:
            done = await self.collection.update_one({"_id": document["_id"]}, change, upsert=True)
        except DuplicateKeyError:
            return False
        return done.upserted_id is not None

    async def move(self, document: Document, lease: Lease, fields: Document, seconds: float) -> Lease | None:
        """Set `fields` and hold the lease for `seconds` more; None when it was lost."""
        held = {"lease": {"token": lease.token, "until": due.in_seconds(seconds)}}
        if not await self._set(document, lease, fields | held):
            return None
        return Lease(lease.token, time.monotonic() + seconds - MARGIN_SECONDS)

    async def end(self, document: Document, lease: Lease, fields: Document) -> bool:
        """Give the lease back for good."""
        ended = {"due": "$$REMOVE", "done_at": "$$NOW", **released(lease.token)}
        return await self._set(document, lease, {name: _as_is(value) for name, value in fields.items()} | ended)

    async def put_back(self, document: Document, lease: Lease, seconds: float, fields: Document) -> None:
        """Somebody goes on later, from the stored row."""
        wait = {"due": due.in_seconds(seconds), **released(lease.token)}
        await self._set(document, lease, {name: _as_is(value) for name, value in fields.items()} | wait)

    async def _set(self, document: Document, lease: Lease, fields: Document) -> bool:
        where = {"_id": document["_id"], "lease.token": lease.token}
        return (await self.collection.update_one(where, [{"$set": fields}])).matched_count == 1

    async def reported(self, document: Document, first: int) -> list[Any] | None:
        """What was reported of the batch that begins with this row; then its rows are heard."""
        found = await self.reports.find_one({"_id": _report_id(document, first)})
        return found["rows"] if found else None

    async def report(self, document: Document, rows: Sequence[Any], problems: int) -> None:
        """One batch of the report; the same again changes nothing."""
        first = rows[0][0]
        batch = {"_id": _report_id(document, first), "import": document["_id"], "n": first, "rows": list(rows)}
        await insert_absent(self.reports, [batch | {"problems": problems, "expires": document["expires"]}])


def _report_id(document: Document, first: int) -> str:
    return f"{document['_id']}/{first:010d}"


def _as_is(value: Any) -> Document:
    return {"$literal": value}
