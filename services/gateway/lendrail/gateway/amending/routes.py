"""Routes that change an application or one of its opportunities: `Idempotency-Key` on each, `If-Match` on PUT."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response

from lendrail.contracts.application_amended import DocumentAdded
from lendrail.contracts.application_words import UploadKind
from lendrail.gateway import receive
from lendrail.gateway.amending.amend import meant
from lendrail.gateway.amending.amendments import Amendments, Asked, Stored, stale
from lendrail.gateway.amending.wishes import Wish, correction, said, wish
from lendrail.gateway.uploads import NOBODY, Uploads, digest
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, allow_body, authorised, correlation_id, reply, request_id, strict_body
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller

Writing = Annotated[Caller, Depends(authorised("applications:write"))]
Accepting = Annotated[Caller, Depends(authorised("offers:accept"))]
Kind = Annotated[UploadKind, Query()]
Title = Annotated[str | None, Query(min_length=1, max_length=255)]
NO_STORE = {"Cache-Control": "no-store"}


class AmendingDoor:
    """Takes changes from authenticated callers."""

    def __init__(self, amendments: Amendments, uploads: Uploads) -> None:
        self._amendments, self._uploads = amendments, uploads

    async def correct(self, request: Request, caller: Caller, application: str) -> Response:
        key, follows = key_of(request), _revision(request)
        data = await strict_body(request)
        tenant = self._amendments.tenant(caller.tenant_id)
        document = await self._amendments.find(caller.tenant_id, caller.mode, application)
        if follows == 0 and await self._amendments.known(document, key, None) is None:
            raise stale(document["revision"])
        wanted = correction(await request.body(), data, tenant, caller.mode)
        return await self._take(request, caller, application, key, wanted, follows)

    async def change(
        self, request: Request, caller: Caller, kind: str, application: str, opportunity: uuid.UUID | None = None
    ) -> Response:
        key = key_of(request)
        return await self._take(request, caller, application, key, wish(kind, await strict_body(request), opportunity))

    async def change_at(self, request: Request, caller: Caller, kind: str, opportunity: str) -> Response:
        application, named = await self._place(caller, opportunity)
        return await self.change(request, caller, kind, application, named)

    async def _place(self, caller: Caller, opportunity: str) -> tuple[str, uuid.UUID]:
        """Raises `Problem` 404, also where it is another tenant's."""
        try:
            application = await self._amendments.application_of(opportunity)
            await self._amendments.find(caller.tenant_id, caller.mode, application)
        except Problem as problem:
            if problem.status != 404:
                raise
            raise Problem(404, "not-found", "You have no such opportunity.") from None
        return application, uuid.UUID(opportunity)

    async def _take(
        self, request: Request, caller: Caller, application: str, key: str, wish: Wish, follows: int | None = None
    ) -> Response:
        if wish.amendment is None:
            document = await self._amendments.find(caller.tenant_id, caller.mode, application)
            await self._amendments.known(document, key, wish.fingerprint)  # a taken key is told first
            await self._amendments.key_of(document)
            raise _invalid(wish)
        asked = _asked(request, caller, application, key, wish, follows)
        return _answer(await self._amendments.store(asked))

    async def add_document(
        self, request: Request, caller: Caller, application: str, kind: UploadKind, title: str | None, at: str | None
    ) -> Response:
        """The bytes go to the documents service first; the amendment then names what they became there."""
        key = key_of(request)
        document = await self._amendments.find(caller.tenant_id, caller.mode, application)
        opportunity = (await self._at(caller, application, at)) if at is not None else None
        if await self._amendments.known(document, key, None):
            said_again = _said(kind, title, opportunity, await digest(request))
            known = await self._amendments.known(document, key, said_again)
            assert known is not None
            return _answer(known)
        await self._amendments.may(document, DocumentAdded(document=NOBODY, opportunity_id=opportunity))
        ref = await self._uploads.bring(request, application, kind.value, title)
        added = DocumentAdded(document=ref, opportunity_id=opportunity)
        wish = Wish(added, (), _said(kind, title, opportunity, ref.sha256))
        return _answer(await self._amendments.store(_asked(request, caller, application, key, wish)))

    async def _at(self, caller: Caller, application: str, opportunity: str) -> uuid.UUID:
        belongs, named = await self._place(caller, opportunity)
        if belongs != application:
            raise Problem(404, "not-found", "This application has no such opportunity.")
        return named

    async def link(
        self, request: Request, caller: Caller, opportunity: str, offer: str, variant: str | None
    ) -> Response:
        """The offer's link, after it is noted who was given it. Raises `Problem`."""
        application, named = await self._place(caller, opportunity)
        document = await self._amendments.find(caller.tenant_id, caller.mode, application)
        key = await self._amendments.key_of(document)
        at = (await self._amendments.standing(document, key)).opportunity(named)
        links = {o.action_link.reveal() for o in meant(at.made if at else (), offer, variant) if o.action_link}
        if not links:
            raise Problem(404, "unknown-offer", "There is no such offer with a link here.")
        if len(links) > 1:
            raise Problem(409, "unknown-offer", "State which variant.")
        await self._amendments.note(document, _handed(request, caller, document, opportunity))
        return reply({"link": links.pop()}, headers=NO_STORE)


def key_of(request: Request) -> str:
    """Raises `Problem` 400."""
    key = receive.idempotency_key(request.headers.getlist("idempotency-key"))
    if key is None:
        detail = "State one Idempotency-Key header of 1 to 255 visible ASCII characters."
        raise Problem(400, "idempotency-key-missing", detail)
    return key


def _revision(request: Request) -> int:
    """The revision that the caller has seen; 0 where the header names none that could be. Raises `Problem` 428."""
    stated = request.headers.getlist("if-match")
    if not stated:
        detail = 'State If-Match with the revision that you correct, such as If-Match: "1".'
        raise Problem(428, "precondition-required", detail)
    found = re.fullmatch(r'"([0-9]{1,9})"', stated[0].strip()) if len(stated) == 1 else None
    return int(found[1]) if found else 0


def _said(kind: UploadKind, title: str | None, opportunity: uuid.UUID | None, sha256: str) -> str:
    return said("document-added", opportunity, [kind.value, title, sha256])


def _asked(
    request: Request, caller: Caller, application: str, key: str, wish: Wish, follows: int | None = None
) -> Asked:
    assert wish.amendment is not None
    return Asked(
        tenant=caller.tenant_id,
        mode=caller.mode,
        by=caller.client_id,
        application=application,
        idempotency=key,
        fingerprint=wish.fingerprint,
        amendment=wish.amendment,
        request=request_id(request),
        correlation=correlation_id(request),
        revision=follows,
    )


def _answer(stored: Stored) -> Response:
    body: dict[str, Any] = {"applicationId": stored.application, "revision": stored.revision}
    if stored.document is not None:
        body["document"] = stored.document
    headers = {"Location": f"/v1/applications/{stored.application}", "ETag": f'"{stored.revision}"'}
    return reply(body, 202, headers | ({"Idempotency-Replayed": "true"} if stored.again else {}))


def _invalid(wish: Wish) -> Problem:
    crossing = any(problem.code == receive.MODE_CROSSING for problem in wish.problems)
    code = receive.MODE_CROSSING if crossing else "invalid-amendment"
    return Problem(422, code, "Nothing was stored; `errors` names every fault by JSON pointer.", errors=wish.problems)


def _handed(request: Request, caller: Caller, document: Document, opportunity: str) -> Document:
    return audit.entry(
        audit.by(caller, request_id(request)),
        "offer-link-given",
        f"opportunities/{opportunity}",
        application=document["_id"],
        at=utc_now(),
        about={"opportunity": opportunity},
    )


def install(app: FastAPI, door: AmendingDoor, max_upload_bytes: int) -> None:
    allow_body(app, "POST", r"/v1/applications/[^/]+/documents", max_upload_bytes)

    @app.put("/v1/applications/{application_id}")
    async def correct(request: Request, caller: Writing, application_id: str) -> Response:
        return await door.correct(request, caller, application_id)

    @app.post("/v1/applications/{application_id}/opportunities")
    async def add_partners(request: Request, caller: Writing, application_id: str) -> Response:
        return await door.change(request, caller, "partner-added", application_id)

    @app.post("/v1/applications/{application_id}/withdraw")
    async def withdraw(request: Request, caller: Writing, application_id: str) -> Response:
        return await door.change(request, caller, "withdrawn", application_id)

    @app.post("/v1/applications/{application_id}/documents")
    async def add_document(
        request: Request, caller: Writing, application_id: str, kind: Kind, name: Title = None,
        opportunity: Annotated[str | None, Query(max_length=36)] = None,
    ) -> Response:  # fmt: skip
        return await door.add_document(request, caller, application_id, kind, name, opportunity)

    @app.post("/v1/opportunities/{opportunity_id}/withdraw")
    async def withdraw_at(request: Request, caller: Writing, opportunity_id: str) -> Response:
        return await door.change_at(request, caller, "withdrawn", opportunity_id)

    @app.post("/v1/opportunities/{opportunity_id}/accept")
    async def accept(request: Request, caller: Accepting, opportunity_id: str) -> Response:
        return await door.change_at(request, caller, "offer-accepted", opportunity_id)

    @app.get("/v1/opportunities/{opportunity_id}/offers/{offer_id:path}/link")
    async def link(
        request: Request, caller: Accepting, opportunity_id: str, offer_id: str,
        variant: Annotated[str | None, Query(min_length=1, max_length=120)] = None,
    ) -> Response:  # fmt: skip
        return await door.link(request, caller, opportunity_id, offer_id, variant)
