"""What operators ask of partners: an inquiry about an attempt, and all that a partner has of us.

Nothing changes by it, here or there. Who asked what is recorded before it is asked. Answers name ids, statuses and
matches in our words; a reference that is not ours is never shown, since nobody knows what somebody put there.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import Field

from lendrail.contracts.terms import ForeignId, Model, Report
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Comparison, Known, Listing, Request
from lendrail.partners.partner import Inquiry, Partner
from lendrail.runtime import audit
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import checked
from lendrail.runtime.directory import PartnerAccount
from lendrail.runtime.http import RETRY_AFTER_SECONDS, Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Collection
from lendrail.runtime.tokens import Caller
from lendrail.submission.attempts.attempt import Attempt, Opportunity, reference
from lendrail.submission.operators.pauses import Pauses
from lendrail.submission.sending.asking import Answer, Asker, Unanswered
from lendrail.submission.store import HIDDEN, Store, read

LANES = 4
"""How many questions of operators are asked at the same time."""
CALL_SECONDS, WHOLE_SECONDS = 8.0, 12.0
"""At most for one call, and for a question with its waits and all its calls: operators wait for it."""
ASKED = {"inquiry": "partner-asked", "known": "partner-list-read"}
"""In the audit; nothing changes by it, so there are no hashes."""
PAGE = r"[!-~]{1,512}"
Shown = dict[str, Any]


class About(Model):
    """What an inquiry asks about, where that is not the attempt's own application."""

    id: Annotated[ForeignId, Field(pattern=r"^[!-~]*[A-Za-z0-9][!-~]*$")]


class Questions:
    """Asks one at a time in each lane."""

    def __init__(self, store: Store, actions: Collection, pauses: Pauses, asker: Asker) -> None:
        """`actions` is the append-only record of what operators did."""
        self._store, self._actions, self._pauses, self._asker = store, actions, pauses, asker
        self._lanes: asyncio.LifoQueue[int] = asyncio.LifoQueue()
        for lane in range(LANES):
            self._lanes.put_nowait(lane)

    async def inquire(self, caller: Caller, attempt: str, operation: str, about: About | None, request: str) -> Shown:
        """Raises `Problem`."""
        opportunity = await self._opportunity(caller, attempt)
        account, partner = self._account(caller, opportunity.credential)
        inquiry = partner.inquiries.get(operation)
        if inquiry is None:
            known = f" It has: {', '.join(sorted(partner.inquiries))}." if partner.inquiries else ""
            raise Problem(409, "not-offered", f"The partner has no such inquiry.{known}")
        subject = _subject(inquiry, opportunity, about)
        actor, application = audit.by(caller, request), str(opportunity.application_id)
        asked = {"attempt": attempt, "operation": operation, "subject": subject}
        await self._record(actor, "inquiry", account, asked, application)
        async with self._lane() as lane:
            answer = await self._ask(caller, account, inquiry.request(subject, opportunity.options), lane)
            told = await self._told(caller, account, partner, inquiry, answer, lane)
        fields = {"attempt": attempt, "partner": partner.name, "credential": account.credential, "operation": operation}
        return fields | told

    async def known(self, caller: Caller, credential: str, token: str | None, request: str) -> Shown:
        """One page of what the partner has of us. Raises `Problem`."""
        account, partner = self._account(caller, credential)
        if partner.index is None or partner.listed is None:
            raise Problem(409, "not-offered", "The partner has no list of what it has of us.")
        if token is not None and not re.fullmatch(PAGE, token):
            raise Problem(422, "invalid-request", "pageToken is not one of ours.")
        await self._record(audit.by(caller, request), "known", account, {})
        async with self._lane() as lane:
            answer = await self._ask(caller, account, partner.index(token), lane)
        if (listing := partner.listed(answer.reply)) is None:
            raise _unanswered(Unanswered("unreadable-reply"))
        ours = await self._ours(caller, account, listing)
        page: Shown = {"items": [_known(each, ours) for each in listing.entries]}
        page |= {"unreadable": listing.unreadable} if listing.unreadable else {}
        return page | ({"nextPageToken": listing.next_token} if listing.next_token not in (None, token) else {})

    async def _told(
        self, caller: Caller, account: PartnerAccount, partner: Partner, inquiry: Inquiry, answer: Answer, lane: int
    ) -> Shown:
        if inquiry.compare is not None:
            return {"comparisons": [_comparison(each) for each in inquiry.compare(answer.reply) or ()]}
        if inquiry.result is None or partner.read is None or partner.report is None:
            return {}
        if (name := answer.given.get(inquiry.result)) is None:
            raise _unanswered(Unanswered("no-id"))
        result = await self._ask(caller, account, partner.read(name), lane)
        return {"report": _report(partner.report(result.reply))}

    async def _ask(self, caller: Caller, account: PartnerAccount, request: Request, lane: int) -> Answer:
        try:
            return await self._asker.ask(caller.tenant_id, account, "hint", request, lane, deadline=CALL_SECONDS)
        except Unanswered as why:
            raise _unanswered(why) from None

    @asynccontextmanager
    async def _lane(self) -> AsyncIterator[int]:
        """A lane for one question, all of it within its time. Raises `Problem`."""
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                lane = await self._lanes.get()
                try:
                    yield lane
                finally:
                    self._lanes.put_nowait(lane)
        except TimeoutError:
            raise _unanswered(Unanswered("busy", RETRY_AFTER_SECONDS)) from None

    def _account(self, caller: Caller, credential: str) -> tuple[PartnerAccount, Partner]:
        """Raises `Problem`."""
        mine = (each for each in self._pauses.accounts(caller) if each.credential == credential)
        account = next(mine, None)
        if account is None or account.partner not in PARTNERS:
            raise Problem(404, "not-found", "You have no such account at a partner.")
        return account, PARTNERS[account.partner]

    async def _opportunity(self, caller: Caller, attempt: str) -> Opportunity:
        """That of the attempt; of one that waits for a registry, the registry's, which is what there is to ask about.
        Raises `Problem`.
        """
        mine = {"tenant": caller.tenant_id, "mode": caller.mode}
        document = await self._store.collection.find_one({"attempts.id": attempt, **mine}, HIDDEN)
        if document is not None and (gate := read(document).attempt(attempt)).operation == "gate":
            document = await self._store.collection.find_one({"_id": gate.subject, **mine}, HIDDEN)
        if document is None:
            raise Problem(404, "not-found", "There is no such attempt.")
        return read(document)

    async def _ours(self, caller: Caller, account: PartnerAccount, listing: Listing) -> Ours:
        ids = [each.partner_id for each in listing.entries]
        references = [each.reference for each in listing.entries if each.reference]
        either = [{"partner_id": {"$in": ids}}, {"attempts.id": {"$in": references}}]
        wanted = {"credential": account.credential, "tenant": caller.tenant_id, "mode": caller.mode, "$or": either}
        cursor = self._store.collection.find(wanted, HIDDEN)
        return Ours([read(document) async for document in cursor])

    async def _record(
        self, actor: Actor, what: str, account: PartnerAccount, asked: dict[str, str], application: str | None = None
    ) -> None:
        fields: Shown = {"tenant": actor.tenant, "mode": actor.mode, "who": actor.who, "what": what}
        about = {"partner": account.partner, "credential": account.credential} | asked
        action = f"{actor.tenant}|{what}|{uuid.uuid4().hex}"
        entry = audit.entry(
            actor, ASKED[what], f"accounts/{account.credential}", application=application, about=about,
        )  # fmt: skip
        record = {"at": "$$NOW"} | audit.held_now(entry)
        new = [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"$literal": fields | about}, record]}}]
        await self._actions.update_one({"_id": action}, new, upsert=True)


def routes(questions: Questions) -> APIRouter:
    router = APIRouter(prefix="/v1")
    operator = Depends(authorised("operator"))

    @router.post("/attempts/{attempt}/inquiries/{operation}", tags=["attempts"])
    async def inquire(attempt: str, operation: str, request: HttpRequest, caller: Caller = operator) -> Response:
        """Ask the partner about an attempt's application; nothing changes by it."""
        about = checked(About, await strict_body(request)) if await request.body() else None
        return reply(await questions.inquire(caller, attempt, operation, about, request_id(request)))

    @router.get("/partners/{credential}/known", tags=["partners"])
    async def known(
        credential: str, request: HttpRequest, pageToken: str | None = None, caller: Caller = operator
    ) -> Response:
        """What the partner has of us, whoever sent it, beside what we know of it."""
        return reply(await questions.known(caller, credential, pageToken, request_id(request)))

    return router


class Ours:
    """Opportunities by what a partner may name of them."""

    def __init__(self, opportunities: Iterable[Opportunity]) -> None:
        found = list(opportunities)
        self.by_id = {each.partner_id: each for each in found if each.partner_id is not None}
        self.by_reference = {
            reference(attempt): (each, attempt)
            for each in found
            for attempt in each.attempts
            if attempt.operation == "create"
        }


def _known(entry: Known, ours: Ours) -> Shown:
    """`known`: bound to this id here. `id-unknown`: our reference, and no id is bound to it yet. `other-id`: our
    reference, while we follow another id: the partner has it twice. `unknown`: nothing of ours that was sent from here.
    """
    fields: Shown = {
        "partnerId": entry.partner_id,
        "status": entry.status.value if entry.status else None,
        "words": entry.words or None,
        "at": entry.at.isoformat() if entry.at else None,
    }
    if (own := ours.by_id.get(entry.partner_id)) is not None:
        return _filled(fields | {"match": "known"} | _place(own, own.create))
    if entry.reference is None or (sent := ours.by_reference.get(entry.reference)) is None:
        return _filled(fields | {"match": "unknown"})
    opportunity, attempt = sent
    match = "id-unknown" if opportunity.partner_id is None else "other-id"
    return _filled(fields | {"match": match} | _place(opportunity, attempt))


def _place(opportunity: Opportunity, attempt: Attempt | None) -> Shown:
    fields: Shown = {"applicationId": str(opportunity.application_id), "opportunityId": opportunity.id}
    if attempt is None:
        return fields
    return fields | {"attempt": attempt.id, "attemptState": str(attempt.state), "reference": reference(attempt)}


def _subject(inquiry: Inquiry, opportunity: Opportunity, about: About | None) -> str:
    """The id that is asked by. Raises `Problem`."""
    if inquiry.about == "match":
        if about is None:
            raise Problem(422, "invalid-request", 'State the id of the match: {"id": "…"}.')
        return about.id
    if about is not None:
        raise Problem(422, "invalid-request", "This inquiry is about the attempt's own application: send no id.")
    if opportunity.partner_id is None:
        raise Problem(409, "no-partner-id", "We do not know the partner's id of this application yet.")
    return opportunity.partner_id


def _report(report: Report) -> Shown:
    """Status and matches; offers and contacts are for whoever reads the opportunity."""
    shown: Shown = report.model_dump(
        mode="json", by_alias=True, exclude_none=True, include={"status", "words", "partner_time", "matches", "flags"}
    )
    return shown


def _comparison(compared: Comparison) -> Shown:
    return _filled({"id": compared.id, "kind": compared.kind, "fields": dict(compared.fields)})


def _filled(fields: Shown) -> Shown:
    return {name: value for name, value in fields.items() if value is not None}


def _unanswered(why: Unanswered) -> Problem:
    """Ours to mend (409), to be asked again later (503), or the partner's (502)."""
    if why.reason in ("not-configured", "mode-crossing", "partner-paused", "credential-refused"):
        return Problem(409, why.reason, "The partner cannot be asked under this credential now.")
    if why.reason in ("partner-away", "retry-later", "busy"):
        after = {"Retry-After": str(max(RETRY_AFTER_SECONDS, round(why.after or 0)))}
        return Problem(503, why.reason, "The partner cannot be asked now; nothing changed.", headers=after)
    return Problem(502, "partner-unanswered", f"The partner gave no answer that can be read ({why.reason}).")
