"""Every public operation in the words of its description: one table, from which the OpenAPI document is made."""

from __future__ import annotations

from dataclasses import dataclass, field

from lendrail.gateway.description.bodies import (
    ACCEPTED,
    ANY,
    APPROVED,
    APPROVING,
    AUDIT,
    AUDIT_FILTERS,
    INQUIRED,
    INQUIRY,
    KNOWN,
    NEW_ENDPOINT,
    PAUSED,
    PAUSING,
    RESOLUTION,
    RESUMING,
    TOKEN,
    TOKEN_REQUEST,
    Json,
)

ABOUT = """Send applications for business finance once; follow them at every partner.

1. Get a token: `POST /oauth/token` with your client id and secret.
2. Send: `POST /v1/applications` with an `Idempotency-Key` of your own. `202` means that we have it, safely.
3. Follow: `GET /v1/applications/{id}` shows its timeline and its opportunities (one for each partner); or register a
   webhook with `POST /v1/endpoints` and be told.

Errors are problem details (RFC 9457): `code` is for machines, `detail` says what to change, `errors` names every faulty
field by JSON pointer. They never repeat what you sent. `X-Request-Id` and `X-Correlation-Id` are taken from you when
you state them, come back with the answer, and stay with the application. Personal fields are marked `x-sensitive`.
"""


@dataclass(frozen=True)
class Operation:
    """One public operation; `body` and `answer` are schemas or names of component schemas."""

    summary: str
    description: str = ""
    scopes: tuple[str, ...] | None = ()
    """None: without a bearer token."""
    body: Json | str | None = None
    body_required: bool = True
    answer: Json | str = field(default_factory=lambda: ANY)
    success: str = "200"
    problems: tuple[str, ...] = ()
    parameters: tuple[Json, ...] = ()
    body_media: str = "application/json"
    media: str = "application/json"


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Yours, 1 to 255 visible ASCII characters. The same key with the same body gives the original "
    "answer (with `Idempotency-Replayed: true`); with another body it is refused. A key is kept as long as its "
    "application.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
PAGING = (
    _query("pageSize", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
    _query("pageToken", "`nextPageToken` of the page before; opaque.", {"type": "string"}),
)
WRITE, READ, ENDPOINTS = ("applications:write",), ("applications:read",), ("endpoints:write",)
OPERATOR, APPROVER = ("operator",), ("approver",)
WEBHOOK = Operation(
    "A partner calls",
    "The secret path names tenant and credential; some partners put the id of what it is about behind it. A call of a "
    "partner that signs must be rightly signed. Whatever is sent is stored before the answer.",
    scopes=None,
    body=ANY,
    problems=("401", "404", "413", "503"),
)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("post", "/v1/applications"): Operation(
        "Send an application",
        "All faults that can be told at once are told at once, and nothing is stored then. What is found later "
        "(duplicates, rules of partners) is shown by `GET /v1/applications/{id}`.",
        WRITE,
        body="Application",
        answer=ACCEPTED,
        success="202",
        problems=("400", "401", "403", "409", "413", "415", "422", "503"),
        parameters=(KEY,),
    ),
    ("get", "/v1/applications/{id}"): Operation(
        "Show an application",
        "Status, whole timeline, and every opportunity with its offers, decline reasons and missing information. "
        "Where a partner has a link for an offer, `linkPath` says where those who may accept offers get it. "
        "`ageSeconds` of an opportunity counts from `observedAt`: looks that bring nothing new are known to "
        "`GET /v1/opportunities/{id}` only, and so is when a partner is looked at next.",
        READ,
        answer="ApplicationView",
        problems=("401", "403", "404", "503"),
    ),
    ("post", "/v1/applications/preflight"): Operation(
        "Check an application without sending it",
        "The same answer that validation would give, partner by partner; nothing is stored. Words of lists that a "
        "partner gives on request are compared with its newest ones just before the application goes there.",
        WRITE,
        body="Application",
        problems=("400", "401", "403", "415", "422", "502", "503"),
    ),
    ("get", "/v1/schemas/{name}"): Operation(
        "JSON Schema of an application, or of one for a partner",
        "For validation in your own forms, before anything is sent. `name` is `application` or that of a partner.",
        problems=("401", "404", "502", "503"),
    ),
    ("get", "/v1/keys/intake"): Operation(
        "Your public intake key",
        "A JWK (P-256). Seal personal fields for it when you publish to your Kafka intake topic: a JWE with "
        "ECDH-ES+A256KW and A256GCM whose text is a JSON object from JSON pointer to value.",
        problems=("401", "404"),
    ),
    ("get", "/v1/orphans"): Operation(
        "Calls of partners that nobody could match yet", scopes=OPERATOR, problems=("401", "403", "502", "503")
    ),
    ("get", "/v1/looks"): Operation(
        "Looks at partners that told nothing",
        "Opportunities and feeds whose last look failed, with the reason and when it is repeated. A reply that could "
        "not be read is kept, encrypted; its time and size are shown.",
        OPERATOR,
        problems=("401", "403", "502", "503"),
    ),
    ("get", "/v1/attempts"): Operation(
        "Attempts that wait for a person",
        "Parked ones, and those whose id at the partner is unknown.",
        OPERATOR,
        problems=("401", "403", "422", "502", "503"),
        parameters=(_query("state", "Which ones.", {"type": "string", "default": "parked"}), *PAGING),
    ),
    ("post", "/v1/attempts/{id}/resolve"): Operation(
        "Settle an attempt whose outcome nobody knows",
        "`partner-id`: the partner has it under this id, and what waited for the id goes on. `sent-elsewhere`: the "
        "partner has it, without an id to follow. `not-sent`: the partner does not have it, so it is sent again once "
        "whoever sent it before must be done, marked as a possible duplicate where that can be told. Who and why are "
        "recorded.",
        OPERATOR,
        body=RESOLUTION,
        problems=("400", "401", "403", "404", "409", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("post", "/v1/attempts/{id}/inquiries/{operation}"): Operation(
        "Ask a partner about an attempt",
        "Nothing changes by it. The partner's inquiries by `operation`: at a registry `status-request` (its findings, "
        "put together anew) and `document-matches` (one match, field by field; send its id). A partner without the "
        "inquiry is a 409 that names those it has. Of an attempt that waits for a registry the registry is asked. Who "
        "asked is recorded.",
        OPERATOR,
        body=INQUIRY,
        body_required=False,
        answer=INQUIRED,
        problems=("400", "401", "403", "404", "409", "415", "422", "502", "503"),
    ),
    ("get", "/v1/audit"): Operation(
        "Who did what, and why",
        "Every change that somebody asked for, newest first; an entry shows about a second after its effect.",
        OPERATOR,
        answer=AUDIT,
        problems=("400", "401", "403", "422", "502", "503"),
        parameters=(*(_query(*each) for each in AUDIT_FILTERS), *PAGING),
    ),
    ("get", "/v1/refusals"): Operation(
        "Field problems that partners named",
        "With the number of applications; what repeats is proposed as a rule of the pre-flight.",
        OPERATOR,
        problems=("401", "403", "502", "503"),
    ),
    ("get", "/v1/partners"): Operation(
        "How your partners stand",
        "For each of your accounts: what holds its calls and until when (an operator, the platform, or we ourselves: "
        "after a refusal, or because a live one lacks its approval), where a live one points and who approved it, the "
        "breaker of each operation (`closed`: calls go; `open`: none before `until`; "
        "`half-open`: one at a time tries), how many opportunities have work that is `due` or `scheduled` for later, "
        "when its rate allows the next call, and for a partner that gives lists of words how old each of ours is.",
        OPERATOR,
        problems=("401", "403", "502", "503"),
    ),
    ("get", "/v1/partners/{credential}/known"): Operation(
        "All that a partner has of you",
        "Asked of the partner now, under this credential, in the partner's order. `match` says what we know of an "
        "entry: `known` (we follow this id), `id-unknown` (our reference, whose id we did not know: bind it with "
        "`resolve`), `other-id` (our reference, but we follow another id) or `unknown` (not sent from here). A partner "
        "without such a list is a 409. Who asked is recorded.",
        OPERATOR,
        answer=KNOWN,
        problems=("401", "403", "404", "409", "422", "502", "503"),
        parameters=(PAGING[1],),
    ),
    ("post", "/v1/partners/{partner}/pause"): Operation(
        "Pause a partner",
        "No call is started at your accounts there; work waits, nothing fails and nothing is lost. Scope `operator`, "
        "or `platform` for all tenants.",
        body=PAUSING,
        answer=PAUSED,
        problems=("400", "401", "403", "404", "415", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("post", "/v1/partners/{partner}/resume"): Operation(
        "Resume a partner",
        "Lifts what an operator paused, within a second; a pause of ours, after a refusal, ends by itself.",
        body=RESUMING,
        answer=PAUSED,
        problems=("400", "401", "403", "404", "415", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("post", "/v1/partners/{partner}/approve"): Operation(
        "Approve live traffic",
        "Nothing goes through a live credential before: work waits, and goes on by itself within seconds. What is "
        "approved is the credential where it points now; with another address it needs another approval, with new "
        "secrets none. Test credentials need none (409).",
        APPROVER,
        body=APPROVING,
        answer=APPROVED,
        problems=("400", "401", "403", "404", "409", "415", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("post", "/v1/partners/{partner}/revoke-approval"): Operation(
        "Take an approval back",
        "Within a second no call is started; work waits for another approval.",
        APPROVER,
        body=APPROVING,
        answer=APPROVED,
        problems=("400", "401", "403", "404", "409", "415", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("post", "/v1/endpoints"): Operation(
        "Register a webhook or mailbox for notices",
        "Webhooks are signed as in Standard Webhooks (HMAC-SHA256); the answer holds the secret, once.",
        ENDPOINTS,
        body=NEW_ENDPOINT,
        success="201",
        problems=("400", "401", "403", "409", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("get", "/v1/endpoints"): Operation(
        "List endpoints", scopes=ENDPOINTS, problems=("401", "403", "502", "503"), parameters=PAGING
    ),
    ("delete", "/v1/endpoints/{id}"): Operation(
        "Remove an endpoint", scopes=ENDPOINTS, success="204", problems=("401", "403", "404", "502", "503")
    ),
    ("get", "/v1/deliveries"): Operation(
        "What was delivered of an application's notices, and what was not",
        scopes=READ,
        problems=("400", "401", "403", "422", "502", "503"),
        parameters=(
            _query("application", "Id of the application.", {"type": "string", "format": "uuid"}) | {"required": True},
            *PAGING,
        ),
    ),
    ("head", "/d/{token}"): Operation(
        "Look at a document's head",
        scopes=None,
        problems=("404", "410", "502", "503"),
        media="application/octet-stream",
    ),
    ("get", "/d/{token}"): Operation(
        "Fetch a document by its expiring link",
        "For partners that fetch documents themselves. The link is the permission.",
        scopes=None,
        answer={"type": "string", "contentMediaType": "application/octet-stream"},
        problems=("404", "410", "502", "503"),
        media="application/octet-stream",
    ),
    ("post", "/webhooks/{partner}/{path}"): WEBHOOK,
    ("put", "/webhooks/{partner}/{path}"): WEBHOOK,
    ("post", "/webhooks/{partner}/{path}/{id}"): WEBHOOK,
    ("put", "/webhooks/{partner}/{path}/{id}"): WEBHOOK,
}
ISSUER_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("post", "/oauth/token"): Operation(
        "Get an access token",
        "OAuth 2.0 client credentials. Errors are those of RFC 6749: `error` and `error_description`.",
        scopes=None,
        body=TOKEN_REQUEST,
        answer=TOKEN,
        body_media="application/x-www-form-urlencoded",
    ),
    ("get", "/.well-known/jwks.json"): Operation("Keys that sign access tokens", scopes=None),
    ("get", "/.well-known/oauth-authorization-server"): Operation("What the token issuer supports", scopes=None),
}
