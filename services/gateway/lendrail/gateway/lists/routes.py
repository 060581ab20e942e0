"""Lists of applications and opportunities, for the tenant that they belong to: filtered, in pages that hold still.

Without a time of change the newest receipt comes first, and receipt never changes: what is there all the time is shown
once, whatever comes in between. A walk along changes goes from the oldest to the moment of its first page; what changes
while it goes belongs to the next walk, so nothing is shown twice.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request, Response

from lendrail.contracts.age import age_seconds
from lendrail.contracts.terms import Reference, Status
from lendrail.gateway.lists.asked import OF_APPLICATIONS, OF_OPPORTUNITIES, Asked, Filter, read
from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.indexer import Indexer
from lendrail.gateway.lists.listed import ApplicationEntry, ApplicationPage, OpportunityEntry, OpportunityPage
from lendrail.gateway.lists.paging import Place, place_of, token_of
from lendrail.gateway.lists.search import FORM, Question
from lendrail.gateway.store import soon, utc
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import authorised, reply
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Vault

Reading = Annotated[Caller, Depends(authorised("applications:read"))]
NO_STORE = {"Cache-Control": "no-store"}
List = Literal["applications", "opportunities"]


@dataclass(frozen=True)
class Page:
    entries: tuple[Document, ...]
    token: str | None
    until: dt.datetime | None


class Lists:
    """Answers callers about their own entries."""

    def __init__(
        self,
        applications: Index,
        opportunities: Index,
        indexer: Indexer,
        vault: Vault,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._indexes: dict[List, Index] = {"applications": applications, "opportunities": opportunities}
        self._indexer, self._vault, self._clock = indexer, vault, clock

    async def applications(self, caller: Caller, asked: Asked) -> ApplicationPage:
        """Raises `Problem` 400 for a token of another list."""
        page = await self._page("applications", caller, asked)
        items = tuple(_application(entry) for entry in page.entries)
        return ApplicationPage(items=items, next_page_token=page.token, changed_to=page.until)

    async def opportunities(self, caller: Caller, asked: Asked) -> OpportunityPage:
        """Raises `Problem` 400 for a token of another list."""
        page = await self._page("opportunities", caller, asked)
        now = self._clock()
        items = tuple(_opportunity(entry, now) for entry in page.entries)
        return OpportunityPage(items=items, next_page_token=page.token, changed_to=page.until)

    async def _page(self, kind: List, caller: Caller, asked: Asked) -> Page:
        name = asked.question.name(kind, caller.tenant_id, caller.mode)
        place = place_of(asked.token, name) if asked.token is not None else Place("")
        until = place.until or self._end(asked.question)
        question = replace(asked.question, changed_to=until) if asked.question.by_change else asked.question
        found = await self._indexes[kind].page(
            caller.tenant_id, caller.mode, question, place.after or None, asked.size + 1
        )
        shown = found[: asked.size]
        token = None
        if len(found) > asked.size:
            token = token_of(Place(shown[-1]["moved" if question.by_change else "place"], until), name)
        return Page(await self._standing(kind, question, shown), token, until)

    def _end(self, question: Question) -> dt.datetime | None:
        if not question.by_change:
            return None
        now = self._clock()
        return min(question.changed_to, now) if question.changed_to else now

    async def _standing(self, kind: List, question: Question, entries: list[Document]) -> tuple[Document, ...]:
        """Without what an erased application said of itself; its entries are made anew when that is noticed."""
        gone = await self._vault.erased({entry["application"] for entry in entries})
        late = {e["application"] for e in entries if e["application"] in gone and e["status"] != Status.ERASED}
        if not late:
            return tuple(entries)
        await self._indexer.refresh(late)
        keep = kind == "applications" and question.anything
        erased = {"status": Status.ERASED.value, "references": [], "revision": 1}
        return tuple(
            e | erased if e["application"] in late else e for e in entries if keep or e["application"] not in late
        )


def install(app: FastAPI, lists: Lists) -> None:
    @app.get("/v1/applications")
    async def applications(request: Request, caller: Reading) -> Response:
        return await _answer(request, caller, OF_APPLICATIONS, lists.applications)

    @app.get("/v1/opportunities")
    async def opportunities(request: Request, caller: Reading) -> Response:
        return await _answer(request, caller, OF_OPPORTUNITIES, lists.opportunities)


async def _answer(
    request: Request,
    caller: Caller,
    filters: tuple[Filter, ...],
    page: Callable[[Caller, Asked], Awaitable[ApplicationPage | OpportunityPage]],
) -> Response:
    asked = read(filters, request.query_params.multi_items(), caller.mode)
    found = await soon(page(caller, asked))
    told: dict[str, Any] = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    return reply(told, headers=NO_STORE)


def _application(entry: Document) -> ApplicationEntry:
    return ApplicationEntry(application_id=uuid.UUID(entry["_id"]), revision=entry["revision"], **_common(entry))


def _opportunity(entry: Document, now: dt.datetime) -> OpportunityEntry:
    named = {name: entry[name] for name in ("partner", "kind", "credential", "partner_id")}
    origin = entry["origin"] if entry["form"] == FORM else {}
    named |= {name: utc(told) if isinstance(told, dt.datetime) else told for name, told in origin.items()}
    return OpportunityEntry(
        opportunity_id=uuid.UUID(entry["_id"]),
        application_id=uuid.UUID(entry["application"]),
        status_since=utc(entry["since"]),
        observed_at=utc(entry["observed"]),
        age_seconds=age_seconds(utc(entry["observed"]), now),
        **named,
        **_common(entry),
    )


def _common(entry: Document) -> dict[str, Any]:
    return {
        "status": entry["status"],
        "mode": entry["mode"],
        "received_at": utc(entry["received"]),
        "changed_at": utc(entry["changed"]),
        "references": tuple(Reference(**reference) for reference in entry["references"]),
    }
