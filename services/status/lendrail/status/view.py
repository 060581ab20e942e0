"""What owners and operators may read."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from lendrail.contracts.age import age_seconds
from lendrail.contracts.event import decode
from lendrail.contracts.offered import history, offered
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.status_updated import Cause, StatusUpdated
from lendrail.contracts.terms import Model, Report, Status
from lendrail.contracts.wanted import to_do
from lendrail.partners import PARTNERS
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, authorised, reply
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.fold import fold
from lendrail.status.folding.history import Moments, heard_by, moments, shown_at, state_of
from lendrail.status.folding.noted import DISAGREEMENTS, told
from lendrail.status.folding.observation import Observation, State
from lendrail.status.folding.written import Known
from lendrail.status.polling.readers import asked_for, with_end
from lendrail.status.store import Opportunities, read, subject_of

READ = Depends(authorised("applications:read"))
OPERATE = Depends(authorised("operator"))
MOST_ORPHANS = 500
MOST_LOOKS = 500
NO_STORE = {"Cache-Control": "no-store"}


def routes(opportunities: Opportunities, orphans: Collection, feeds: Collection, vault: Vault) -> APIRouter:
    router, collection = APIRouter(), opportunities.collection

    @router.get("/v1/opportunities/{opportunity_id}")
    async def opportunity(opportunity_id: str, request: Request, caller: Caller = READ) -> Response:
        """The truth about one opportunity, how old it is and everything that it was folded from; now, or at a time
        that has passed.
        """
        asked = moments(request.query_params.multi_items(), utc_now())
        mine = {"_id": opportunity_id, "tenant": caller.tenant_id, "mode": caller.mode}
        document = await collection.find_one(mine, {"outbox": {"$slice": -1}} if asked.are_now else None)
        if document is None:
            raise Problem(404, "not-found", "You have no such opportunity.")
        try:
            key = await _key(vault, document["application_id"])
            shown = _shown(document, key) if asked.are_now else await _then(opportunities, document, key, asked)
            await asked_for(collection, document)
        except Erased:
            shown = _named(document) | {"status": Status.ERASED.value}
        return reply(shown, headers=NO_STORE)

    @router.get("/v1/orphans")
    async def unmatched(caller: Caller = OPERATE) -> Response:
        """Partners' calls that nobody could match yet, newest first: ids and times, never their bodies."""
        wanted = {"partner": 1, "credential": 1, "partner_id": 1, "received_at": 1}
        cursor = orphans.find({"tenant": caller.tenant_id}, wanted).sort("received_at", -1).limit(MOST_ORPHANS)
        names = {"_id": "id", "partner": "partner", "credential": "credential", "partner_id": "partnerId"}
        found = [
            {shown: each[name] for name, shown in names.items()} | {"receivedAt": each["received_at"]}
            async for each in cursor
        ]
        return reply({"orphans": found}, headers=NO_STORE)

    @router.get("/v1/looks")
    async def looks(caller: Caller = OPERATE) -> Response:
        """Looks at opportunities and feeds that told nothing: ids, times and reasons, never what was replied."""
        failing = {"tenant": caller.tenant_id, "fetch.failures": {"$gt": 0}}
        wanted = dict.fromkeys(("partner", "credential", "fetch", "due"), 1)
        found = [
            {kind: each["_id"], "partner": each["partner"], "credential": each["credential"], **_failing(each)}
            for kind, held in (("opportunityId", collection), ("feed", feeds))
            async for each in held.find(failing, wanted).sort("due", ASCENDING).limit(MOST_LOOKS)
        ]
        return reply({"looks": found}, headers=NO_STORE)

    return router


async def _key(vault: Vault, application: str) -> Key:
    """Raises `Erased`, also while this process still remembers the key."""
    if await vault.erased([application]):
        raise Erased(application)
    return await vault.get(application)


def _named(document: Document) -> dict[str, Any]:
    return {
        "id": document["_id"],
        "applicationId": document["application_id"],
        "opportunityId": document["opportunity_id"],
        "partner": document["partner"],
        **_kind(document["partner"]),
        "mode": document["mode"],
    }


def _kind(partner: str | None) -> dict[str, str]:
    """A registry's word is about the paper, and decides nothing on the money."""
    known = PARTNERS.get(partner or "")
    return {"kind": known.kind} if known else {}


def _shown(document: Document, key: Key) -> dict[str, Any]:
    known = read(document, key)
    assert known.state is not None
    seen = max(known.state.observed_at, document.get("fetch", {}).get("seen_at", known.state.observed_at))
    newest = decode(StatusUpdated, bytes(document["outbox"][-1]["value"]), key) if document["outbox"] else None
    next_check = known.state.next_check_at or document.get("due")
    shown = {
        **_named(document),
        "version": document["version"],
        **_told(known.state, newest.cause if newest else None, document),
        **({"nextCheckAt": next_check} if next_check else {}),
        "seenAt": seen,
        "ageSeconds": age_seconds(seen, utc_now()),
        "nextLook": _next_look(document),
        **_kept(document),
        **_disagreements(document),
        "observations": [_observed(each, document) for each in sorted(known.observations, key=lambda o: o.place)],
    }
    return with_end(shown, document)


async def _then(opportunities: Opportunities, document: Document, key: Key, asked: Moments) -> dict[str, Any]:
    """At a time that has passed. Raises `Problem` 404 where nothing was known, or true, by then."""
    known = read(document, key)
    heard = sorted(heard_by(known.observations, asked), key=lambda each: each.place)
    version, cause, state = await _state_then(opportunities, document, key, known, heard, asked)
    if state is None:
        raise Problem(404, "not-known-then", "Nothing was known of this opportunity at that time; ask for a later one.")
    at = asked.as_of or asked.known_at or utc_now()
    return {
        **_named(document),
        **asked.shown,
        **({"version": version} if version is not None else {}),
        **_told(state, cause, document),
        "ageSeconds": age_seconds(state.observed_at, at),
        "observations": [_observed(each, document) for each in heard],
    }


async def _state_then(
    opportunities: Opportunities, document: Document, key: Key, known: Known, heard: list[Observation], asked: Moments
) -> tuple[int | None, Cause | None, State | None]:
    """What was told by then; or, of a time at the partner, what the words of that time come to."""
    if asked.as_of is None and asked.known_at is not None:
        told = shown_at(document, key, asked.known_at)
        return (told.state_version, told.cause, state_of(told)) if told else (None, None, None)
    if not heard:
        return None, None, None
    words = await opportunities.words(subject_of(document), known.observations)
    return None, None, fold(heard, words)


def _told(state: State, cause: Cause | None, document: Document) -> dict[str, Any]:
    told = _with_offers(state, document["opportunity_id"]) | _asked(document, state)
    forms = [_revealed(each) for each in history(state.offer_history, document["opportunity_id"])]
    return told | {"offerHistory": forms} | ({"cause": _revealed(cause)} if cause else {})


def _observed(observation: Observation, document: Document) -> dict[str, Any]:
    told = _revealed(observation)
    report: Report | None = getattr(observation.said, "report", None)
    if report is not None:
        told["said"]["report"] = _with_offers(report, document["opportunity_id"])
    return told


def _with_offers(told: State | Report, opportunity: str) -> dict[str, Any]:
    """An offer's link is a secret of its own: it is handed over by the gateway, to those who may accept offers."""
    offers = [_revealed(each) for each in offered(told.offers, opportunity)]
    return _revealed(told) | {"offers": offers}


def _asked(document: Document, state: State) -> dict[str, Any]:
    """What the partner waits for, and how to send it."""
    application = uuid.UUID(document["application_id"])
    found = to_do(state.status, application, state.wanted, state.missing_info, state.problems)
    return {"toDo": _revealed(found)} if found else {}


def _next_look(document: Document) -> dict[str, Any] | None:
    fetch = document.get("fetch", {})
    if "due" not in document:
        return None
    told = {"due": document["due"], "reason": fetch.get("reason")}
    return told | ({"failures": fetch["failures"], "error": fetch.get("error")} if fetch.get("failures") else {})


def _failing(document: Document) -> dict[str, Any]:
    fetch = document["fetch"]
    told = {"failures": fetch["failures"], "error": fetch.get("error"), "due": document.get("due")}
    return told | _kept(document)


def _disagreements(document: Document) -> dict[str, Any]:
    """Channels that tell different things, as a flag says too: both sides, with their times."""
    found = [told(each) for each in document.get(DISAGREEMENTS, ())]
    return {"disagreements": found} if found else {}


def _kept(document: Document) -> dict[str, Any]:
    """That the last reply which nobody could read is there, sealed."""
    kept = document.get("fetch", {}).get("kept")
    return {"unreadableReply": {"keptAt": kept["at"], "bytes": kept["bytes"]}} if kept else {}


def _revealed(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, context={"reveal": True})
