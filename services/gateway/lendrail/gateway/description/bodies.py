"""What goes in and out of public operations, as JSON Schemas: the small ones that no model of ours makes."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

PROBLEM: Json = {
    "type": "object",
    "description": "What went wrong and what would put it right (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable and machine-readable."},
        "detail": {"type": "string"},
        "requestId": {"type": "string", "description": "Name this when you ask us about it."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldProblem"}},
    },
}
PROBLEMS = {
    "400": "The request cannot be read.",
    "401": "No valid bearer token, or a webhook without a right proof of its sender.",
    "403": "The token lacks a scope.",
    "404": "There is nothing here, or it is not yours.",
    "409": "Things do not stand so that it could be done (`code` says why); or the same Idempotency-Key is under way: "
    "repeat after `Retry-After` seconds.",
    "410": "It was here and is no longer available.",
    "412": "The application is at another revision by now; `ETag` names it.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or the file is of no type that is taken.",
    "422": "The content is not valid; nothing was stored.",
    "428": "State `If-Match`.",
    "429": "Too much at once; repeat after `Retry-After` seconds.",
    "502": "The service behind the route gave no readable answer.",
    "503": "Temporarily unavailable; nothing was half done. Repeat after `Retry-After` seconds.",
}
ACCEPTED: Json = {
    "type": "object",
    "required": ["applicationId", "status", "revision"],
    "properties": {
        "applicationId": {"type": "string", "format": "uuid"},
        "status": {"const": "received"},
        "revision": {"type": "integer"},
    },
}
_ENTRY: Json = {
    "type": "object",
    "required": ["id", "at", "tenant", "mode", "who", "what", "of", "service", "sequence", "hash"],
    "properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "tenant": {"type": "string"},
        "mode": {"enum": ["test", "live"]},
        "who": {"type": "string", "description": "A client, an upstream system, or `service:` with a name."},
        "what": {"type": "string"},
        "of": {"type": "string", "description": "What changed, as `collection/id`."},
        "applicationId": {"type": "string"},
        "requestId": {"type": "string", "description": "Of the request or the event that asked for it."},
        "why": {"type": "string", "description": "Absent once the person it spoke of is erased."},
        "before": {"type": "string", "description": "SHA-256 of the stored document; absent where there was none."},
        "after": {"type": "string"},
        "about": {"type": "object", "additionalProperties": {"type": "string"}},
        "service": {"type": "string"},
        "sequence": {"type": "integer", "description": "Number of its link in the chain of `service`."},
        "hash": {"type": "string", "description": "Of that link."},
    },
}
AUDIT_FILTERS: tuple[tuple[str, str, Json], ...] = (
    ("since", "Not before this time.", {"type": "string", "format": "date-time"}),
    ("until", "Before this time.", {"type": "string", "format": "date-time"}),
    ("who", "Only this client, upstream system or service.", {"type": "string"}),
    ("what", "Only this kind, such as `application-received`.", {"type": "string"}),
    ("application", "Only this application.", {"type": "string"}),
)
AUDIT: Json = {
    "description": "`service`, `sequence` and `hash` name an entry's link in the chain of that service.",
    "type": "object",
    "required": ["items"],
    "properties": {"items": {"type": "array", "items": _ENTRY}, "nextPageToken": {"type": "string"}},
}
TOKEN_REQUEST: Json = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"const": "client_credentials"},
        "scope": {"type": "string", "description": "Space-separated; all scopes of the client when absent."},
        "client_id": {"type": "string", "description": "Or by HTTP Basic."},
        "client_secret": {"type": "string", "format": "password"},
    },
}
TOKEN: Json = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "Seconds."},
        "scope": {"type": "string"},
    },
}
ANY: Json = {"type": "object"}
NEW_ENDPOINT: Json = {
    "type": "object",
    "description": "Either `url` (a webhook) or `email`.",
    "properties": {
        "url": {"type": "string", "format": "uri"},
        "email": {"type": "string", "format": "email"},
        "description": {"type": "string"},
    },
}
RESOLUTION: Json = {
    "type": "object",
    "required": ["outcome", "reason"],
    "properties": {
        "outcome": {"enum": ["partner-id", "sent-elsewhere", "not-sent"]},
        "partnerId": {"type": "string", "description": "With the outcome `partner-id`, and only then."},
        "reason": {"type": "string", "description": "How you know."},
    },
}
INQUIRY: Json = {
    "type": "object",
    "description": "For an inquiry about a match; without a body it is about the attempt's own application.",
    "required": ["id"],
    "properties": {"id": {"type": "string", "description": "As the partner reported it."}},
}
_MATCH: Json = {
    "type": "object",
    "required": ["id", "fields"],
    "properties": {
        "id": {"type": "string"},
        "kind": {"type": "string", "description": "The partner's word."},
        "fields": {
            "type": "object",
            "description": "By field, whether both papers say the same.",
            "additionalProperties": {"type": "boolean"},
        },
    },
}
INQUIRED: Json = {
    "type": "object",
    "required": ["attempt", "partner", "credential", "operation"],
    "properties": {name: {"type": "string"} for name in ("attempt", "partner", "credential", "operation")}
    | {
        "report": {"type": "object", "description": "Status, the partner's words, and matches."},
        "comparisons": {"type": "array", "items": _MATCH},
    },
}
_KNOWN: Json = {
    "type": "object",
    "required": ["partnerId", "match"],
    "properties": {
        "partnerId": {"type": "string"},
        "match": {"enum": ["known", "id-unknown", "other-id", "unknown"]},
        "status": {"type": "string", "description": "In our words; absent where the partner's is not known."},
        "words": {"type": "string", "description": "The partner's word."},
        "at": {"type": "string", "format": "date-time"},
        "reference": {"type": "string", "description": "Only where it is ours."},
    }
    | {name: {"type": "string"} for name in ("applicationId", "opportunityId", "attempt", "attemptState")},
}
KNOWN: Json = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {"type": "array", "items": _KNOWN},
        "unreadable": {"type": "integer", "description": "Entries without an id that can be read."},
        "nextPageToken": {"type": "string"},
    },
}
RESUMING: Json = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "reason": {
            "type": "string",
            "description": "Recorded with who and when; it may name a person, so it is sealed.",
        },
        "allTenants": {
            "type": "boolean",
            "default": False,
            "description": "For every tenant's accounts of your mode, later ones included. Needs the scope `platform`.",
        },
    },
}
PAUSING: Json = RESUMING | {
    "properties": RESUMING["properties"]
    | {"minutes": {"type": "integer", "minimum": 1, "description": "Until it is resumed when absent."}}
}
APPROVING: Json = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "reason": RESUMING["properties"]["reason"],
        "credential": {"type": "string", "description": "One of yours there; all of them when absent."},
    },
}
APPROVED: Json = {
    "type": "object",
    "required": ["partner", "mode", "approved", "credentials", "at"],
    "properties": {
        "partner": {"type": "string"},
        "mode": {"const": "live"},
        "approved": {"type": "boolean"},
        "credentials": {"type": "array", "items": {"type": "string"}},
        "at": {"type": "string", "format": "date-time"},
    },
}
PAUSED: Json = {
    "type": "object",
    "required": ["partner", "mode", "paused", "allTenants", "at"],
    "properties": {
        "partner": {"type": "string"},
        "mode": {"enum": ["test", "live"]},
        "paused": {"type": "boolean"},
        "allTenants": {"type": "boolean"},
        "credentials": {"type": "array", "items": {"type": "string"}},
        "at": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time"},
    },
}
