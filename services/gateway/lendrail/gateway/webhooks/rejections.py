"""The route that shows rejected calls, and its words in the public description."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Response

from lendrail.gateway.description.bodies import Json
from lendrail.gateway.description.operations import OPERATOR, PAGING, Operation
from lendrail.gateway.lists.paging import Place, place_of, token_of
from lendrail.gateway.store import soon, utc
from lendrail.gateway.webhooks.rejected import REASONS, Rejected
from lendrail.runtime.http import Problem, authorised, reply
from lendrail.runtime.mongo import Document
from lendrail.runtime.parameters import ONLY_KNOWN
from lendrail.runtime.tokens import Caller

NO_STORE = {"Cache-Control": "no-store"}
PLATFORM = "platform"
Operating = Annotated[Caller, Depends(authorised("operator"))]
Text = Annotated[str | None, Query(min_length=1, max_length=200)]
Size = Annotated[int, Query(alias="pageSize", ge=1, le=200)]
Token = Annotated[str | None, Query(alias="pageToken", max_length=400)]
_TIME: Json = {"type": "string", "format": "date-time"}


def install(app: FastAPI, rejected: Rejected) -> None:
    @app.get("/v1/webhooks/rejected", dependencies=[ONLY_KNOWN])
    async def page(
        caller: Operating,
        partner: Text = None,
        credential: Text = None,
        reason: Text = None,
        since: Text = None,
        until: Text = None,
        size: Size = 50,
        token: Token = None,
    ) -> Response:
        where = _where(caller, {"partner": partner, "credential": credential, "reason": reason}, since, until)
        question = _question(caller, [partner, credential, reason, since, until])
        after = place_of(token, question).after if token is not None else None
        found = await soon(rejected.lines(where, after, size + 1))
        shown: dict[str, Any] = {"items": [_shown(each, caller) for each in found[:size]]}
        if len(found) > size:
            shown["nextPageToken"] = token_of(Place(found[size - 1]["_id"]), question)
        return reply(shown, headers=NO_STORE)


def _where(caller: Caller, named: dict[str, str | None], since: str | None, until: str | None) -> Document:
    """What is the caller's tenant's; and what nobody knows whose it is. Raises `Problem` 422."""
    own: Document = {"tenant": caller.tenant_id, "mode": caller.mode}
    hours: Document = {}
    if named["reason"] is not None and named["reason"] not in REASONS:
        raise Problem(422, "invalid-request", f"reason must be one of {', '.join(REASONS)}.")
    if since is not None:
        hours["$gte"] = _time("since", since).replace(minute=0, second=0, microsecond=0)
    if until is not None:
        hours["$lt"] = _time("until", until)
    told = {name: value for name, value in named.items() if value is not None}
    return {"$or": [own, {"tenant": ""}]} | told | ({"hour": hours} if hours else {})


def _time(name: str, text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        detail = f"{name} must be a time with its zone, such as 2026-03-02T11:00:00Z."
        raise Problem(422, "invalid-request", detail) from None


def _question(caller: Caller, said: list[str | None]) -> str:
    """Binds a token to the list that it was given for, without showing it."""
    asked = json.dumps([caller.tenant_id, caller.mode, *said])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _shown(line: Document, caller: Caller) -> dict[str, Any]:
    """Where calls to unknown addresses come from may concern another tenant."""
    known = {name: line[name] for name in ("partner", "credential", "mode") if line[name]}
    told = known | {"hour": utc(line["hour"]).isoformat(), "reason": line["reason"], "calls": line["calls"]}
    told |= {"firstAt": utc(line["first"]).isoformat(), "lastAt": utc(line["last"]).isoformat()}
    if known or PLATFORM in caller.scopes:
        told |= {"networks": line["networks"], "moreNetworks": line["more"]}
    return told


_LINE: Json = {
    "type": "object",
    "required": ["hour", "reason", "calls", "firstAt", "lastAt"],
    "properties": {
        "hour": _TIME | {"description": "Its beginning."},
        "partner": {"type": "string"},
        "credential": {"type": "string"},
        "mode": {"enum": ["test", "live"]},
        "reason": {"enum": list(REASONS), "description": "; ".join(f"`{k}`: {v}" for k, v in REASONS.items()) + "."},
        "calls": {"type": "integer"},
        "firstAt": _TIME,
        "lastAt": _TIME,
        "networks": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Where they came from: the /24 (IPv4) or /48 (IPv6), at most eight.",
        },
        "moreNetworks": {"type": "boolean", "description": "From others too."},
    },
}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


PAGE: Json = {
    "type": "object",
    "required": ["items"],
    "properties": {"items": {"type": "array", "items": _LINE}, "nextPageToken": {"type": "string"}},
}
REJECTIONS: dict[tuple[str, str], Operation] = {
    ("get", "/v1/webhooks/rejected"): Operation(
        "Partners' calls that were not taken",
        "Counted by hour, account and reason, newest hour first, for 45 days; nothing of what they said is kept. Calls "
        "to addresses that nobody has share one line, without a partner; where those came from is shown with the scope "
        "`platform` only. The newest counts of other processes appear within seconds.",
        OPERATOR,
        answer=PAGE,
        problems=("400", "401", "403", "422", "503"),
        parameters=(
            _query("partner", "Only this partner.", {"type": "string"}),
            _query("credential", "Only this account.", {"type": "string"}),
            _query("reason", "Only this reason.", {"enum": list(REASONS)}),
            _query("since", "Not before the hour of this time.", _TIME),
            _query("until", "Hours that begin before this time.", _TIME),
            *PAGING,
        ),
    ),
}
