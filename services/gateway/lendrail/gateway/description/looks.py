"""How old what is shown is, in the public description."""

from __future__ import annotations

from lendrail.gateway.description.bodies import Json
from lendrail.gateway.description.operations import OPERATOR, Operation

_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_SECONDS: Json = {"type": "number"}


def _object(description: str, **properties: Json) -> Json:
    return {"type": ["object", "null"], "description": description, "properties": properties}


_CREDENTIAL: Json = {
    "type": "object",
    "required": ["partner", "credential", "mode", "open", "followed", "overdue", "looksPerHour"],
    "properties": {
        "partner": _TEXT,
        "credential": _TEXT,
        "mode": {"enum": ["test", "live"]},
        "open": {"type": "integer", "description": "Opportunities that the partner has and that are not final."},
        "followed": {"type": "integer", "description": "Of these, those that have a next look."},
        "overdue": {"type": "integer", "description": "Of these, those whose look should have been made by now."},
        "looksPerHour": _object(
            "What the schedules ask for, and what the rate limit allows at most; submissions go first.",
            needed=_SECONDS,
            budget={"type": ["number", "null"], "description": "Null: without limit."},
        ),
        "ageSeconds": _object(
            "How long ago the partner last said what is shown.", p50=_SECONDS, p95=_SECONDS, max=_SECONDS
        ),
        "stalenessSeconds": _object(
            "How long what is shown is wrong in the mean, by how long stages usually last: if each look came in its "
            "time, with the budget as it is spent, and if the same budget were spent in turn.",
            wanted=_SECONDS,
            planned=_SECONDS,
            inTurn=_SECONDS,
        ),
        "webhooks": _object(
            "Null where the partner never called.",
            lastHeardAt=_TIME,
            silentSince={"type": ["string", "null"], "format": "date-time"},
            usualPerDay={
                "type": ["number", "null"],
                "description": "Spans of ten minutes with calls; null while too little is known.",
            },
        ),
    },
}
_ENDED: Json = {
    "type": "object",
    "required": ["opportunityId", "partner", "credential", "status", "endedAt"],
    "properties": dict.fromkeys(("opportunityId", "partner", "credential", "status"), _TEXT)
    | {"endedAt": _TIME, "seenAt": {"type": ["string", "null"], "format": "date-time"}},
}

LOOKS: dict[tuple[str, str], Operation] = {
    ("get", "/v1/staleness"): Operation(
        "How old what is shown is",
        "Partner by partner: the age of what is shown, the looks that are needed and those that the rate limit allows, "
        "and how stale that leaves it; partners whose webhooks have fallen silent; and opportunities that are looked "
        "at no more, because there was no news for too long.",
        OPERATOR,
        answer={
            "type": "object",
            "required": ["credentials", "ended"],
            "properties": {
                "credentials": {"type": "array", "items": _CREDENTIAL},
                "ended": {"type": "array", "items": _ENDED, "maxItems": 500},
            },
        },
        problems=("401", "403", "422", "502", "503"),
    ),
}
