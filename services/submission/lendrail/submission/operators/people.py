"""What people see: attempts that wait for them, and what partners refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from lendrail.runtime.http import Problem, authorised, reply
from lendrail.runtime.mongo import ASCENDING, Document
from lendrail.runtime.tokens import Caller
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State, reference
from lendrail.submission.store import HIDDEN, Store, read

STATES = {
    "parked": (State.PARKED,),
    "id-unknown": (State.SUBMITTED_ID_UNKNOWN,),
    "unknown": (State.UNKNOWN, State.RECONCILING),
}
LARGEST_PAGE = 200
REPEATS = 3
"""From so many applications on, a problem that a partner names is proposed as a rule of ours."""


class People:
    """What is there for people to look at."""

    def __init__(self, store: Store) -> None:
        self._store = store

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
                page.append(shown(opportunity, attempt))
        return {"items": page}

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
        listed = [each["_id"] | {"applications": each["applications"]} for each in found]
        return {"items": [each | {"proposed": each["applications"] >= REPEATS} for each in listed]}


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

    return router


def refusal_routes(people: People) -> APIRouter:
    router = APIRouter(prefix="/v1/refusals", tags=["refusals"])
    operator = Depends(authorised("operator"))

    @router.get("")
    async def refusals(caller: Caller = operator) -> Response:
        """Field problems that partners named, with the number of applications; those that repeat are proposed rules."""
        return reply(await people.refusals(caller))

    return router


def _in_state(opportunity: Opportunity, states: tuple[State, ...]) -> Iterator[tuple[Opportunity, Attempt]]:
    return ((opportunity, each) for each in opportunity.attempts if each.state in states)


def shown(opportunity: Opportunity, attempt: Attempt) -> dict[str, Any]:
    """An attempt as people see it."""
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
        "partnerId": None if _of_another(opportunity, attempt) else opportunity.partner_id,
        "tries": attempt.tries,
        "unknownSince": attempt.unknown_since.isoformat() if attempt.unknown_since else None,
        "nextCheckAt": attempt.due.isoformat() if attempt.due else None,
        "unreadableReply": _unread(attempt.unread) if attempt.unread else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _of_another(opportunity: Opportunity, creation: Attempt) -> bool:
    """Of several creations, the one whose id we know is the last that the partner has."""
    if creation.operation != "create":
        return False
    return creation != opportunity.create or (creation.beside and creation.state != State.ACKED)


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
