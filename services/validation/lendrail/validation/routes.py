"""HTTP of validation: pre-flight, JSON Schemas for client-side validation, and what waits, for operators."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.http import Problem, authorised, reply, strict_body
from lendrail.runtime.tokens import Caller
from lendrail.validation.duplicates import Duplicates
from lendrail.validation.eligibility import Candidate
from lendrail.validation.order import Early
from lendrail.validation.schemas import Schemas
from lendrail.validation.validate import Facts, Verdict, read, validate

Writer = Annotated[Caller, Depends(authorised("applications:write"))]
Operator = Annotated[Caller, Depends(authorised("operator"))]
Anybody = Annotated[Caller, Depends(authorised())]


@dataclass(frozen=True)
class Preflight:
    """What validation would say, without creating anything."""

    duplicates: Duplicates
    tenants: Mounted[Tenants]

    async def verdict(self, body: Any, tenant_id: str) -> Verdict:
        application, unfit = read(body)
        wish = self.duplicates.wish(str(uuid.uuid4()), tenant_id, application, utc_now())
        seen = await self.duplicates.seen([wish])
        facts = Facts(self.tenants.current.by_id.get(tenant_id), wish.received_at, seen.earlier(wish))
        return validate(application, tuple(unfit), facts)


def routes(preflight: Preflight, early: Early) -> APIRouter:
    router, schemas = APIRouter(prefix="/v1"), Schemas()

    @router.post("/applications/preflight", summary="What our rules say of this application")
    async def check(request: Request, caller: Writer) -> Response:
        """Nothing is created and nobody outside is asked: what a business register says is known after submission."""
        return reply(told(await preflight.verdict(await strict_body(request), caller.tenant_id)))

    @router.get("/amendments", summary="Amendments that wait for the one before them")
    async def waiting(caller: Operator) -> Response:
        found = await early.waiting(caller.tenant_id, caller.mode)
        return reply({"amendments": found}, headers={"Cache-Control": "no-store"})

    @router.get("/schemas/{name}", summary="JSON Schema of an application, or of one for this partner")
    async def schema(request: Request, name: str, caller: Anybody) -> Response:
        tenant = preflight.tenants.current.by_id.get(caller.tenant_id)
        accounts = tenant.partners if tenant else ()
        options = next((each.options for each in accounts if each.partner == name), {})
        found = await asyncio.to_thread(schemas.of, name, options)
        if found is None:
            raise Problem(404, "not-found", "There is no schema of this name.")
        body, tag = found
        headers = {"ETag": tag, "Cache-Control": "private, max-age=300", "Vary": "Authorization"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/schema+json")

    return router


def told(verdict: Verdict) -> dict[str, Any]:
    partners = [_candidate(each) for each in verdict.candidates]
    return {"valid": verdict.sound, "problems": _problems(verdict.problems), "partners": partners}


def _candidate(each: Candidate) -> dict[str, Any]:
    credential = {"credential": each.credential} if each.credential is not None else {}
    return {"partner": each.partner, **credential, "eligible": each.eligible, "reasons": _problems(each.reasons)}


def _problems(problems: tuple[FieldProblem, ...]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in problems]
