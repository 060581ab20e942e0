"""What a tenant sees of its applications' documents, and how an operator takes links to them back.

Whose a document is follows from the packages: an application belongs to the tenant for whom it was packaged.
"""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import ValidationError

from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.sensitive import Erased, SensitiveText
from lendrail.contracts.terms import FieldProblem, Model
from lendrail.documents.files import Files, Listed, owner_of
from lendrail.documents.links import Links
from lendrail.runtime import audit
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault

READ, OPERATE = Depends(authorised("applications:read")), Depends(authorised("operator"))
MOST_SHOWN = 500
Shown = dict[str, Any]


class Revoking(Model):
    """Why, and whether it is about one partner only."""

    reason: SensitiveText
    opportunity_id: uuid.UUID | None = None


class Shelf:
    def __init__(self, packages: Collection, files: Files, links: Links, vault: Vault) -> None:
        self._packages, self._files, self._links, self._vault = packages, files, links, vault

    async def prepare(self) -> None:
        await self._packages.create_index("application")

    async def of(self, caller: Caller, application: str) -> list[Shown]:
        """The documents of an application. Raises `Problem`."""
        key = await self._key(caller, application)
        return [_shown(each, key) for each in await self._files.of(application, MOST_SHOWN)]

    async def one(self, caller: Caller, id: str) -> Shown:
        """A document and who was given links to it. Raises `Problem`."""
        listed, key = await self._mine(caller, id)
        return _shown(listed, key) | {"links": [_link(each) for each in await self._links.to(id)]}

    async def revoke(self, caller: Caller, id: str, told: Revoking, request: str) -> int:
        """How many links opened the document until now and do so no longer. Raises `Problem`."""
        listed, key = await self._mine(caller, id)
        opportunity = str(told.opportunity_id) if told.opportunity_id else None
        revoked = 0
        for link in await self._links.unrevoked(id, opportunity):
            entry = audit.entry(
                audit.by(caller, request), "link-revoked", f"links/{link}", application=listed.key_id,
                why=told.reason, key=key, about={"document": id},
            )  # fmt: skip
            revoked += await self._links.revoke(link, entry)
        return revoked

    async def _mine(self, caller: Caller, id: str) -> tuple[Listed, Key]:
        listed = (await self._files.listed([id])).get(id)
        if listed is None:
            await self._key(caller, owner_of(id))
            raise _not_here()
        return listed, await self._key(caller, listed.key_id)

    async def _key(self, caller: Caller, application: str) -> Key:
        mine = {"application": application, "tenant": caller.tenant_id, "mode": {"$in": [caller.mode, None]}}
        if await self._packages.find_one(mine, {"_id": 1}) is None:
            raise _not_here()
        try:
            if not await self._vault.erased([application]):
                return await self._vault.get(application)
        except Erased:
            pass
        raise Problem(410, "erased", "The applicant was erased; the documents are gone.")


def _not_here() -> Problem:
    return Problem(404, "not-found", "There is no such document.")


def _shown(listed: Listed, key: Key) -> Shown:
    ref = listed.ref.model_dump(mode="json", by_alias=True, exclude_none=True)
    title = {"title": key.open(listed.title)} if listed.title else {}
    return ref | {"applicationId": listed.key_id, "storedAt": listed.stored_at.isoformat()} | title


def _link(link: Document) -> Shown:
    last = {"lastUsedAt": link["accesses"][-1]["at"].isoformat()} if link["accesses"] else {}
    return {
        "partner": link["partner"],
        "opportunityId": link["opportunity"],
        "expiresAt": link["expires"].isoformat(),
        "revoked": link["revoked"],
        "used": link.get("used", 0),
        **last,
    }


def routes(shelf: Shelf) -> APIRouter:
    router = APIRouter(prefix="/v1/documents")

    @router.get("")
    async def documents(application: uuid.UUID, caller: Caller = READ) -> Response:
        """The documents of an application, oldest first."""
        return reply({"documents": await shelf.of(caller, str(application))}, headers={"Cache-Control": "no-store"})

    @router.get("/{id}")
    async def document(id: str, caller: Caller = READ) -> Response:
        """One document and the links to it, never the links themselves."""
        return reply(await shelf.one(caller, id), headers={"Cache-Control": "no-store"})

    @router.post("/{id}/links/revoke")
    async def revoke(id: str, request: Request, caller: Caller = OPERATE) -> Response:
        """Take back the links to a document, of all partners or of one. Saying it again changes nothing."""
        told = _told(await strict_body(request))
        return reply({"revoked": await shelf.revoke(caller, id, told, request_id(request))})

    return router


def _told(body: Any) -> Revoking:
    """Raises `Problem` 422 that names every field at fault."""
    faults = [
        FieldProblem(pointer=p, code="unknown-field", message="is not known") for p in unknown_fields(Revoking, body)
    ]
    try:
        told = Revoking.model_validate(body)
    except ValidationError as error:
        faults = [*problems_of(error), *faults]
    if faults:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=faults)
    return told
