"""What an operator sets: a correction, a pin, and taking a pin off. Each is an observation like any other, so the fold
stays what it is; who, what and why rest in the audit, in the same write.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from lendrail.contracts.sensitive import Erased, SensitiveText
from lendrail.contracts.terms import NAMESPACE, Model, Status, Time
from lendrail.runtime import audit
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once, answered_before, checked, fingerprint, idempotency_key
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Document
from lendrail.runtime.parameters import ONLY_KNOWN
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.observation import Corrected, Observation, Pinned, State, Unpinned
from lendrail.status.folding.words import MEANINGS
from lendrail.status.store import Heard, Opportunities, Subject, cause_of, read, subject_of
from lendrail.status.timing import Timing

SETTABLE = MEANINGS | {Status.FAILED}
"""What a person may set: what a partner can say, and that it came to nothing."""
_OPERATE = Depends(authorised("operator"))


class Correction(Model):
    """What holds, whatever was said before; the partner's next word counts more."""

    status: Status
    reason: SensitiveText


class Pinning(Model):
    """What is held: `status`, which is also a correction, or what is shown now. `until` and `untilPartnerSays` end it
    by themselves, whichever comes first.
    """

    reason: SensitiveText
    status: Status | None = None
    until: Time | None = None
    until_partner_says: Annotated[tuple[Status, ...], Field(max_length=20)] = ()


class Unpinning(Model):
    reason: SensitiveText


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does: its word in the audit, what is heard of it, and what the audit says beside."""

    what: str
    why: SensitiveText
    said: tuple[Corrected | Pinned | Unpinned, ...]
    about: Mapping[str, str]


Told = Callable[[State, str], Act]
"""(the state as it is, who) → what is done. Raises `Problem`."""


class Correcting:
    """Carries out what operators do to opportunities of their tenant, in the mode of their token."""

    def __init__(self, opportunities: Opportunities, timing: Timing, vault: Vault) -> None:
        self._opportunities, self._timing, self._vault = opportunities, timing, vault

    async def act(self, actor: Actor, opportunity: str, once: Once, told: Told) -> tuple[Document, bool]:
        """The answer, and whether it was given before. Raises `Problem`, `Erased`."""
        collection = self._opportunities.collection
        if (before := await answered_before(collection, once)) is not None:
            return before, True
        document = await self._document(actor, opportunity)
        key = await self._key(document["application_id"])
        state = read(document, key).state
        assert state is not None
        try:
            act = told(state, actor.who)
        except Problem:
            if (before := await answered_before(collection, once)) is not None:  # the same request was quicker
                return before, True
            raise
        heard = [_heard(document, key, said, once) for said in act.said]

        def extra(
            subject: Subject, now: Document | None, after: State, fresh: Sequence[Observation]
        ) -> Mapping[str, Any]:
            further = self._timing.after_event(subject, now, after, fresh)
            return {**further, **_audited(actor, act, now or document, after, key, once)} if fresh else further

        await self._opportunities.hear(heard, extra)
        answer = await answered_before(collection, once)  # of whoever was first with this key
        if answer is None:
            raise Erased(document["application_id"])
        return answer, False

    async def _document(self, actor: Actor, opportunity: str) -> Document:
        mine = {"_id": opportunity, "opportunity_id": opportunity, "tenant": actor.tenant, "mode": actor.mode}
        document: Document | None = await self._opportunities.collection.find_one(mine, {"outbox": 0})
        if document is None:
            raise Problem(404, "not-found", "You have no such opportunity.")
        if document["status"] == Status.ERASED.value:
            raise Erased(document["application_id"])
        return document

    async def _key(self, application: str) -> Key:
        """Raises `Erased`, also while this process still remembers the key."""
        if await self._vault.erased([application]):
            raise Erased(application)
        return await self._vault.get(application)


def correction(told: Correction) -> Told:
    def act(state: State, who: str) -> Act:
        _settable(told.status)
        if state.pin is not None:
            detail = "A pin holds its status. Pin it with the status that is right, or unpin it."
            raise Problem(409, "pinned", detail)
        if told.status == state.status:
            detail = f"It is {state.status} already. Pin it if it is to stay so whatever the partner says."
            raise Problem(409, "nothing-to-correct", detail)
        said = Corrected(status=told.status, by=who, why=told.reason)
        return Act("status-corrected", told.reason, (said,), {"was": state.status, "status": told.status})

    return act


def pinning(told: Pinning) -> Told:
    def act(state: State, who: str) -> Act:
        status = told.status or state.status
        _settable(status)
        if told.until is not None and told.until <= utc_now():
            raise Problem(422, "invalid-request", "until must be a time to come.")
        if not MEANINGS.issuperset(told.until_partner_says):
            detail = f"A pin can end with what a partner says, which is one of: {', '.join(sorted(MEANINGS))}."
            raise Problem(422, "status-never-said", detail)
        ends = {"until": told.until, "until_partner_says": told.until_partner_says}
        pin = Pinned(status=status, by=who, why=told.reason, **ends)
        corrected = Corrected(status=status, by=who, why=told.reason)
        about = {"was": str(state.status), "status": str(status)}
        about |= {"until": told.until.isoformat()} if told.until else {}
        about |= {"untilPartnerSays": " ".join(told.until_partner_says)} if told.until_partner_says else {}
        return Act("status-pinned", told.reason, (corrected, pin) if told.status else (pin,), about)

    return act


def unpinning(told: Unpinning) -> Told:
    def act(state: State, who: str) -> Act:
        if state.pin is None:
            raise Problem(409, "not-pinned", "There is no pin to take off.")
        said = Unpinned(by=who, why=told.reason)
        return Act("status-unpinned", told.reason, (said,), {"was": str(state.status)})

    return act


def routes(correcting: Correcting) -> APIRouter:
    router = APIRouter(prefix="/v1/opportunities", tags=["opportunities"], dependencies=[ONLY_KNOWN])

    async def carry_out(
        request: Request, caller: Caller, opportunity: str, what: str, told: Told, body: Any
    ) -> Response:
        name = f"{caller.tenant_id}|{caller.mode}|{what}|{opportunity}|{idempotency_key(request)}"
        actor = audit.by(caller, request_id(request))
        answer, again = await correcting.act(
            actor, opportunity, Once(name, fingerprint([what, opportunity, body])), told
        )
        more = {"Idempotency-Replayed": "true"} if again else {}
        return reply(answer, headers={"Cache-Control": "no-store"} | more)

    @router.post("/{opportunity}/correct")
    async def correct(opportunity: str, request: Request, caller: Caller = _OPERATE) -> Response:
        """Say what holds, where what is shown is wrong. The partner's next word counts more than it."""
        told = checked(Correction, body := await strict_body(request))
        return await carry_out(request, caller, opportunity, "correct", correction(told), body)

    @router.post("/{opportunity}/pin")
    async def pin(opportunity: str, request: Request, caller: Caller = _OPERATE) -> Response:
        """Hold a status whatever the partner says; what it says is stored, and shown beside it."""
        told = checked(Pinning, body := await strict_body(request))
        return await carry_out(request, caller, opportunity, "pin", pinning(told), body)

    @router.post("/{opportunity}/unpin")
    async def unpin(opportunity: str, request: Request, caller: Caller = _OPERATE) -> Response:
        """Take the pin off: what was said meanwhile counts."""
        told = checked(Unpinning, body := await strict_body(request))
        return await carry_out(request, caller, opportunity, "unpin", unpinning(told), body)

    return router


def _settable(status: Status) -> None:
    if status not in SETTABLE:
        listed = ", ".join(sorted(SETTABLE))
        raise Problem(422, "status-not-settable", f"{status} is ours to state. A person can set: {listed}.")


def _heard(document: Document, key: Key, said: Corrected | Pinned | Unpinned, once: Once) -> Heard:
    """The same for the same request, however often it is repeated."""
    name, now = str(uuid.uuid5(NAMESPACE, f"person|{once.name}|{said.kind}")), utc_now()
    observation = Observation(id=name, source="person", at=now, received_at=now, said=said)
    return Heard(subject_of(document), observation, key, replace(cause_of(document["cause"]), id=name))


def _audited(actor: Actor, act: Act, before: Document, after: State, key: Key, once: Once) -> Document:
    """Of states what rests sealed, so that nothing can be guessed back from the hashes."""
    resting = after.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": key})
    entry = audit.entry(
        actor,
        act.what,
        f"opportunities/{before['_id']}",
        application=before["application_id"],
        why=act.why,
        key=key,
        before=audit.sha256(before["state"]),
        after=audit.sha256(resting),
        about={name: str(value) for name, value in act.about.items()},
    )
    answer = {"id": before["_id"], "status": after.status.value, "flags": list(after.flags)}
    answer |= {"partnerStatus": after.partner_status.value} if after.partner_status else {}
    answer |= {"pin": after.pin.model_dump(mode="json", by_alias=True, exclude_none=True)} if after.pin else {}
    return audit.staged(entry | once.beside(answer))
