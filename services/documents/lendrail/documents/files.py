"""Stored documents: GridFS, written in batches (https://github.com/mongodb/specifications, GridFS: files and chunks).

A file's id is made of its application and the SHA-256 of its plain bytes, and the same bytes are always sealed to the
same bytes. So writing a file twice, or finishing what somebody left half written, gives the same file.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.terms import DocumentRef
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import ASCENDING, Collection, Document, insert_absent

CHUNK_BYTES = 255 * 1024
"""GridFS's own default."""
CHUNKS_AT_ONCE = 64
"""Of full size: 16 MB on their way to MongoDB."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A document as it rests: sealed under the data key `key_id`."""

    ref: DocumentRef
    key_id: str
    sealed: bytes
    title: str | None = None
    """What its sender calls it, sealed: the name of a file may name a person."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A stored document without its bytes."""

    ref: DocumentRef
    key_id: str
    stored_at: dt.datetime
    title: str | None


def file_id(key_id: str, sha256: str) -> str:
    """Of a document that was made here."""
    return f"{key_id}.{sha256}"


def upload_id(key_id: str, sha256: str) -> str:
    """Of a document that was sent to us: at most 80 characters, so that an application can refer to it."""
    return f"{key_id}.{base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip('=')}"


def owner_of(id: str) -> str:
    """The application whose document has this id."""
    return id.partition(".")[0]


def file_name(kind: str, sha256: str, extension: str) -> str:
    """A name that names nobody, and differs where the bytes do."""
    return f"{kind}-{sha256[:8]}.{extension}"


def renamed(ref: DocumentRef, kind: str) -> DocumentRef:
    """The same upload as one of this kind."""
    name = file_name(kind, ref.sha256, ref.name.rpartition(".")[2])
    return ref.model_copy(update={"kind": kind, "name": name})


class Files:
    def __init__(self, database: Any) -> None:
        self._files: Collection = database["fs.files"]
        self._chunks: Collection = database["fs.chunks"]

    async def prepare(self) -> None:
        """The indexes that GridFS asks for, and one for the documents of an application."""
        await self._files.create_index([("filename", 1), ("uploadDate", 1)])
        await self._files.create_index([("metadata.keyId", 1), ("uploadDate", 1)])
        await self._chunks.create_index([("files_id", 1), ("n", 1)], unique=True)

    async def put(self, files: Sequence[StoredFile]) -> None:
        """Store what is not stored yet; a file is seen only when all its chunks are there."""
        now = utc_now()
        for some in _some(chunk for file in files for chunk in _chunks(file)):
            await insert_absent(self._chunks, some)
        await insert_absent(self._files, [_entry(file, now) for file in files])

    async def name(self, file: StoredFile) -> None:
        """What a stored file is and is called, as it was last said."""
        said = {"filename": file.ref.name, "metadata.kind": file.ref.kind, "metadata.title": file.title}
        await self._files.update_one({"_id": file.ref.id}, {"$set": said})

    async def get(self, id: str) -> StoredFile | None:
        listed = (await self.listed([id])).get(id)
        if listed is None:
            return None
        chunks = await self._chunks.find({"files_id": id}, {"data": 1}).sort("n").to_list()
        return StoredFile(listed.ref, listed.key_id, b"".join(bytes(chunk["data"]) for chunk in chunks), listed.title)

    async def listed(self, ids: Iterable[str]) -> dict[str, Listed]:
        """Those among `ids` that are stored."""
        cursor = self._files.find({"_id": {"$in": list(ids)}})
        return {entry["_id"]: _listed(entry) async for entry in cursor}

    async def of(self, key_id: str, limit: int) -> list[Listed]:
        """The documents of an application, oldest first."""
        cursor = self._files.find({"metadata.keyId": key_id}).sort("uploadDate", ASCENDING).limit(limit)
        return [_listed(entry) async for entry in cursor]

    async def drop(self, key_id: str) -> None:
        """All bytes of an application. Entries go first, so no file is seen that has lost its bytes; chunks are found
        by what their names begin with, so those go too whose entry is gone already or was never written.
        """
        await self._files.delete_many({"metadata.keyId": key_id})
        await self._chunks.delete_many({"files_id": {"$gte": f"{key_id}.", "$lt": f"{key_id}/"}})


def _some(chunks: Iterable[Document]) -> Iterator[list[Document]]:
    """Lists of chunks that together are never large."""
    some: list[Document] = []
    size = 0
    for chunk in chunks:
        some.append(chunk)
        size += len(chunk["data"])
        if size >= CHUNKS_AT_ONCE * CHUNK_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _chunks(file: StoredFile) -> Iterator[Document]:
    for n, at in enumerate(range(0, len(file.sealed), CHUNK_BYTES)):
        data = file.sealed[at : at + CHUNK_BYTES]
        yield {"_id": f"{file.ref.id}/{n}", "files_id": file.ref.id, "n": n, "data": data}


def _entry(file: StoredFile, now: dt.datetime) -> Document:
    return {
        "_id": file.ref.id,
        "length": len(file.sealed),
        "chunkSize": CHUNK_BYTES,
        "uploadDate": now,
        "filename": file.ref.name,
        "metadata": {
            "keyId": file.key_id,
            "kind": file.ref.kind,
            "contentType": file.ref.content_type,
            "sha256": file.ref.sha256,
            "size": file.ref.size,
            **({"title": file.title} if file.title else {}),
        },
    }


def _listed(entry: Document) -> Listed:
    about = entry["metadata"]
    ref = DocumentRef(
        id=entry["_id"],
        kind=about["kind"],
        name=entry["filename"],
        content_type=about["contentType"],
        sha256=about["sha256"],
        size=about["size"],
    )
    return Listed(ref, about["keyId"], entry["uploadDate"], about.get("title"))
