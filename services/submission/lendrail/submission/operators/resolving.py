"""Settling an attempt whose outcome nobody knows, by what a person found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import ForeignId, Model
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Request as PartnerRequest
from lendrail.runtime import audit
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once, answered_before, checked, fingerprint, idempotency_key
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Document, DuplicateKeyError
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault
from lendrail.submission.attempts import resolved
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State
from lendrail.submission.operators.people import shown
from lendrail.submission.sending.requests import STORED
from lendrail.submission.settings import Settings
from lendrail.submission.store import Store, digest, read, stored_requests


class Resolution(Model):
    """What a person found out about an attempt whose outcome is unknown, and how they know.

    `partner-id`: the partner has it under this id. `sent-elsewhere`: the partner has it, there is no id to follow.
    `not-sent`: the partner does not have it, so it goes again, marked as a possible duplicate where that can be told.
    """

    outcome: Literal["partner-id", "sent-elsewhere", "not-sent"]
    partner_id: Annotated[ForeignId, Field(pattern=r"^[!-~]*[A-Za-z0-9][!-~]*$")] | None = None
    reason: SensitiveText

    @model_validator(mode="after")
    def _names_the_id(self) -> Resolution:
        if (self.partner_id is not None) is not (self.outcome == "partner-id"):
            raise PydanticCustomError("partner_id", "state partnerId with the outcome partner-id, and only then")
        return self


class Resolver:
    """Writes who, what and why in the same write as its effect."""

    def __init__(self, store: Store, vault: Vault, settings: Settings, stored: Callable[[], None]) -> None:
        """`stored` is called when work and facts were stored."""
        self._store, self._vault, self._settings, self._stored = store, vault, settings, stored

    async def resolve(
        self, caller: Caller, attempt: str, told: Resolution, idempotency: str, request: str
    ) -> dict[str, Any]:
        """Settle an attempt by what a person found out. Raises `Problem`."""
        given = [attempt, told.outcome, told.partner_id, told.reason.reveal()]
        once = Once(f"{caller.tenant_id}|resolve|{idempotency}", fingerprint(given))
        while True:
            if (before := await answered_before(self._store.collection, once)) is not None:
                return before
            document = await self._document(caller, attempt)
            opportunity = read(document)
            if not _resolvable(opportunity, opportunity.attempt(attempt), told):
                detail = "Only an attempt whose outcome is unknown, or that is parked, can be resolved so."
                raise Problem(409, "not-resolvable", detail)
            actor = audit.by(caller, request)
            if await self._resolved(actor, document, opportunity, attempt, told, once):
                self._stored()

    async def _resolved(
        self,
        actor: Actor,
        document: Document,
        opportunity: Opportunity,
        attempt: str,
        told: Resolution,
        once: Once,
    ) -> bool:
        key, now, found = (
            await self._vault.get(str(opportunity.application_id)),
            utc_now(),
            opportunity.attempt(attempt),
        )
        plans: dict[str, tuple[PartnerRequest, ...]] = {}
        if told.partner_id is not None:
            moved, acks = resolved.bind(opportunity, found, told.partner_id, now)
        elif told.outcome == "sent-elsewhere":
            moved, acks = resolved.settle(opportunity, found, now)
        else:
            moved, acks = resolved.send_again(opportunity, found, self._settings.not_before(found, now), now)
            if found.operation in STORED:
                plans = {moved.attempts[-1].id: _again(document, found, key)}
        entry = _entry(actor, opportunity, moved, found, told, key)
        answer = shown(moved, moved.attempt(found.id))
        audited = replace(moved, audit=(*moved.audit, entry | once.beside(answer)))
        try:
            return await self._store.save(audited, acks, key, plans=plans or None, due="now")
        except DuplicateKeyError:
            if await answered_before(self._store.collection, once) is not None:
                return True
            raise Problem(409, "partner-id-taken", "This partner id already belongs to another application.") from None

    async def _document(self, caller: Caller, attempt: str) -> Document:
        where = {"attempts.id": attempt, "tenant": caller.tenant_id, "mode": caller.mode}
        document: Document | None = await self._store.collection.find_one(where, {"outbox": 0, "replies": 0})
        if document is None:
            raise Problem(404, "not-found", "There is no such attempt.")
        return document


def routes(resolver: Resolver) -> APIRouter:
    router = APIRouter(prefix="/v1/attempts", tags=["attempts"])
    operator = Depends(authorised("operator"))

    @router.post("/{attempt}/resolve")
    async def resolve(attempt: str, request: Request, caller: Caller = operator) -> Response:
        """Tell what became of an attempt whose outcome nobody knows; what waited for it then goes on."""
        name, told = idempotency_key(request), checked(Resolution, await strict_body(request))
        return reply(await resolver.resolve(caller, attempt, told, name, request_id(request)))

    return router


def _entry(
    actor: Actor, before: Opportunity, after: Opportunity, attempt: Attempt, told: Resolution, key: Key
) -> Document:
    about = {"attempt": attempt.id, "was": str(attempt.state), "outcome": told.outcome}
    return audit.entry(
        actor,
        "attempt-resolved",
        f"opportunities/{before.id}",
        application=str(before.application_id),
        why=told.reason,
        key=key,
        before=digest(before),
        after=digest(after),
        about=about | ({"partnerId": told.partner_id} if told.partner_id else {}),
    )


def _resolvable(opportunity: Opportunity, attempt: Attempt, told: Resolution) -> bool:
    """What nobody will settle by itself, or not soon. An id belongs to the creation that the partner may have; what may
    be sent again must have been planned once. The id that we have already may be confirmed: a decision that asks for
    review waits for that.
    """
    if told.outcome == "partner-id" and attempt != opportunity.create:
        return False  # what stands beside an older creation has an id of its own
    if told.outcome == "partner-id" and attempt.state == State.ACKED:
        return told.partner_id == opportunity.partner_id
    if attempt.operation == "gate" or attempt.state not in (State.PARKED, State.UNKNOWN, State.SUBMITTED_ID_UNKNOWN):
        return False
    if told.outcome == "not-sent":
        if attempt.operation == "update" and attempt != _newest_update(opportunity):
            return False  # a newer correction must not be overwritten by an older one
        return attempt.planned and attempt.state != State.SUBMITTED_ID_UNKNOWN
    return attempt.tries > 0


def _newest_update(opportunity: Opportunity) -> Attempt:
    return max((each for each in opportunity.attempts if each.operation == "update"), key=lambda it: it.generation)


def _again(document: Document, attempt: Attempt, key: Key) -> tuple[PartnerRequest, ...]:
    """The same bytes, marked where the partner can be told that it may have them already."""
    requests = stored_requests(document, attempt, key)
    partner = PARTNERS.get(attempt.channel or document["partner"])
    mark = partner.again if partner is not None and attempt.tries > 0 else None
    return tuple(mark(each) for each in requests) if mark else requests
