"""What people see and do: attempts that wait for them, and settling one by what they found out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, ForeignId, Model, utc_now
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Request as PartnerRequest
from lendrail.runtime.http import Problem, authorised, reply, strict_body
from lendrail.runtime.mongo import ASCENDING, Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault
from lendrail.submission import moves
from lendrail.submission.attempt import Attempt, Opportunity, State, reference
from lendrail.submission.requests import STORED
from lendrail.submission.settings import Settings
from lendrail.submission.store import HIDDEN, Store, read, stored_requests

STATES = {
    "parked": (State.PARKED,),
    "id-unknown": (State.SUBMITTED_ID_UNKNOWN,),
    "unknown": (State.UNKNOWN, State.RECONCILING),
}
LARGEST_PAGE = 200
REPEATS = 3
"""From so many applications on, a problem that a partner names is proposed as a rule of ours."""


class Resolution(Model):
    """What a person found out about an attempt whose outcome is unknown, and how they know.

    `partner-id`: the partner has it under this id. `sent-elsewhere`: the partner has it, there is no id to follow.
    `not-sent`: the partner does not have it, so it goes again, marked as a possible duplicate where that can be told.
    """

    outcome: Literal["partner-id", "sent-elsewhere", "not-sent"]
    partner_id: Annotated[ForeignId, Field(pattern=r"^[!-~]*[A-Za-z0-9][!-~]*$")] | None = None
    reason: SensitiveText

    @model_validator(mode="after")
    def _names_the_id(self) -> Resolution:
        if (self.partner_id is not None) is not (self.outcome == "partner-id"):
            raise PydanticCustomError("partner_id", "state partnerId with the outcome partner-id, and only then")
        return self


class People:
    """People's actions; each writes who, what and why in the same write as its effect."""

    def __init__(self, store: Store, vault: Vault, settings: Settings, stored: Callable[[], None]) -> None:
        self._store, self._vault, self._settings, self._stored = store, vault, settings, stored

    async def attempts(self, caller: Caller, state: str, size: int, token: str | None) -> dict[str, Any]:
        """One page of attempts in this state, oldest opportunity id first. Raises `Problem`."""
        if state not in STATES:
            raise Problem(422, "invalid-request", f"state must be one of: {', '.join(STATES)}.")
        after, skip = _read_token(token)
        wanted = {"tenant": caller.tenant_id, "mode": caller.mode, "_id": {"$gte": after}}
        wanted |= {"attempts.state": {"$in": [str(each) for each in STATES[state]]}}
        page: list[dict[str, Any]] = []
        async for document in self._store.collection.find(wanted, HIDDEN).sort("_id", ASCENDING).limit(size + 1):
            for place, (opportunity, attempt) in enumerate(_in_state(read(document), STATES[state])):
                if opportunity.id == after and place < skip:
                    continue
                if len(page) == size:
                    return {"items": page, "nextPageToken": _token(opportunity.id, place)}
                page.append(_shown(opportunity, attempt))
        return {"items": page}

    async def resolve(self, caller: Caller, attempt: str, told: Resolution, idempotency: str) -> dict[str, Any]:
        """Settle an attempt by what a person found out. Raises `Problem`."""
        given = [attempt, told.outcome, told.partner_id, told.reason.reveal()]
        fingerprint = hashlib.sha256(orjson.dumps(given)).hexdigest()
        name = f"{caller.tenant_id}|resolve|{idempotency}"
        while True:
            if (before := await self._before(name, fingerprint)) is not None:
                return before
            document = await self._document(caller, attempt)
            opportunity = read(document)
            if not _resolvable(opportunity, opportunity.attempt(attempt), told):
                detail = "Only an attempt whose outcome is unknown, or that is parked, can be resolved so."
                raise Problem(409, "not-resolvable", detail)
            if await self._resolved(caller, document, opportunity, attempt, told, name, fingerprint):
                self._stored()

    async def _resolved(
        self,
        caller: Caller,
        document: Document,
        opportunity: Opportunity,
        attempt: str,
        told: Resolution,
        name: str,
        fingerprint: str,
    ) -> bool:
        key, now, found = (
            await self._vault.get(str(opportunity.application_id)),
            utc_now(),
            opportunity.attempt(attempt),
        )
        plans: dict[str, tuple[PartnerRequest, ...]] = {}
        if told.partner_id is not None:
            moved, acks = moves.bind(opportunity, found, told.partner_id, now)
        elif told.outcome == "sent-elsewhere":
            moved, acks = moves.settle(opportunity, found, now)
        else:
            moved, acks = moves.send_again(opportunity, found, self._settings.not_before(found, now), now)
            if found.operation in STORED:
                plans = {moved.attempts[-1].id: _again(document, found, key)}
        entry = {
            "who": caller.client_id,
            "what": told.outcome,
            "attempt": found.id,
            "was": str(found.state),
            "why": told.reason.seal(key),
            "at": now,
            "idempotency": name,
            "fingerprint": fingerprint,
            "answer": _shown(moved, moved.attempt(found.id)),
        } | ({"partner_id": told.partner_id} if told.partner_id else {})
        audited = replace(moved, audit=(*moved.audit, entry))
        try:
            return await self._store.save(audited, acks, key, plans=plans or None, due="now")
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

    async def _document(self, caller: Caller, attempt: str) -> Document:
        where = {"attempts.id": attempt, "tenant": caller.tenant_id, "mode": caller.mode}
        document: Document | None = await self._store.collection.find_one(where, {"outbox": 0, "replies": 0})
        if document is None:
            raise Problem(404, "not-found", "There is no such attempt.")
        return document

    async def refusals(self, caller: Caller) -> dict[str, Any]:
        """What partners refused, the most frequent first: what repeats is proposed as a rule of the pre-flight."""
        fields = {name: f"$attempts.problems.{name}" for name in ("pointer", "code", "message")}
        pipeline: list[Document] = [
            {"$match": {"tenant": caller.tenant_id, "mode": caller.mode, "attempts.problems.0": {"$exists": True}}},
            {"$project": {"partner": 1, "application_id": 1, "attempts": 1}},
            {"$unwind": "$attempts"},
            {"$unwind": "$attempts.problems"},
            {
                "$group": {
                    "_id": {"partner": "$partner", "operation": "$attempts.operation"} | fields,
                    "applications": {"$addToSet": "$application_id"},
                }
            },
            {"$project": {"applications": {"$size": "$applications"}}},
            {"$sort": {"applications": -1, "_id": 1}},
            {"$limit": LARGEST_PAGE},
        ]
        found = [each async for each in await self._store.collection.aggregate(pipeline)]
        shown = [each["_id"] | {"applications": each["applications"]} for each in found]
        return {"items": [each | {"proposed": each["applications"] >= REPEATS} for each in shown]}


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

    @router.post("/{attempt}/resolve")
    async def resolve(attempt: str, request: Request, caller: Caller = operator) -> Response:
        """Tell what became of an attempt whose outcome nobody knows; what waited for it then goes on."""
        name = request.headers.get("idempotency-key", "")
        if not re.fullmatch(r"[!-~]{1,255}", name):
            raise Problem(
                400, "idempotency-key-missing", "Send an Idempotency-Key of 1 to 255 visible ASCII characters."
            )
        return reply(await people.resolve(caller, attempt, _resolution(await strict_body(request)), name))

    return router


def refusal_routes(people: People) -> APIRouter:
    router = APIRouter(prefix="/v1/refusals", tags=["refusals"])
    operator = Depends(authorised("operator"))

    @router.get("")
    async def refusals(caller: Caller = operator) -> Response:
        """Field problems that partners named, with the number of applications; those that repeat are proposed rules."""
        return reply(await people.refusals(caller))

    return router


def _resolution(body: Any) -> Resolution:
    """Raises `Problem` 422 that names every field at fault."""
    faults = [
        FieldProblem(pointer=p, code="unknown-field", message="is not known") for p in unknown_fields(Resolution, body)
    ]
    try:
        told = Resolution.model_validate(body)
    except ValidationError as error:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=[*problems_of(error), *faults]) from None
    if faults:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=faults)
    return told


def _resolvable(opportunity: Opportunity, attempt: Attempt, told: Resolution) -> bool:
    """What nobody will settle by itself, or not soon. An id belongs to a creation that the partner may have; what may
    be sent again must have been planned once. The id that we have already may be confirmed: a decision that asks for
    review waits for that.
    """
    if told.outcome == "partner-id" and attempt.state == State.ACKED and attempt.operation == "create":
        return told.partner_id == opportunity.partner_id
    if attempt.operation == "gate" or attempt.state not in (State.PARKED, State.UNKNOWN, State.SUBMITTED_ID_UNKNOWN):
        return False
    if told.outcome == "not-sent":
        planned = bool(attempt.calls) or attempt.document is not None
        return planned and attempt.state != State.SUBMITTED_ID_UNKNOWN
    if attempt.tries == 0:
        return False
    return told.outcome == "sent-elsewhere" or attempt.operation == "create"


def _again(document: Document, attempt: Attempt, key: Key) -> tuple[PartnerRequest, ...]:
    """The same bytes, marked where the partner can be told that it may have them already."""
    requests = stored_requests(document, attempt, key)
    partner = PARTNERS.get(attempt.channel or document["partner"])
    mark = partner.again if partner is not None and attempt.tries > 0 else None
    return tuple(mark(each) for each in requests) if mark else requests


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
        "plan": attempt.plan,
        "reference": reference(attempt) if attempt.operation == "create" else None,
        "partnerId": opportunity.partner_id,
        "tries": attempt.tries,
        "unknownSince": attempt.unknown_since.isoformat() if attempt.unknown_since else None,
        "nextCheckAt": attempt.due.isoformat() if attempt.due else None,
        "unreadableReply": _unread(attempt.unread) if attempt.unread else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _unread(kept: Mapping[str, Any]) -> dict[str, Any]:
    """That it is there, sealed."""
    return {"keptAt": kept["at"].isoformat(), "status": kept["status"], "bytes": kept["bytes"]}


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
