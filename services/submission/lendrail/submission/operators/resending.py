"""A person's word by which a partner gets a corrected application anew, beside the one that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Model
from lendrail.runtime import audit
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once, answered_before, checked, fingerprint, idempotency_key
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault
from lendrail.submission.accounts.desks import Desks
from lendrail.submission.attempts.attempt import Attempt, Opportunity, reference
from lendrail.submission.attempts.beside import untaken
from lendrail.submission.operators.people import shown
from lendrail.submission.planning.anew import Refused, already_there, anew
from lendrail.submission.planning.planned import Plan
from lendrail.submission.store import Store, digest, kept_event, read

TWICE = "The partner then has this application more than once: tell it which one counts. We follow the new one."


class Resending(Model):
    """Why the partner shall get it anew."""

    reason: SensitiveText


class Resender:
    """Writes who and why in the same write as the new creation."""

    def __init__(self, store: Store, vault: Vault, desks: Desks, stored: Callable[[], None]) -> None:
        """`stored` is called when work and facts were stored."""
        self._store, self._vault, self._desks, self._stored = store, vault, desks, stored

    async def resend(
        self, caller: Caller, opportunity: str, told: Resending, idempotency: str, request: str
    ) -> tuple[dict[str, Any], bool]:
        """The answer, and whether it was given before. Raises `Problem`, `Erased`."""
        once = Once(f"{caller.tenant_id}|resend|{idempotency}", fingerprint([opportunity, told.reason.reveal()]))
        while True:
            if (before := await answered_before(self._store.collection, once)) is not None:
                return before, True
            document = await self._document(caller, opportunity)
            key = await self._vault.get(document["application_id"])
            made = await self._made(document, key)
            answer = _answer(read(document), made)
            entry = _entry(audit.by(caller, request), read(document), made.opportunity, told, key)
            audited = replace(made.opportunity, audit=(*made.opportunity.audit, entry | once.beside(answer)))
            if await self._saved(replace(made, opportunity=audited), key):
                self._stored()
                return answer, False

    async def _made(self, document: Document, key: Key) -> Plan:
        """Raises `Problem`."""
        opportunity = read(document)
        correction, desk = untaken(opportunity), await self._desks.of_one(opportunity)
        submit = kept_event(document, correction, key) if correction is not None else None
        try:
            return anew(opportunity, submit, desk, key, utc_now())
        except Refused as why:
            raise Problem(409, why.code, why.detail, errors=why.problems) from None

    async def _saved(self, made: Plan, key: Key) -> bool:
        """False where somebody was faster: at this opportunity, or with this key at another one."""
        try:
            return await self._store.save(made.opportunity, made.acks, key, plans=made.requests, due="now")
        except DuplicateKeyError:
            return False

    async def _document(self, caller: Caller, opportunity: str) -> Document:
        where = {"_id": opportunity, "tenant": caller.tenant_id, "mode": caller.mode}
        document: Document | None = await self._store.collection.find_one(where, {"outbox": 0, "replies": 0})
        if document is None:
            raise Problem(404, "not-found", "There is no such opportunity.")
        return document


def routes(resender: Resender) -> APIRouter:
    router = APIRouter(prefix="/v1/opportunities", tags=["opportunities"])
    operator = Depends(authorised("operator"))

    @router.post("/{opportunity}/resend")
    async def resend(opportunity: str, request: Request, caller: Caller = operator) -> Response:
        """Send the newest revision as a new application where the partner has an older one and takes no correction."""
        name, told = idempotency_key(request), checked(Resending, await strict_body(request))
        answer, again = await resender.resend(caller, opportunity, told, name, request_id(request))
        return reply(answer, headers={"Idempotency-Replayed": "true"} if again else {})

    return router


def _answer(before: Opportunity, made: Plan) -> dict[str, Any]:
    after = made.opportunity
    assert after.create is not None
    there = [_there(before, each) for each in already_there(before)]
    return shown(after, after.create) | {"revision": after.revision, "alreadyThere": there, "warning": TWICE}


def _there(opportunity: Opportunity, creation: Attempt) -> dict[str, Any]:
    known = {"partnerId": opportunity.partner_id} if creation == opportunity.create and opportunity.partner_id else {}
    return {"attempt": creation.id, "reference": reference(creation), "state": str(creation.state)} | known


def _entry(actor: Actor, before: Opportunity, after: Opportunity, told: Resending, key: Key) -> Document:
    """It names what the partner has already, and so may have beside the new one."""
    assert before.create is not None
    assert after.create is not None
    there: Sequence[Attempt] = already_there(before)
    about = {
        "attempt": after.create.id,
        "revision": str(after.revision),
        "beside": before.create.id,
        "was": str(before.create.state),
        "applicationsThere": str(len(there) + 1),
    }
    return audit.entry(
        actor,
        "opportunity-resent",
        f"opportunities/{before.id}",
        application=str(before.application_id),
        why=told.reason,
        key=key,
        before=digest(before),
        after=digest(after),
        about=about | ({"partnerId": before.partner_id} if before.partner_id else {}),
    )
