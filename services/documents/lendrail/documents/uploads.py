"""Files that somebody sends us for an application: taken whole or not at all.

What a file is stands at its end as much as at its beginning, its id is made of all its bytes, and it is sealed as one
piece. So it is read whole, bounded by the largest size that is taken and by how many are taken at once, and stored only
then: of one that is cut nothing is stored. The gateway alone asks for it; it knows whose application it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import PydanticCustomError
from starlette.requests import ClientDisconnect

from lendrail.contracts.application_fields import FileName
from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.sensitive import Erased, SealBroken
from lendrail.contracts.terms import DocumentRef
from lendrail.documents.content import NotTaken, file_type
from lendrail.documents.files import Files, StoredFile, file_name, upload_id
from lendrail.documents.settings import Settings
from lendrail.runtime.http import Problem, unavailable
from lendrail.runtime.mongo import Collection
from lendrail.runtime.tokens import ServiceTokens, Unauthorised
from lendrail.runtime.vault import Key, Vault

log = structlog.get_logger()
STATUSES = {"upload-program": 415, "upload-type": 415, "upload-macros": 415}
"""Other refusals of a file are 422."""
MOST_FILES = 200
"""For one application."""


class Uploads:
    def __init__(self, files: Files, quotas: Collection, vault: Vault, settings: Settings) -> None:
        self._files, self._quotas, self._vault, self._settings = files, quotas, vault, settings
        self._free = asyncio.Semaphore(settings.uploads_at_once)

    async def take(
        self, application_id: str, kind: UploadKind, title: FileName | None, body: AsyncIterator[bytes]
    ) -> DocumentRef:
        """The same bytes again are the same document, of the kind and title that were said last. Raises `Problem`."""
        key = await self._key(application_id)
        async with self._slot():
            content = await self._whole(body)
            try:
                file = await asyncio.to_thread(sealed, content, key, kind, title)
            except NotTaken as fault:
                raise Problem(STATUSES.get(fault.code, 422), fault.code, fault.detail) from None
            del content
            await self._refuse_erased(application_id)
            await self._count(application_id, file)
            await self._files.put([file])
            await self._files.name(file)
        log.info("a document was uploaded", application=application_id, kind=kind.value, size=file.ref.size)
        return file.ref

    async def _key(self, application_id: str) -> Key:
        """Asks the store even where the key is remembered: nothing is taken for a person who was erased."""
        await self._refuse_erased(application_id)
        try:
            return await self._vault.get(application_id)
        except (Erased, SealBroken):
            raise Problem(404, "not-found", "There is no such application.") from None

    async def _refuse_erased(self, application_id: str) -> None:
        """Asked again when the file is here: reading it may have taken minutes."""
        if await self._vault.erased([application_id]):
            raise Problem(410, "erased", "The applicant was erased; nothing more is taken.")

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the few uploads that are held in memory at once; the others wait unread, but not for long."""
        try:
            async with asyncio.timeout(self._settings.upload_wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise unavailable() from None
        try:
            yield
        finally:
            self._free.release()

    async def _whole(self, body: AsyncIterator[bytes]) -> bytes:
        content = bytearray()
        try:
            async with asyncio.timeout(self._settings.upload_seconds):
                async for part in body:
                    content += part
        except TimeoutError:
            raise Problem(408, "upload-too-slow", "The file did not come in time; nothing was stored.") from None
        except ClientDisconnect:
            raise Problem(400, "upload-cut", "The file did not come whole; nothing was stored.") from None
        return bytes(content)

    async def _count(self, application_id: str, file: StoredFile) -> None:
        """Take its bytes from what the application may have, once for each file. Raises `Problem`."""
        most, size = self._settings.application_upload_bytes, file.ref.size
        empty = {"bytes": 0, "files": []}
        await self._quotas.update_one({"_id": application_id}, {"$setOnInsert": empty}, upsert=True)
        fits = {"_id": application_id, "files": {"$ne": file.ref.id}, "bytes": {"$lte": most - size}}
        fits[f"files.{MOST_FILES - 1}"] = {"$exists": False}
        counted = await self._quotas.update_one(fits, {"$inc": {"bytes": size}, "$push": {"files": file.ref.id}})
        if counted.matched_count:
            return
        if await self._quotas.find_one({"_id": application_id, "files": file.ref.id}, {"_id": 1}) is None:
            detail = f"An application may have {MOST_FILES} uploads with {most} bytes together."
            raise Problem(413, "over-quota", detail)


def sealed(content: bytes, key: Key, kind: UploadKind, title: FileName | None) -> StoredFile:
    """The file as it rests. Raises `NotTaken`."""
    type = file_type(content)
    sha256 = hashlib.sha256(content).hexdigest()
    ref = DocumentRef(
        id=upload_id(key.id, sha256),
        kind=kind.value,
        name=file_name(kind.value, sha256, type.extension),
        content_type=type.media,
        sha256=sha256,
        size=len(content),
    )
    return StoredFile(ref, key.id, key.seal_content(content), title.seal(key) if title else None)


def routes(uploads: Uploads, tokens: ServiceTokens) -> APIRouter:
    router = APIRouter()

    @router.put("/internal/applications/{application_id}/documents", summary="Take a file, for the gateway")
    async def take(request: Request, application_id: uuid.UUID, kind: UploadKind, name: str | None = None) -> Response:
        try:
            tokens.service(request.headers.get("authorization"))
        except Unauthorised:
            raise Problem(401, "unauthorised", "Send a valid service token.") from None
        ref = await uploads.take(str(application_id), kind, _title(name), request.stream())
        return Response(ref.model_dump_json(by_alias=True, exclude_none=True), 201, media_type="application/json")

    return router


def _title(name: str | None) -> FileName | None:
    try:
        return FileName(name) if name is not None else None
    except PydanticCustomError:
        detail = f"A name has 1 to {FileName.max_length} characters and no control characters."
        raise Problem(422, "upload-name", detail) from None
