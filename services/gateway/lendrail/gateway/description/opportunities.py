"""What may be read of an opportunity, and what an operator may set, in the words of the public description."""

from __future__ import annotations

from lendrail.contracts.terms import Status
from lendrail.gateway.description.bodies import ANY, Json
from lendrail.gateway.description.operations import KEY, OPERATOR, READ, Operation

OURS = frozenset(
    {
        Status.RECEIVED,
        Status.INVALID,
        Status.INELIGIBLE,
        Status.SUBMITTING,
        Status.OUTCOME_UNKNOWN,
        Status.ERASED,
    }
)
"""Statuses that only we can state, and no person sets."""
_TIME: Json = {"type": "string", "format": "date-time"}
_SETTABLE: Json = {"enum": sorted(each.value for each in Status if each not in OURS)}
_REASON: Json = {"type": "string", "description": "Sealed, and recorded with who and when."}
CORRECTION: Json = {
    "type": "object",
    "required": ["status", "reason"],
    "properties": {"status": _SETTABLE, "reason": _REASON},
}
PINNING: Json = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "reason": _REASON,
        "status": _SETTABLE | {"description": "What is held, and is a correction too; what is shown now when absent."},
        "until": _TIME | {"description": "The pin ends by itself at this time to come."},
        "untilPartnerSays": {
            "type": "array",
            "maxItems": 20,
            "items": {"enum": sorted(Status)},
            "description": "The pin ends by itself with the partner's next word that means one of these.",
        },
    },
}
UNPINNING: Json = {"type": "object", "required": ["reason"], "properties": {"reason": _REASON}}
SET: Json = {
    "type": "object",
    "required": ["id", "status", "flags"],
    "properties": {
        "id": {"type": "string"},
        "status": {"type": "string"},
        "partnerStatus": {"type": "string", "description": "What it would be by the partner's words alone."},
        "flags": {"type": "array", "items": {"type": "string"}},
        "pin": {
            "type": "object",
            "required": ["since"],
            "properties": {
                "since": _TIME,
                "until": _TIME,
                "untilPartnerSays": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}
_PROBLEMS = ("400", "401", "403", "404", "409", "410", "413", "415", "422", "502", "503")
_TIMES: tuple[Json, ...] = (
    {
        "name": "asOf",
        "in": "query",
        "description": "What held at the partner at this time that has passed, by all that we know now: also what "
        "reached us later. RFC 3339, with its zone; write + as %2B.",
        "schema": _TIME,
    },
    {
        "name": "knownAt",
        "in": "query",
        "description": "What we showed at this time that has passed: exactly the `version` that had been told by then. "
        "Together with `asOf`: what we then took for true of that time.",
        "schema": _TIME,
    },
)
OPPORTUNITY: dict[tuple[str, str], Operation] = {
    ("get", "/v1/opportunities/{id}"): Operation(
        "Show an opportunity with its observations; now, or at a time",
        "Whose word the status is (`source`), the partner's own time (`partnerTime`), when it reached us "
        "(`statusReceivedAt`), how many seconds ago it was last known to be so (`ageSeconds`, since `seenAt`: also by "
        "a look that brought nothing new) and when there may be more (`nextCheckAt`). `cause` says "
        "what made this version (channel, the partner's id of its event) and how many milliseconds each stretch of "
        "its way took: `partner`, `received`, `asked`, `heard`, `told`. `offerHistory` holds the first and the newest "
        "form of each offer. Where a person set the status, `partnerStatus` is what the partner's words alone would "
        "make it. `observations` is all that was heard, in its order. A time before anything was known is a 404 "
        "`not-known-then`.",
        READ,
        answer=ANY,
        problems=("400", "401", "403", "404", "422", "502", "503"),
        parameters=_TIMES,
    ),
    ("post", "/v1/opportunities/{id}/correct"): Operation(
        "Correct a status",
        "Counts from now on, over all that was said before. A later word of the partner counts more than it, and so "
        "does a look that finds the partner still says otherwise: pin it where it must stay. An older word that "
        "arrives late changes nothing.",
        OPERATOR,
        body=CORRECTION,
        answer=SET,
        problems=_PROBLEMS,
        parameters=(KEY,),
    ),
    ("post", "/v1/opportunities/{id}/pin"): Operation(
        "Hold a status whatever the partner says",
        "Until somebody takes the pin off, or `until`, or the partner says one of `untilPartnerSays`. What the partner "
        "says meanwhile is stored and shown (`partnerStatus`, flag `partner-disagrees:…`). Another pin replaces it.",
        OPERATOR,
        body=PINNING,
        answer=SET,
        problems=_PROBLEMS,
        parameters=(KEY,),
    ),
    ("post", "/v1/opportunities/{id}/unpin"): Operation(
        "Take a pin off",
        "What was said meanwhile counts from now on.",
        OPERATOR,
        body=UNPINNING,
        answer=SET,
        problems=_PROBLEMS,
        parameters=(KEY,),
    ),
}
