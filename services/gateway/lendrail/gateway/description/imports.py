"""The operations on files of statuses, in the words of the public description."""

from __future__ import annotations

from lendrail.gateway.description.bodies import Json
from lendrail.gateway.description.operations import OPERATOR, Operation

_TIME: Json = {"type": "string", "format": "date-time"}
_PROBLEM: Json = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
}
IMPORT: Json = {
    "type": "object",
    "required": ["id", "partner", "credential", "state", "sha256", "bytes", "receivedAt", "dryRun", "done", "counts"],
    "properties": {
        **{name: {"type": "string"} for name in ("id", "partner", "credential", "sha256", "by")},
        **dict.fromkeys(("receivedAt", "startedAt", "endedAt", "asOf"), _TIME),
        "state": {"enum": ["waiting", "running", "done", "refused", "failed"]},
        "bytes": {"type": "integer"},
        "dryRun": {"type": "boolean"},
        "repeated": {"type": "boolean", "description": "This very file was here before; nothing was done again."},
        "done": {"type": "integer", "description": "Rows so far."},
        "lastRow": {"type": "integer", "description": "Number of the last line that is done; the header is a line."},
        "counts": {
            "type": "object",
            "description": "Rows by what became of them.",
            "additionalProperties": {"type": "integer"},
        },
        "tally": {
            "type": "object",
            "description": "Of a file that was read to its end: lines, blank ones, and rows beside the header.",
            "additionalProperties": {"type": "integer"},
        },
        "problem": _PROBLEM
        | {
            "description": "Why it was refused or failed, and what to change.",
            "properties": _PROBLEM["properties"]
            | {"columns": {"type": "array", "items": {"type": "string"}, "description": "As the account calls them."}},
        },
    },
}
_ROW: Json = {
    "type": "object",
    "required": ["row", "outcome", "message"],
    "properties": {
        "row": {"type": "integer", "description": "Number of its line."},
        "outcome": {"enum": ["changed", "heard", "known", "unmapped", "unknown-id", "erased", "fault"]},
        "message": {"type": "string"},
        "opportunityId": {"type": "string"},
        "status": {"type": "string", "description": "Of the opportunity afterwards; in a dry run, what it would be."},
        "problems": {
            "type": "array",
            "items": _PROBLEM
            | {"properties": _PROBLEM["properties"] | {"column": {"type": "string", "description": "Its header."}}},
        },
    },
}
_EXPECTED: Json = {
    "type": "object",
    "required": ["partner", "credential", "every", "late"],
    "properties": {
        **{name: {"type": "string"} for name in ("partner", "credential", "lastImport")},
        **dict.fromkeys(("dueAt", "lateSince", "lastAt"), _TIME),
        "every": {"enum": ["daily", "weekly", "monthly"]},
        "late": {"type": "boolean", "description": "It did not come in time."},
    },
}
_NEXT: Json = {"nextPageToken": {"type": "string"}}


def _query(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "description": description, "required": required, "schema": schema}


_TOKEN = _query("pageToken", "`nextPageToken` of the page before; opaque.", {"type": "string"})


def _size(usual: int) -> Json:
    return _query("pageSize", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": usual})


_ASKED = (
    _query("partner", "Whose file it is.", {"type": "string"}, required=True),
    _query("credential", "Your account there; needed where you have several.", {"type": "string"}),
    _query("dryRun", "Nothing is heard; the report says what would be.", {"type": "boolean", "default": False}),
    _query("again", "Although this file was here before. Needs an `Idempotency-Key`.", {"type": "boolean"}),
    _query("asOf", "Since when statuses hold that state no time of their own.", _TIME),
)
IMPORTS: dict[tuple[str, str], Operation] = {
    ("post", "/v1/imports"): Operation(
        "Send a partner's file of statuses",
        "CSV or XLSX, as the body. Each row is heard like a call of the partner; an old one changes no newer truth. "
        "The same file is recognised and not read again. `docs/imports.md` shows the format and what an account can "
        "change of it.",
        OPERATOR,
        body={"type": "string", "contentMediaType": "application/octet-stream"},
        body_media="application/octet-stream",
        answer=IMPORT,
        success="202",
        problems=("400", "401", "403", "404", "413", "422", "502"),
        parameters=_ASKED,
    ),
    ("get", "/v1/imports"): Operation(
        "List files of statuses",
        "Newest first; the first page says which files are expected, and which of them did not come.",
        OPERATOR,
        answer={
            "type": "object",
            "required": ["imports"],
            "properties": {
                "imports": {"type": "array", "items": IMPORT},
                "expected": {"type": "array", "items": _EXPECTED},
                **_NEXT,
            },
        },
        problems=("400", "401", "403", "422", "502"),
        parameters=(_size(50), _TOKEN),
    ),
    ("get", "/v1/imports/{id}"): Operation(
        "Show a file of statuses and what became of its rows",
        "Rows in their order, as far as the file is read. Cells are never shown.",
        OPERATOR,
        answer=IMPORT | {"properties": IMPORT["properties"] | {"rows": {"type": "array", "items": _ROW}} | _NEXT},
        problems=("400", "401", "403", "404", "422", "502"),
        parameters=(
            _query("only", "`problems`: rows that need somebody's eye.", {"enum": ["all", "problems"]}),
            _size(200),
            _TOKEN,
        ),
    ),
}
