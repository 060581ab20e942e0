"""Stored documents: GridFS, written in batches (https://github.com/mongodb/specifications, GridFS: files and chunks).

A file's id is made of its application and the SHA-256 of its plain bytes, and the same bytes are always sealed to the
same bytes. So writing a file twice, or finishing what somebody left half written, gives the same file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.terms import DocumentRef, utc_now
from lendrail.runtime.mongo import Collection, Document, insert_absent

CHUNK_BYTES = 255 * 1024
"""GridFS's own default."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A document as it rests: sealed under the data key `key_id`."""

    ref: DocumentRef
    key_id: str
    sealed: bytes


def file_id(key_id: str, sha256: str) -> str:
    return f"{key_id}.{sha256}"


class Files:
    def __init__(self, database: Any) -> None:
        self._files: Collection = database["fs.files"]
        self._chunks: Collection = database["fs.chunks"]

    async def prepare(self) -> None:
        """The indexes that GridFS asks for."""
        await self._files.create_index([("filename", 1), ("uploadDate", 1)])
        await self._chunks.create_index([("files_id", 1), ("n", 1)], unique=True)

    async def put(self, files: Sequence[StoredFile]) -> None:
        """Store what is not stored yet; a file is seen only when all its chunks are there."""
        now = utc_now()
        await insert_absent(self._chunks, [chunk for file in files for chunk in _chunks(file)])
        await insert_absent(self._files, [_entry(file, now) for file in files])

    async def get(self, id: str) -> StoredFile | None:
        entry = await self._files.find_one({"_id": id})
        if entry is None:
            return None
        chunks = await self._chunks.find({"files_id": id}, {"data": 1}).sort("n").to_list()
        ref = DocumentRef(
            id=id,
            kind=entry["metadata"]["kind"],
            name=entry["filename"],
            content_type=entry["metadata"]["contentType"],
            sha256=entry["metadata"]["sha256"],
            size=entry["metadata"]["size"],
        )
        return StoredFile(ref, entry["metadata"]["keyId"], b"".join(bytes(chunk["data"]) for chunk in chunks))


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
        },
    }
