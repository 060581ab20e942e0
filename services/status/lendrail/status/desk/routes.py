"""The desk: what the machine leaves to people, and what they do about it. Operators of a tenant see and do it in the
mode of their token; what a word means for all tenants needs the platform's scope. Who did it and why stands in the
audit before it takes effect.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Model
from lendrail.runtime import audit
from lendrail.runtime.bodies import Once, answered_before, checked, fingerprint, idempotency_key
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.parameters import ONLY_KNOWN
from lendrail.runtime.tokens import Caller
from lendrail.status.desk.dismissing import Dismissal, Dismissing
from lendrail.status.desk.merging import Merging
from lendrail.status.desk.sought import Sought, sought
from lendrail.status.desk.waiting import Waiting, listed

OPERATE = Depends(authorised("operator"))
NO_STORE = {"Cache-Control": "no-store"}
TRIES = 20
"""How often a write is tried anew that others overtook."""


class Merge(Model):
    opportunity_id: Annotated[str, Field(min_length=1, max_length=80)]
    reason: SensitiveText


class Reason(Model):
    reason: SensitiveText


def routes(
    waiting: Waiting, merging: Merging, dismissing: Dismissing, opportunities: Collection, orphans: Collection
) -> APIRouter:
    router = APIRouter(prefix="/v1/desk", tags=["desk"], dependencies=[ONLY_KNOWN])

    @router.get("")
    async def overview(caller: Caller = OPERATE) -> Response:
        """One look that says what waits."""
        return reply(await waiting.overview(caller), headers=NO_STORE)

    @router.get("/orphans")
    async def nobodys(wanted: Annotated[Sought, Depends(sought)], caller: Caller = OPERATE) -> Response:
        return reply(listed("orphans", await waiting.orphans(caller, wanted)), headers=NO_STORE)

    @router.post("/orphans/dismiss")
    async def dismiss_many(request: Request, caller: Caller = OPERATE) -> Response:
        """Those that fit are nobody's: they leave the list together, and are heard all the same should theirs become
        known.
        """
        told = checked(Dismissal, body := await strict_body(request))
        wanted = waiting.nobodys(caller, told)
        if told.dry_run:
            return reply(await dismissing.count(wanted), headers=NO_STORE)
        if told.reason is None:
            raise Problem(422, "reason-missing", "State the reason; it is kept with who and when.")
        once = once_of(request, caller, ["dismiss-many", body])
        answer = await answered_before(dismissing.collection, once)
        if answer is None:
            actor = audit.by(caller, request_id(request))
            answer = await dismissing.dismiss(actor, wanted, told, told.reason, once)
        return reply(answer, headers=NO_STORE)

    @router.get("/disagreements")
    async def disagreements(caller: Caller = OPERATE) -> Response:
        return reply(listed("disagreements", await waiting.disagreements(caller)), headers=NO_STORE)

    @router.get("/duplicates")
    async def duplicates(caller: Caller = OPERATE) -> Response:
        return reply(listed("duplicates", await waiting.duplicates(caller)), headers=NO_STORE)

    @router.post("/orphans/{call_id}/merge")
    async def merge(call_id: str, request: Request, caller: Caller = OPERATE) -> Response:
        """Hear the call as if the partner had named this opportunity."""
        told = checked(Merge, await strict_body(request))
        once = once_of(request, caller, ["merge", call_id, told.opportunity_id, told.reason.reveal()])
        for _ in range(TRIES):
            if (before := await answered_before(opportunities, once)) is not None:
                return reply(before, headers=NO_STORE)
            call = await _orphan(waiting, caller, call_id)
            actor = audit.by(caller, request_id(request))
            answer = await merging.merge(actor, call, told.opportunity_id, told.reason, once)
            if answer is not None:
                await merging.finish(told.opportunity_id)
                return reply(answer, headers=NO_STORE)
        raise busy()

    @router.post("/orphans/{call_id}/dismiss")
    async def dismiss(call_id: str, request: Request, caller: Caller = OPERATE) -> Response:
        """Nobody's: it leaves the list, and is heard all the same should its opportunity become known."""
        told = checked(Reason, await strict_body(request))
        once = once_of(request, caller, ["dismiss", call_id, told.reason.reveal()])
        if (before := await answered_before(orphans, once)) is not None:
            return reply(before, headers=NO_STORE)
        call = await _orphan(waiting, caller, call_id)
        answer = await merging.dismiss(audit.by(caller, request_id(request)), call, told.reason, once)
        answer = answer or await answered_before(orphans, once)
        if answer is None:
            raise Problem(409, "dismissed-already", "Somebody dismissed this call before.")
        return reply(answer, headers=NO_STORE)

    return router


def once_of(request: Request, caller: Caller, told: list[object]) -> Once:
    """Raises `Problem` 400."""
    name = f"{caller.tenant_id}|{caller.mode}|desk|{idempotency_key(request)}"
    return Once(name, fingerprint(told))


def busy() -> Problem:
    detail = "It changes too often just now; repeat the same request."
    return Problem(503, "busy", detail, headers={"Retry-After": "2"})


async def _orphan(waiting: Waiting, caller: Caller, call: str) -> Document:
    """Raises `Problem`."""
    found = await waiting.orphan(caller, call)
    if found is None:
        detail = "There is no such call; it may have found its opportunity meanwhile."
        raise Problem(404, "not-found", detail)
    return found
