"""Words at the desk: those that no table knows, and what people said they mean."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Model, Status
from lendrail.partners import PARTNERS
from lendrail.runtime import audit
from lendrail.runtime.bodies import answered_before, checked
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, reply, request_id, strict_body
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.runtime.parameters import ONLY_KNOWN
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key
from lendrail.status.desk.refolding import REFOLDED, Refolding
from lendrail.status.desk.routes import NO_STORE, OPERATE, Reason, busy, once_of
from lendrail.status.desk.vocabulary import EVERYBODY, Place, Vocabulary
from lendrail.status.desk.waiting import MOST, Waiting, listed
from lendrail.status.folding.noted import HELD
from lendrail.status.folding.words import MEANINGS, is_general

PLATFORM = "platform"
Shown = dict[str, Any]


class Meaning(Model):
    """What a word of a partner means; with `dry_run` only what that would change is told."""

    partner: Annotated[str, Field(min_length=1, max_length=80)]
    word: Annotated[str, Field(min_length=1, max_length=500)]
    status: Status
    reason: SensitiveText | None = None
    all_tenants: bool = False
    dry_run: bool = False


class Words:
    """Reads and changes what words mean."""

    def __init__(
        self, waiting: Waiting, vocabulary: Vocabulary, refolding: Refolding, opportunities: Collection
    ) -> None:
        self._waiting, self._vocabulary, self._refolding = waiting, vocabulary, refolding
        self._opportunities = opportunities

    async def listed(self, caller: Caller, *, all_tenants: bool) -> Shown:
        """What waits, and what was said before."""
        waiting = listed("words", await self._waiting.words(caller, all_tenants=all_tenants))
        key = await self._vocabulary.key()
        known = self._vocabulary.collection.find(_visible(caller)).sort("at", ASCENDING).limit(MOST)
        return waiting | {"mapped": [self._mapping(each, key) async for each in known if "status" in each]}

    async def preview(self, caller: Caller, told: Meaning) -> Shown:
        """What it would change, without changing it. Of other tenants' opportunities only how many are told."""
        place = _place(caller, told)
        await self._check(place, told)
        found = await self._refolding.preview(place, told.word, {told.word: told.status})
        own = [each for each in found["changes"] if each["tenant"] == caller.tenant_id]
        changes = [_change(each["_id"], each["application_id"], each["status"], each["becomes"]) for each in own]
        told_of = {"opportunities": found["opportunities"], "lookedAt": found["looked_at"], "changes": changes}
        return {"dryRun": True} | told_of | {"changesElsewhere": len(found["changes"]) - len(own)}

    async def map(self, caller: Caller, told: Meaning, request: Request) -> Shown:
        """Raises `Problem`."""
        if told.reason is None:
            raise Problem(422, "reason-missing", "State the reason; it is kept with who and when.")
        asked = ["map", told.partner, told.word, told.status, told.all_tenants, told.reason.reveal()]
        once = once_of(request, caller, asked)
        if (before := await answered_before(self._vocabulary.collection, once)) is None:
            place = _place(caller, told)
            await self._check(place, told)
            actor = audit.by(caller, request_id(request))
            mapped = await self._vocabulary.map(actor, place, told.word, told.status, told.reason, once)
            before = {"id": mapped} if mapped else await answered_before(self._vocabulary.collection, once)
        if before is None:
            detail = "This word was given a meaning before; take that back first."
            raise Problem(409, "word-mapped", detail)
        self._refolding.worker.wake()
        return await self.one(caller, before["id"])

    async def take_back(self, caller: Caller, mapping: str, told: Reason, request: Request) -> Shown:
        """Raises `Problem`."""
        once = once_of(request, caller, ["take-back", mapping, told.reason.reveal()])
        for _ in range(20):
            if await answered_before(self._vocabulary.collection, once) is not None:
                return await self.one(caller, mapping)
            document = await self._document(caller, mapping)
            if document["tenant"] == EVERYBODY and PLATFORM not in caller.scopes:
                raise Problem(403, "forbidden", "What holds for all tenants is taken back with the scope platform.")
            if "status" not in document:
                raise Problem(409, "taken-back-already", "This word has no meaning of ours any more.")
            actor = audit.by(caller, request_id(request))
            if await self._vocabulary.take_back(actor, document, told.reason, once):
                self._refolding.worker.wake()
                return await self.one(caller, mapping)
        raise busy()

    async def one(self, caller: Caller, mapping: str, after: str = "") -> Shown:
        """A mapping, how far its folding is, and what it changed, opportunity by opportunity. Raises `Problem`."""
        document = await self._document(caller, mapping)
        run = document["refold"]["run"]
        mine = {
            "tenant": caller.tenant_id,
            f"{REFOLDED}.of": {"$eq": mapping, "$type": "string"},
            "_id": {"$gt": after},
        }
        cursor = self._opportunities.find(mine, {"application_id": 1, REFOLDED: 1}).sort("_id", ASCENDING)
        found = await cursor.limit(MOST + 1).to_list()
        changes = [
            _change(each["_id"], each["application_id"], one["before"], one["after"]) | {"at": one["at"]}
            for each in found[:MOST]
            for one in each[REFOLDED]
            if (one["of"], one["run"]) == (mapping, run)
        ]
        more = {"nextPageToken": found[MOST - 1]["_id"]} if len(found) > MOST else {}
        return self._mapping(document, await self._vocabulary.key()) | {"changes": changes} | more

    async def _document(self, caller: Caller, mapping: str) -> Document:
        found = await self._vocabulary.collection.find_one({"_id": mapping, **_visible(caller)})
        if found is None:
            raise Problem(404, "not-found", "There is no such word.")
        return found

    async def _check(self, place: Place, told: Meaning) -> None:
        """Raises `Problem`."""
        partner = PARTNERS.get(told.partner)
        if partner is None:
            raise Problem(422, "unknown-partner", "There is no partner of this name; see GET /v1/desk/words.")
        if told.status not in MEANINGS:
            detail = f"A partner's word can mean one of: {', '.join(sorted(MEANINGS))}."
            raise Problem(422, "no-meaning-of-a-word", detail)
        if told.word in partner.facts.statuses:
            raise Problem(409, "word-known", "The partner's own table knows this word, and counts more.")
        if not is_general(told.word):
            detail = "This word is no word for many deals: it may tell of a person. Correct that opportunity instead."
            raise Problem(422, "word-not-general", detail)
        held = {HELD: {"$eq": told.word, "$type": "string"}, **place.opportunities}
        if await self._opportunities.find_one(held, {"_id": 1}) is None:
            raise Problem(
                409, "word-not-held", "No opportunity holds this word; take it as GET /v1/desk/words shows it."
            )

    def _mapping(self, document: Document, key: Key) -> Shown:
        refold = document["refold"]
        told = {
            "id": document["_id"],
            "partner": document["partner"],
            "word": self._vocabulary.word(document, key),
            "status": document.get("status"),
            "allTenants": document["tenant"] == EVERYBODY,
            "at": document["at"],
            "by": document["who"],
            "folding": "done" if "done" in refold else "under-way",
            "looked": refold["seen"],
            "seconds": round(((refold.get("done") or utc_now()) - refold["began"]).total_seconds(), 3),
        }
        return {name: value for name, value in told.items() if value is not None}


def routes(words: Words) -> APIRouter:
    router = APIRouter(prefix="/v1/desk/words", tags=["desk"], dependencies=[ONLY_KNOWN])

    @router.get("")
    async def unmapped(
        caller: Caller = OPERATE, all_tenants: Annotated[bool, Query(alias="allTenants")] = False
    ) -> Response:
        """Words that no table knows, and those that people gave a meaning."""
        _may(caller, all_tenants)
        return reply(await words.listed(caller, all_tenants=all_tenants), headers=NO_STORE)

    @router.post("")
    async def map_word(request: Request, caller: Caller = OPERATE) -> Response:
        """Say what a word means, once; what holds it is folded again."""
        told = checked(Meaning, await strict_body(request))
        _may(caller, told.all_tenants)
        if told.dry_run:
            return reply(await words.preview(caller, told), headers=NO_STORE)
        return reply(await words.map(caller, told, request), 202, headers=NO_STORE)

    @router.get("/{mapping}")
    async def one(
        mapping: str, caller: Caller = OPERATE, token: Annotated[str, Query(alias="pageToken")] = ""
    ) -> Response:
        """What a mapping changed, before and after."""
        if not re.fullmatch(r"[0-9a-f-]{0,64}", token):
            raise Problem(400, "page-token-invalid", "Use the pageToken of the page before.")
        return reply(await words.one(caller, mapping, token), headers=NO_STORE)

    @router.post("/{mapping}/take-back")
    async def take_back(mapping: str, request: Request, caller: Caller = OPERATE) -> Response:
        """The word means nothing any more; what it decided is folded again."""
        told = checked(Reason, await strict_body(request))
        return reply(await words.take_back(caller, mapping, told, request), 202, headers=NO_STORE)

    return router


def _may(caller: Caller, all_tenants: bool) -> None:
    if all_tenants and PLATFORM not in caller.scopes:
        raise Problem(403, "forbidden", "What holds for all tenants needs the scope platform.")


def _place(caller: Caller, told: Meaning) -> Place:
    return Place(told.partner, EVERYBODY if told.all_tenants else caller.tenant_id, caller.mode)


def _visible(caller: Caller) -> Document:
    return {"tenant": {"$in": [caller.tenant_id, EVERYBODY]}, "mode": caller.mode}


def _change(opportunity: str, application: str, before: str, after: str) -> Shown:
    return {"opportunityId": opportunity, "applicationId": application, "before": before, "after": after}
