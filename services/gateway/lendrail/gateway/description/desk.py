"""The desk in the public description: what the machine leaves to people, and what they do about it."""

from __future__ import annotations

from typing import Any

from lendrail.gateway.description.bodies import RESUMING, Json
from lendrail.gateway.description.operations import KEY, OPERATOR, Operation

_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_REASON: Json = RESUMING["properties"]["reason"]
_AGE: Json = {"type": "integer", "description": "For how long it has been there."}
_AGED: Json = {"since": _TIME, "ageSeconds": _AGE}
_DEAL: Json = {
    "type": "object",
    "required": ["opportunityId", "applicationId", "partner", "credential", "status"],
    "properties": dict.fromkeys(
        ("opportunityId", "applicationId", "partner", "credential", "partnerId", "status"), _TEXT
    ),
}
_CHANGE: Json = {
    "type": "object",
    "required": ["opportunityId", "applicationId", "before", "after"],
    "properties": dict.fromkeys(("opportunityId", "applicationId", "before", "after"), _TEXT) | {"at": _TIME},
}


def _list(name: str, properties: Json, **more: Any) -> Json:
    entry: Json = {"type": "object", "properties": properties}
    return {
        "type": "object",
        "required": [name, "more"],
        "properties": {
            name: {"type": "array", "items": entry},
            "more": {"type": "boolean", "description": "There are others beside those that are shown."},
        }
        | more,
    }


def _parameters(named: dict[str, Json]) -> tuple[Json, ...]:
    """Of the query."""
    return tuple({"name": name, "in": "query", "schema": schema} for name, schema in named.items())


_COUNTED: Json = {
    "type": "object",
    "required": ["count"],
    "properties": {"count": {"type": "integer"}, "more": {"type": "boolean"}} | _AGED,
}
_OVERVIEW: Json = {
    "type": "object",
    "required": ["words", "orphans", "disagreements", "duplicates"],
    "properties": dict.fromkeys(("words", "orphans", "disagreements", "duplicates"), _COUNTED),
}
_MAPPING: Json = {
    "type": "object",
    "required": ["id", "partner", "allTenants", "at", "by", "folding", "looked"],
    "properties": {
        "id": _TEXT,
        "partner": _TEXT,
        "word": _TEXT,
        "status": {"type": "string", "description": "Absent once it was taken back."},
        "allTenants": {"type": "boolean"},
        "at": _TIME,
        "by": _TEXT,
        "folding": {"enum": ["under-way", "done"]},
        "looked": {"type": "integer", "description": "Opportunities that were folded again so far."},
        "seconds": {"type": "number"},
        "changes": {"type": "array", "items": _CHANGE},
        "nextPageToken": _TEXT,
    },
}
_WORDS: Json = _list(
    "words",
    {"partner": _TEXT, "word": _TEXT, "opportunities": {"type": "integer"}, "opportunityId": _TEXT} | _AGED,
    mapped={"type": "array", "items": _MAPPING},
)
_SOURCE: Json = {"enum": ["webhook", "feed", "csv"]}
_PROVEN: Json = {
    "type": "boolean",
    "description": "Whether the call proved who sent it. What we read at the partner ourselves, and files, are proven.",
}
_ORPHANS: Json = _list(
    "orphans",
    dict.fromkeys(("id", "partner", "credential", "partnerId", "reference", "words"), _TEXT)
    | {
        "source": _SOURCE,
        "proven": _PROVEN,
        "keys": {"type": "object", "description": "Of a file's row: what it names its deal by."},
        "receivedAt": _TIME,
        "ageSeconds": _AGE,
    },
)
_SIDE: Json = {
    "type": "object",
    "required": ["channel", "status", "at", "receivedAt"],
    "properties": {
        "channel": {"enum": ["ack", "webhook", "look", "feed", "csv", "person"]},
        "status": _TEXT,
        "words": _TEXT,
        "at": _TIME,
        "receivedAt": _TIME,
    },
}
_DISAGREEMENTS: Json = _list(
    "disagreements", _DEAL["properties"] | _AGED | {"sides": {"type": "array", "items": _SIDE, "maxItems": 2}}
)
_DUPLICATES: Json = _list(
    "duplicates",
    _AGED
    | {
        "by": {"enum": ["same-wish", "same-reference", "same-partner-id"]},
        "opportunities": {"type": "array", "items": _DEAL, "maxItems": 2},
    },
)
_MEANING: Json = {
    "type": "object",
    "required": ["partner", "word", "status"],
    "properties": {
        "partner": _TEXT,
        "word": {"type": "string", "description": "To the letter, as the list shows it."},
        "status": {"type": "string", "description": "What it means, in our words."},
        "reason": _REASON | {"description": "Needed unless `dryRun`. Recorded with who and when, sealed."},
        "allTenants": RESUMING["properties"]["allTenants"],
        "dryRun": {"type": "boolean", "default": False, "description": "Only tell what it would change."},
    },
}
_BECAUSE: Json = {"type": "object", "required": ["reason"], "properties": {"reason": _REASON}}
_SOUGHT: dict[str, Json] = {
    "partner": _TEXT | {"description": "Of this partner."},
    "credential": _TEXT | {"description": "Through this credential of yours."},
    "source": _SOURCE | {"description": "By a webhook or Kafka, out of a feed, or a row of a file."},
    "proven": _PROVEN,
    "receivedFrom": _TIME | {"description": "Received then or later."},
    "receivedTo": _TIME | {"description": "Received before."},
}
_DISMISSAL: Json = {
    "type": "object",
    "properties": _SOUGHT
    | {
        "proven": {
            "type": "boolean",
            "default": False,
            "description": "True takes the calls that proved who sent them, and no others.",
        },
        "reason": _REASON | {"description": "Needed unless `dryRun`. Recorded with who and when, sealed."},
        "dryRun": {"type": "boolean", "default": False, "description": "Only count them."},
    },
}
_DISMISSED: Json = {
    "type": "object",
    "required": ["count", "more"],
    "properties": {
        "id": {"type": "string", "description": "Of the act, as the audit names it. Absent after a dry run."},
        "count": {"type": "integer", "description": "Calls that left the list, or would; a dry run counts to 100 000."},
        "more": {"type": "boolean", "description": "There are others that fit: send the same again, with a new key."},
        "dryRun": {"type": "boolean"},
    },
}
_MERGE: Json = {
    "type": "object",
    "required": ["opportunityId", "reason"],
    "properties": {"opportunityId": _TEXT, "reason": _REASON},
}
_MERGED: Json = {
    "type": "object",
    "required": ["orphan", "opportunityId", "heard", "laterCallsFollow"],
    "properties": {
        "orphan": _TEXT,
        "opportunityId": _TEXT,
        "heard": {
            "enum": ["report", "look", "noted"],
            "description": "`report`: taken at its word. `look`: the partner is asked. `noted`: neither can be done; "
            "correct the opportunity where you know more.",
        },
        "laterCallsFollow": {"type": "boolean", "description": "False where its id is another opportunity's."},
    },
}
_READ = ("401", "403", "422", "502", "503")
_CHANGED = ("400", "401", "403", "404", "409", "415", "422", "502", "503")
_EVERYWHERE: Json = {
    "name": "allTenants",
    "in": "query",
    "description": "Of every tenant. Needs the scope `platform`.",
    "schema": {"type": "boolean", "default": False},
}
_TOKEN: Json = {
    "name": "pageToken",
    "in": "query",
    "description": "`nextPageToken` of the page before.",
    "schema": _TEXT,
}

DESK: dict[tuple[str, str], Operation] = {
    ("get", "/v1/desk"): Operation(
        "What waits for people",
        "How many entries each list of the desk has, and since when the oldest waits.",
        OPERATOR,
        answer=_OVERVIEW,
        problems=_READ,
    ),
    ("get", "/v1/desk/words"): Operation(
        "Words of partners that nobody knows",
        "Partner and word, on how many opportunities, since when; and those that people gave a meaning. A word is the "
        "partner's own and may speak of a person.",
        OPERATOR,
        answer=_WORDS,
        problems=_READ,
        parameters=(_EVERYWHERE,),
    ),
    ("post", "/v1/desk/words"): Operation(
        "Say what a word means",
        "Once; then everything that the partner said with this word is folded again, and each opportunity that changes "
        "is told as always. With `dryRun` the answer is 200 and says what would change. Scope `operator`, or "
        "`platform` too for all tenants; a tenant's own word counts more.",
        OPERATOR,
        body=_MEANING,
        answer=_MAPPING,
        success="202",
        problems=tuple(each for each in _CHANGED if each != "404"),
        parameters=(KEY | {"required": False, "description": f"Needed unless `dryRun`. {KEY['description']}"},),
    ),
    ("get", "/v1/desk/words/{id}"): Operation(
        "What a word changed",
        "How far it was folded again, and each of your opportunities before and after.",
        OPERATOR,
        answer=_MAPPING,
        problems=("400", "401", "403", "404", "422", "502", "503"),
        parameters=(_TOKEN,),
    ),
    ("post", "/v1/desk/words/{id}/take-back"): Operation(
        "Take a word's meaning back",
        "What it decided is folded again without it.",
        OPERATOR,
        body=_BECAUSE,
        answer=_MAPPING,
        success="202",
        problems=_CHANGED,
        parameters=(KEY,),
    ),
    ("get", "/v1/desk/orphans"): Operation(
        "Calls that no opportunity claims",
        "The oldest first: ids, the partner's word, and age; never a body. They are tried again whenever a partner "
        "gives an id, and end after 45 days. All that you name must fit.",
        OPERATOR,
        answer=_ORPHANS,
        problems=_READ,
        parameters=_parameters(_SOUGHT),
    ),
    ("post", "/v1/desk/orphans/dismiss"): Operation(
        "Say of many calls that they are nobody's",
        "The oldest 5 000 that fit leave the list: of those that prove nothing, unless `proven` is true. All that you "
        "name must fit. One act, with one entry in the audit, which says how many, by what they were chosen and the "
        "hash of their ids. With `dryRun` they are counted only. Where none fits it is a 409 `no-such-calls`. Should "
        "the opportunity of one become known, it is heard all the same.",
        OPERATOR,
        body=_DISMISSAL,
        answer=_DISMISSED,
        problems=tuple(each for each in _CHANGED if each != "404"),
        parameters=(KEY | {"required": False, "description": f"Needed unless `dryRun`. {KEY['description']}"},),
    ),
    ("post", "/v1/desk/orphans/{id}/merge"): Operation(
        "Give a call to its opportunity",
        "It is heard as if the partner had named the opportunity. Later calls with the same id of the partner's "
        "follow, unless that id is another opportunity's.",
        OPERATOR,
        body=_MERGE,
        answer=_MERGED,
        problems=(*_CHANGED, "410"),
        parameters=(KEY,),
    ),
    ("post", "/v1/desk/orphans/{id}/dismiss"): Operation(
        "Say that a call is nobody's",
        "It leaves the list. Should its opportunity become known, it is heard all the same.",
        OPERATOR,
        body=_BECAUSE,
        problems=_CHANGED,
        parameters=(KEY,),
    ),
    ("get", "/v1/desk/disagreements"): Operation(
        "Opportunities of which two channels tell different things",
        "Both sides with status and times, where no order in time explains it. Nothing is decided by it.",
        OPERATOR,
        answer=_DISAGREEMENTS,
        problems=_READ,
    ),
    ("get", "/v1/desk/duplicates"): Operation(
        "Opportunities that may be the same deal",
        "Pairs at one account of a partner, both still open: the same applicant asks for the same, both bear one of "
        "your references, or the partner gave both one id.",
        OPERATOR,
        answer=_DUPLICATES,
        problems=_READ,
    ),
}
