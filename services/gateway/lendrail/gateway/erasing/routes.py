"""The door through which an application is erased: `POST /v1/applications/{id}/erase`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request, Response
from pydantic import ValidationError

from lendrail.contracts.application_fields import Flag
from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.terms import FieldProblem, Model
from lendrail.gateway.amending.routes import key_of
from lendrail.gateway.erasing.erase import Eraser, still_open
from lendrail.gateway.reads import Reader, is_id
from lendrail.gateway.shapes import OpportunityView
from lendrail.gateway.store import Applications, soon
from lendrail.runtime import audit
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body, unavailable
from lendrail.runtime.mongo import Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller

Erasing = Annotated[Caller, Depends(authorised("applications:erase"))]
Reason = Literal["requested-by-person", "legal-obligation", "entered-by-mistake", "test-data"]
MOST = 50
"""Faults that are named at once."""


class Erasure(Model):
    reason: Reason
    """One of a list, since it is kept in clear for longer than the person's data."""
    even_if_open: Flag = False
    """Erase it although a partner still works on it."""

    @property
    def about(self) -> dict[str, str]:
        """As it is noted."""
        return {"reason": self.reason, "evenIfOpen": "true" if self.even_if_open else "false"}


class ErasingDoor:
    def __init__(self, applications: Applications, reader: Reader, eraser: Eraser) -> None:
        self._applications, self._reader, self._eraser = applications, reader, eraser

    async def erase(self, request: Request, caller: Caller, application: str) -> Response:
        """200 when nobody can read the person any more; the same again for one that was erased. Raises `Problem`."""
        if not self._applications.prepared:  # without its indexes the store cannot tell whose key it is
            raise unavailable()
        key, wanted = key_of(request), _read(await strict_body(request))
        document = await self._find(caller, application)
        again = self._again(document, key, wanted)
        if not again and "erasing" not in document:
            await self._begin(request, caller, document, key, wanted)
        await soon(self._eraser.finish(application))
        headers = {"Idempotency-Replayed": "true"} if again else None
        return reply({"applicationId": application, "status": "erased"}, headers=headers)

    async def _find(self, caller: Caller, application: str) -> Document:
        found = None
        if is_id(application):
            found = await soon(self._applications.one(caller.tenant_id, caller.mode, application))
        if found is None:
            raise Problem(404, "not-found", "You have no such application.")
        return found

    def _again(self, document: Document, key: str, wanted: Erasure) -> bool:
        """Whether this very key erased it. Raises `Problem` 422 where it came with something else."""
        mark = document.get("erasing", {})
        if mark.get("idempotency") != key:
            return False
        if {name: mark[name] for name in wanted.about} != wanted.about:
            raise _reused()
        return True

    async def _begin(self, request: Request, caller: Caller, document: Document, key: str, wanted: Erasure) -> None:
        """Durable when it returns, whoever was first. Raises `Problem` 409 and 422."""
        if await soon(self._used(caller.tenant_id, key)):
            if self._again(await self._find(caller, document["_id"]), key, wanted):  # a twin was faster
                return
            raise _reused()
        if not wanted.even_if_open:
            _closed(still_open(await soon(self._reader.view(document))))
        actor = audit.by(caller, request_id(request))
        try:
            if await soon(self._eraser.begin(document, actor, wanted.about, key)):
                return
        except DuplicateKeyError:
            raise _reused() from None
        self._again(await self._find(caller, document["_id"]), key, wanted)

    async def _used(self, tenant: str, key: str) -> bool:
        if await self._applications.amended_by_key(tenant, key):
            return True
        return await self._applications.by_key(tenant, key) is not None


def _read(data: Any) -> Erasure:
    """Raises `Problem` 422."""
    message = "is not a field of this"
    problems = [FieldProblem(pointer=at, code="unknown_field", message=message) for at in unknown_fields(Erasure, data)]
    try:
        wanted = Erasure.model_validate_json(json.dumps(data, default=float))
    except ValidationError as error:
        problems += problems_of(error)
    if problems:
        raise Problem(422, "invalid-erasure", "Nothing was erased; `errors` names every fault.", errors=problems[:MOST])
    return wanted


def _closed(places: Sequence[OpportunityView]) -> None:
    """Raises `Problem` 409 that names what is open."""
    if not places:
        return
    named = [
        FieldProblem(
            pointer="",
            code="still-open",
            message=f"opportunity {each.opportunity_id} is {each.status}",
            phase="backend",
            partner=each.partner,
        )
        for each in places[:MOST]
    ]
    detail = (
        "A partner still works on it; `errors` names each opportunity. Withdraw it first, or state `evenIfOpen`: true. "
        "Partners then keep what they were sent, and you will not hear of it any more."
    )
    raise Problem(409, "still-open", detail, errors=named)


def _reused() -> Problem:
    detail = "This Idempotency-Key came with another request before; use a new key."
    return Problem(422, "idempotency-key-reused", detail)


def install(app: FastAPI, door: ErasingDoor) -> None:
    @app.post("/v1/applications/{application_id}/erase")
    async def erase(request: Request, caller: Erasing, application_id: str) -> Response:
        return await door.erase(request, caller, application_id)
