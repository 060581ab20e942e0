"""What people see and do: attempts that wait for them, and binding a partner's id to one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field, ValidationError

from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, ForeignId, Model, utc_now
from lendrail.runtime.http import Problem, authorised, reply, strict_body
from lendrail.runtime.mongo import ASCENDING, Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Vault
from lendrail.submission import moves
from lendrail.submission.attempt import Attempt, Opportunity, State, reference
from lendrail.submission.store import Store, read

STATES = {
    "parked": (State.PARKED,),
    "id-unknown": (State.SUBMITTED_ID_UNKNOWN,),
    "unknown": (State.UNKNOWN, State.RECONCILING),
}
LARGEST_PAGE = 200


class Binding(Model):
    """The partner's id of an application that it has, and how the person knows."""

    partner_id: Annotated[ForeignId, Field(pattern=r"^[!-~]*[A-Za-z0-9][!-~]*$")]
    reason: SensitiveText


class People:
    """People's actions; each writes who, what and why in the same write as its effect."""

    def __init__(self, store: Store, vault: Vault, stored: Callable[[], None]) -> None:
        self._store, self._vault, self._stored = store, vault, stored

    async def attempts(self, caller: Caller, state: str, size: int, token: str | None) -> dict[str, Any]:
        """One page of attempts in this state, oldest opportunity id first. Raises `Problem`."""
        if state not in STATES:
            raise Problem(422, "invalid-request", f"state must be one of: {', '.join(STATES)}.")
        after, skip = _read_token(token)
        wanted = {"tenant": caller.tenant_id, "mode": caller.mode, "_id": {"$gte": after}}
        wanted |= {"attempts.state": {"$in": [str(each) for each in STATES[state]]}}
        hidden = {"outbox": 0, "requests": 0}
        page: list[dict[str, Any]] = []
        async for document in self._store.collection.find(wanted, hidden).sort("_id", ASCENDING).limit(size + 1):
            for place, (opportunity, attempt) in enumerate(_in_state(read(document), STATES[state])):
                if opportunity.id == after and place < skip:
                    continue
                if len(page) == size:
                    return {"items": page, "nextPageToken": _token(opportunity.id, place)}
                page.append(_shown(opportunity, attempt))
        return {"items": page}

    async def bind(self, caller: Caller, attempt: str, binding: Binding, idempotency: str) -> dict[str, Any]:
        """Give the partner's id to an attempt that the partner has. Raises `Problem`."""
        fingerprint = hashlib.sha256(orjson.dumps([attempt, binding.partner_id, binding.reason.reveal()])).hexdigest()
        name = f"{caller.tenant_id}|bind|{idempotency}"
        while True:
            if (before := await self._before(name, fingerprint)) is not None:
                return before
            opportunity = await self._opportunity(caller, attempt)
            found = opportunity.attempt(attempt)
            if not _bindable(found):
                raise Problem(
                    409, "not-bindable", "Only an attempt that the partner may have, without an id, can be bound."
                )
            if await self._bound(caller, opportunity, found, binding, name, fingerprint):
                self._stored()

    async def _bound(
        self, caller: Caller, opportunity: Opportunity, attempt: Attempt, binding: Binding, name: str, fingerprint: str
    ) -> bool:
        key, now = await self._vault.get(str(opportunity.application_id)), utc_now()
        bound, acks = moves.bind(opportunity, attempt, binding.partner_id, now)
        entry = {
            "who": caller.client_id,
            "what": "bind",
            "attempt": attempt.id,
            "was": str(attempt.state),
            "partner_id": binding.partner_id,
            "why": binding.reason.seal(key),
            "at": now,
            "idempotency": name,
            "fingerprint": fingerprint,
            "answer": _shown(bound, bound.attempt(attempt.id)),
        }
        try:
            return await self._store.save(replace(bound, audit=(*bound.audit, entry)), acks, key, due="now")
        except DuplicateKeyError:
            if await self._before(name, fingerprint) is not None:
                return True
            raise Problem(409, "partner-id-taken", "This partner id already belongs to another application.") from None

    async def _before(self, name: str, fingerprint: str) -> dict[str, Any] | None:
        """The answer of an earlier request with this key. Raises `Problem` when that was another request."""
        document = await self._store.collection.find_one({"audit.idempotency": name}, {"audit": 1})
        for entry in (document or {}).get("audit", ()):
            if entry.get("idempotency") == name:
                if entry["fingerprint"] != fingerprint:
                    raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used with another request.")
                answer: dict[str, Any] = entry["answer"]
                return answer
        return None

    async def _opportunity(self, caller: Caller, attempt: str) -> Opportunity:
        where = {"attempts.id": attempt, "tenant": caller.tenant_id, "mode": caller.mode}
        document: Document | None = await self._store.collection.find_one(where, {"outbox": 0, "requests": 0})
        if document is None:
            raise Problem(404, "not-found", "There is no such attempt.")
        return read(document)


def routes(people: People) -> APIRouter:
    router = APIRouter(prefix="/v1/attempts", tags=["attempts"])
    operator = Depends(authorised("operator"))

    @router.get("")
    async def attempts(
        state: str = "parked",
        pageSize: str = "50",
        pageToken: str | None = None,
        caller: Caller = operator,
    ) -> Response:
        """Attempts that wait for a person, or whose outcome is being looked for."""
        if not re.fullmatch(r"[0-9]{1,3}", pageSize, re.ASCII) or not 1 <= int(pageSize) <= LARGEST_PAGE:
            raise Problem(422, "invalid-request", f"pageSize must be between 1 and {LARGEST_PAGE}.")
        return reply(await people.attempts(caller, state, int(pageSize), pageToken))

    @router.post("/{attempt}/bind")
    async def bind(attempt: str, request: Request, caller: Caller = operator) -> Response:
        """Tell the partner's id of an attempt whose own answer was lost; its documents then go."""
        name = request.headers.get("idempotency-key", "")
        if not re.fullmatch(r"[!-~]{1,255}", name):
            raise Problem(
                400, "idempotency-key-missing", "Send an Idempotency-Key of 1 to 255 visible ASCII characters."
            )
        return reply(await people.bind(caller, attempt, _binding(await strict_body(request)), name))

    return router


def _binding(body: Any) -> Binding:
    """Raises `Problem` 422 that names every field at fault."""
    faults = [
        FieldProblem(pointer=p, code="unknown-field", message="is not known") for p in unknown_fields(Binding, body)
    ]
    try:
        binding = Binding.model_validate(body)
    except ValidationError as error:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=[*problems_of(error), *faults]) from None
    if faults:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=faults)
    return binding


def _bindable(attempt: Attempt) -> bool:
    """A creation that the partner has, or may have, whose id we do not know."""
    open_states = attempt.state == State.SUBMITTED_ID_UNKNOWN or (
        attempt.state == State.PARKED and attempt.unknowns > 0
    )
    return attempt.operation == "create" and open_states


def _in_state(opportunity: Opportunity, states: tuple[State, ...]) -> Iterator[tuple[Opportunity, Attempt]]:
    return ((opportunity, each) for each in opportunity.attempts if each.state in states)


def _shown(opportunity: Opportunity, attempt: Attempt) -> dict[str, Any]:
    fields = {
        "id": attempt.id,
        "applicationId": str(opportunity.application_id),
        "opportunityId": opportunity.id,
        "partner": opportunity.partner,
        "credential": opportunity.credential,
        "operation": attempt.operation,
        "document": attempt.document_name,
        "state": str(attempt.state),
        "reason": attempt.reason,
        "reference": reference(attempt) if attempt.operation == "create" else None,
        "partnerId": opportunity.partner_id,
        "tries": attempt.tries,
        "unknownSince": attempt.unknown_since.isoformat() if attempt.unknown_since else None,
        "nextCheckAt": attempt.due.isoformat() if attempt.due else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _token(opportunity: str, place: int) -> str:
    return base64.urlsafe_b64encode(f"{opportunity}|{place}".encode()).decode()


def _read_token(token: str | None) -> tuple[str, int]:
    """Where a page begins: an opportunity and a place among its attempts. Raises `Problem`."""
    if token is None:
        return "", 0
    try:
        opportunity, _, place = base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii").partition("|")
    except (binascii.Error, ValueError):
        opportunity = place = ""
    if not re.fullmatch(r"[0-9a-f-]{36}", opportunity) or not re.fullmatch(r"[0-9]{1,4}", place):
        raise Problem(422, "invalid-request", "pageToken is not one of ours.")
    return opportunity, int(place)
