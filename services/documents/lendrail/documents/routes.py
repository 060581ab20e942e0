"""HTTP of documents: links for partners, and sealed bytes for our own submission."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response

from lendrail.contracts.sensitive import Erased
from lendrail.documents.files import Files, owner_of
from lendrail.documents.links import Links
from lendrail.runtime.http import Problem
from lendrail.runtime.tokens import ServiceTokens, Unauthorised
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
SECRET_PATH = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def not_here() -> Problem:
    return Problem(404, "not-found", "There is nothing here.", headers=SECRET_PATH)


def gone() -> Problem:
    return Problem(410, "gone", "This document is no longer available.", headers=SECRET_PATH)


def routes(files: Files, links: Links, vault: Vault, tokens: ServiceTokens) -> APIRouter:
    router = APIRouter()

    @router.api_route("/d/{token}", methods=["GET", "HEAD"], summary="A document behind its expiring link")
    async def fetch(request: Request, token: str) -> Response:
        state, link = await links.find(token)
        if state == "unknown":
            raise not_here()
        if state == "expired" or await vault.erased([link["keyId"]]):
            raise gone()
        file = await files.get(link["document"])
        if file is None:
            raise gone()
        try:
            content = (await vault.get(file.key_id)).open_bytes(file.sealed)
        except Erased:
            raise gone() from None
        await links.accessed(link, request.method)
        log.info("a document was fetched", link=link["_id"][:12], method=request.method)
        headers = SECRET_PATH | {"Content-Disposition": f'attachment; filename="{file.ref.name}"'}
        return Response(content, headers=headers, media_type=file.ref.content_type)

    @router.get("/internal/documents/{id}", summary="Sealed bytes, for services of ours")
    async def sealed(request: Request, id: str) -> Response:
        try:
            tokens.service(request.headers.get("authorization"))
        except Unauthorised:
            raise Problem(401, "unauthorised", "Send a valid service token.") from None
        file = await files.get(id)
        if file is None and await vault.erased([owner_of(id)]):
            raise Problem(410, "erased", "The applicant was erased; the documents are gone.")
        if file is None:
            raise Problem(404, "not-found", "There is no such document.")
        headers = {"X-Document-Sha256": file.ref.sha256, "X-Key-Id": file.key_id, "Cache-Control": "no-store"}
        return Response(file.sealed, headers=headers, media_type="application/octet-stream")

    return router
