"""The operations that change an application, in the words of the public description."""

from __future__ import annotations

from lendrail.contracts.application_words import UploadKind
from lendrail.gateway.description.bodies import ANY, Json
from lendrail.gateway.description.operations import KEY, OPERATOR, READ, WRITE, Operation

ACCEPT = ("offers:accept",)
BINARY: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
ID: Json = {"type": "string", "format": "uuid"}
AMENDED: Json = {
    "type": "object",
    "required": ["applicationId", "revision"],
    "properties": {"applicationId": ID, "revision": {"type": "integer", "description": "The one that this made."}},
}
_REF = {name: {"type": "string"} for name in ("id", "kind", "name", "contentType", "sha256")}
DOCUMENT: Json = AMENDED | {
    "properties": AMENDED["properties"]
    | {"document": {"type": "object", "properties": _REF | {"size": {"type": "integer"}}}}
}
PARTNERS: Json = {
    "type": "object",
    "required": ["partners"],
    "properties": {"partners": {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string"}}},
}
WITHDRAWAL: Json = {
    "type": "object",
    "required": ["reason"],
    "properties": {"reason": {"type": "string", "x-sensitive": True, "description": "Sealed; it may name a person."}},
}
RESENT: Json = {
    "type": "object",
    "required": ["id", "opportunityId", "applicationId", "state", "reference", "revision", "alreadyThere", "warning"],
    "properties": {
        "id": {"type": "string", "description": "Of the new attempt."},
        "opportunityId": ID,
        "applicationId": ID,
        "state": {"type": "string"},
        "reference": {"type": "string", "description": "Ours, of the new application at the partner."},
        "revision": {"type": "integer"},
        "alreadyThere": {
            "type": "array",
            "description": "Our earlier applications that the partner has or may have.",
            "items": {
                "type": "object",
                "required": ["attempt", "reference", "state"],
                "properties": {name: {"type": "string"} for name in ("attempt", "reference", "state", "partnerId")},
            },
        },
        "warning": {"type": "string"},
    },
}
ACCEPTANCE: Json = {
    "type": "object",
    "required": ["offerId"],
    "properties": {
        "offerId": {"type": "string"},
        "variant": {"type": "string", "description": "Needed where the offer has several."},
        "reported": {
            "type": "boolean",
            "default": False,
            "description": "You took it up at the partner already; it is recorded, and nothing is sent.",
        },
    },
}
REVOKING: Json = {
    "type": "object",
    "required": ["reason"],
    "properties": {"reason": {"type": "string"}, "opportunityId": ID},
}
LINK: Json = {"type": "object", "required": ["link"], "properties": {"link": {"type": "string", "format": "uri"}}}
IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": 'The revision that you correct, as the `ETag` of the application says it: `"1"`.',
    "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$'},
}
REFUSALS = ("400", "401", "403", "404", "409", "410", "413", "415", "422", "503")


def _query(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


_LATER = (
    "`202` means that the change is stored and has its revision. Whether it was found sound shows in `amendments` of "
    "the application, and what the partner made of it at the opportunity."
)


def _change(
    summary: str,
    text: str,
    body: str | Json,
    *,
    scope: tuple[str, ...] = WRITE,
    more: tuple[str, ...] = (),
    match: bool = False,
) -> Operation:
    """A change told by a JSON body; `more` problems than all of them have."""
    return Operation(
        summary,
        text + _LATER,
        scope,
        body=body,
        answer=AMENDED,
        success="202",
        problems=(*REFUSALS, *more),
        parameters=(KEY, IF_MATCH) if match else (KEY,),
    )


AMENDING: dict[tuple[str, str], Operation] = {
    ("put", "/v1/applications/{id}"): _change(
        "Correct an application",
        "The whole application as it shall be. Until it was sent somewhere this is free; afterwards each partner is "
        "told where it can be told, and the opportunity says where it cannot. Partners that were added later are told "
        "too, named or not, until they are withdrawn. ",
        "Application",
        more=("412", "428"),
        match=True,
    ),
    ("post", "/v1/applications/{id}/opportunities"): _change(
        "Send an application to further partners",
        "The others are not touched. ",
        PARTNERS,
    ),
    ("post", "/v1/applications/{id}/documents"): Operation(
        "Add a document",
        "The bytes as they are; what they are is found out from them. The same bytes again are the same document. With "
        "`opportunity` it goes to the partner that asked for it, otherwise to every one that has the application and "
        "takes documents, and to those that get it later. " + _LATER,
        WRITE,
        body=BINARY,
        body_media="application/octet-stream",
        answer=DOCUMENT,
        success="202",
        problems=(*REFUSALS, "429", "502"),
        parameters=(
            KEY,
            _query("kind", "What it is.", {"enum": [kind.value for kind in UploadKind]}, required=True),
            _query("name", "What you call it; sealed.", {"type": "string", "maxLength": 255}),
            _query("opportunity", "Id of the opportunity that it is for.", ID),
        ),
    ),
    ("post", "/v1/applications/{id}/withdraw"): _change(
        "Withdraw an application everywhere",
        "What was not sent yet is not sent; what is at a partner is withdrawn there where the partner takes that. ",
        WITHDRAWAL,
    ),
    ("post", "/v1/opportunities/{id}/withdraw"): _change(
        "Withdraw an application from one partner",
        "A partner that takes no withdrawal of what it has is a 409 `not-possible-at-partner`. ",
        WITHDRAWAL,
    ),
    ("post", "/v1/opportunities/{id}/accept"): _change(
        "Accept an offer",
        "Where the partner only has a link for it, this is a 409 `accept-by-link`: get the link, take the offer up "
        "there, and report it here. Other codes: `unknown-offer`, `offer-expired`, `already-accepted`, "
        "`already-ended`. ",
        ACCEPTANCE,
        scope=ACCEPT,
    ),
    ("post", "/v1/opportunities/{id}/resend"): Operation(
        "Send a correction as a new application",
        "For a partner that has the application and did not take its correction (`not-updatable`, or a refusal of its "
        "own). The newest revision goes there as a new application with a reference of its own. The partner then has "
        "it more than once: `alreadyThere` names what it has or may have; tell it which one counts. The opportunity "
        "follows the new one from the moment that the partner has it. Who and why are recorded. 409 where nothing may "
        "be sent: `nothing-newer`, `not-at-partner`, `under-way`, `unsettled` (settle that first), `not-kept`, "
        "`withdrawn`, `already-accepted`, `already-ended`, `registry`, `registry-bound` (its papers are not those that "
        "a registry cleared), or the reason why no application could be sent there now.",
        OPERATOR,
        body=WITHDRAWAL,
        answer=RESENT,
        problems=("400", "401", "403", "404", "409", "410", "415", "422", "502", "503"),
        parameters=(KEY,),
    ),
    ("get", "/v1/opportunities/{id}/offers/{offerId}/link"): Operation(
        "Get the link by which an offer is accepted",
        "Whoever has the link can act on the offer. Who was given it is recorded.",
        ACCEPT,
        answer=LINK,
        problems=("401", "403", "404", "409", "410", "503"),
        parameters=(_query("variant", "Needed where the offer has several.", {"type": "string"}),),
    ),
    ("get", "/v1/amendments"): Operation(
        "Changes that wait for the one before them",
        "A change is judged after the one before it was, and is never dropped. Where that one was lost on the way, "
        "`waitsFor` names its event: look for it among the dead letters of validation and play it in again. After a "
        "day (a setting) it is `overdue`. Its application shows `waitingSince` with it.",
        OPERATOR,
        problems=("401", "403", "502", "503"),
    ),
    ("get", "/v1/documents"): Operation(
        "List the documents of an application",
        "Oldest first: what was made here and what was added.",
        READ,
        problems=("401", "403", "404", "410", "422", "502", "503"),
        parameters=(_query("application", "Id of the application.", ID, required=True),),
    ),
    ("get", "/v1/documents/{id}"): Operation(
        "Show a document and who was given links to it",
        scopes=READ,
        answer=ANY,
        problems=("401", "403", "404", "410", "502", "503"),
    ),
    ("post", "/v1/documents/{id}/links/revoke"): Operation(
        "Take back the links to a document",
        "All of them, or those of one opportunity. Saying it again changes nothing.",
        OPERATOR,
        body=REVOKING,
        problems=("400", "401", "403", "404", "410", "415", "422", "502", "503"),
    ),
}
