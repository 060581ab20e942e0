"""What owners and operators may read."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Depends, Response

from lendrail.contracts.offered import offered
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.terms import Model, Report, Status, utc_now
from lendrail.contracts.wanted import to_do
from lendrail.partners import PARTNERS
from lendrail.runtime.http import Problem, authorised, reply
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault
from lendrail.status.observation import Observation, State
from lendrail.status.store import read

READ = Depends(authorised("applications:read"))
OPERATE = Depends(authorised("operator"))
MOST_ORPHANS = 500
MOST_LOOKS = 500
NO_STORE = {"Cache-Control": "no-store"}


def routes(opportunities: Collection, orphans: Collection, feeds: Collection, vault: Vault) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/opportunities/{opportunity_id}")
    async def opportunity(opportunity_id: str, caller: Caller = READ) -> Response:
        """The truth about one opportunity, how old it is and everything that it was folded from."""
        mine = {"_id": opportunity_id, "tenant": caller.tenant_id, "mode": caller.mode}
        document = await opportunities.find_one(mine, {"outbox": 0})
        if document is None:
            raise Problem(404, "not-found", "You have no such opportunity.")
        try:
            shown = _shown(document, await _key(vault, document["application_id"]))
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
            for kind, collection in (("opportunityId", opportunities), ("feed", feeds))
            async for each in collection.find(failing, wanted).sort("due", ASCENDING).limit(MOST_LOOKS)
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
    return {
        **_named(document),
        "version": document["version"],
        **_with_offers(known.state, document["opportunity_id"]),
        **_asked(document, known.state),
        "seenAt": seen,
        "ageSeconds": round(max((utc_now() - seen).total_seconds(), 0), 3),
        "nextLook": _next_look(document),
        **_kept(document),
        "observations": [_observed(each, document) for each in sorted(known.observations, key=lambda o: o.place)],
    }


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


def _kept(document: Document) -> dict[str, Any]:
    """That the last reply which nobody could read is there, sealed."""
    kept = document.get("fetch", {}).get("kept")
    return {"unreadableReply": {"keptAt": kept["at"], "bytes": kept["bytes"]}} if kept else {}


def _revealed(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, context={"reveal": True})
