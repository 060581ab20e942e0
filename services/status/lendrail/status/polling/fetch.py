"""Looks at what partners say of our deals: at once when a partner called, seldom otherwise.

One look at a time for each opportunity (its lease), in the order of the server's clock; so of two replies the one whose
look began later is the newer truth. A reply that cannot be had or read changes nothing but the time of the next try.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog

from lendrail.contracts.sensitive import Erased
from lendrail.contracts.terms import NAMESPACE, Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, CredentialRefused, Reply, Request, RetryLater
from lendrail.partners.partner import Partner
from lendrail.runtime.budget import Kind
from lendrail.runtime.clock import utc_now
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import Answered, Missing, Observation, Reported, State
from lendrail.status.polling.asking import Asking, NotNow, kept
from lendrail.status.store import Heard, Opportunities, Subject, cause_of, read, subject_of
from lendrail.status.timing import Timing

log = structlog.get_logger()
LEASE_SECONDS = 10.0
"""Renewed while the look goes on; after the death of its process another one looks that much later."""
LONGEST_SECONDS = 120.0
"""A look that takes longer is given up: its turn and the partner's answer are waited for."""
CROSSED_SECONDS = 120.0


class Fetch:
    """The work of one look."""

    def __init__(self, opportunities: Opportunities, timing: Timing, asking: Asking, vault: Vault) -> None:
        self._opportunities, self._timing, self._asking, self._vault = opportunities, timing, asking, vault

    async def look(self, document: Document, lease: Lease, lane: int, kind: Kind) -> None:
        """Ask the partner once; store what it says, or when to ask again."""
        claimed = time.monotonic()
        try:
            key = await self._vault.get(document["application_id"])
        except Erased:
            await self._change(document, lease, {"status": Status.ERASED.value, "due": "$$REMOVE", "lease": "$$REMOVE"})
            return
        if self._asking.port.credential(document["credential"]).mode != document["mode"]:
            await self._failed(document, lease, "mode-crossed", CROSSED_SECONDS)
            return
        partner = PARTNERS[document["partner"]]
        assert partner.read is not None
        request = partner.read(document["partner_id"])
        try:
            asked = await self._asking.ask(partner, request, document, kind, lane, lease)
        except NotNow as reason:
            await self._change(document, lease, dict(reason.fields))
            return
        # MongoDB's time when this look began: rather too early than too late, a hint in between is followed once more
        at_claim = document["lease"]["until"] - dt.timedelta(seconds=LEASE_SECONDS)
        began = at_claim + dt.timedelta(milliseconds=int((asked.began - claimed) * 1000))
        if isinstance(asked.reply, Reply):
            await self._understand(document, lease, key, kind, partner, request, asked.reply, began)
        else:
            await self._failed(document, lease, asked.reply.reason)

    async def _understand(
        self,
        document: Document,
        lease: Lease,
        key: Key,
        kind: Kind,
        partner: Partner,
        request: Request,
        reply: Reply,
        began: dt.datetime,
    ) -> None:
        """What cannot be understood is kept, sealed, and asked again."""
        if reply.status == 404:
            await self._hear(document, lease, key, kind, Missing(about=document["partner_id"]), reply, began)
            return
        try:
            outcome = partner.outcome(request, reply)
            report = partner.report(reply) if isinstance(outcome, Accepted) and partner.report else None
        except Exception as error:  # a fault in a translation must not lose the partner's word
            log.error("a reply could not be translated", opportunity=document["_id"], exc_info=error)
            await self._failed(document, lease, "untranslatable-reply", reply=kept(reply, key))
            return
        if report is not None:
            said = Reported(report=report, about=document["partner_id"])
            await self._hear(document, lease, key, kind, said, reply, began)
        elif isinstance(outcome, RetryLater):
            await self._asking.port.pause(document["credential"], "retry-later", outcome.after)
            await self._failed(document, lease, "retry-later", outcome.after)
        elif isinstance(outcome, CredentialRefused):
            await self._asking.refused(document["credential"])
            await self._failed(document, lease, f"status-{reply.status}")
        else:
            reason = f"status-{reply.status}" if reply.status != 200 else "unreadable-reply"
            await self._failed(document, lease, reason, reply=kept(reply, key))

    async def _hear(
        self,
        document: Document,
        lease: Lease,
        key: Key,
        kind: Kind,
        said: Reported | Missing,
        reply: Reply,
        began: dt.datetime,
    ) -> None:
        """Store it, unless the partner repeats itself and nothing follows from that."""
        known = read(document, key)
        told = said.report.partner_time if isinstance(said, Reported) else None
        observation = Observation(
            id=str(uuid.uuid5(NAMESPACE, f"fetch|{document['_id']}|{lease.token}")),
            source="fetch" if kind == "hint" else "poll",
            at=min(told, began) if told else began,
            received_at=utc_now(),
            partner_time=told,
            looked_at=began,
            **asked_for(document, kind, began),
            said=said,
        )
        both = [*known.observations, observation]
        words = await self._opportunities.words(subject_of(document), both)
        before = fold(known.observations, words)
        repeated = _word(said) == _last_word(known.observations)
        if repeated and fold(both, words).looks_like(before):
            await self._change(document, lease, self._timing.after_look(document, lease.token, began, before, False))
            return
        heard = Heard(subject_of(document), observation, key, cause_of(document["cause"]), reply.content)

        def extra(_: Subject, now: Document | None, state: State, fresh: Sequence[Observation]) -> dict[str, Any]:
            return self._timing.after_look(now or document, lease.token, began, state, bool(fresh))

        await self._opportunities.hear([heard], extra, {document["_id"]: document})

    async def _failed(
        self, document: Document, lease: Lease, reason: str, seconds: float | None = None, reply: Document | None = None
    ) -> None:
        log.warning("a look told nothing", opportunity=document["_id"], reason=reason)
        fields = self._timing.after_failure(document, lease.token, reason, seconds, reply)
        await self._change(document, lease, fields)

    async def _change(self, document: Document, lease: Lease, fields: Document) -> None:
        where = {"_id": document["_id"], "lease.token": lease.token}
        await self._opportunities.change(where, [{"$set": fields}])


def asked_for(document: Document, kind: Kind, began: dt.datetime) -> dict[str, Any]:
    """The newest call that this look answers: when it came, and the partner's own id of it. One that came before the
    last look was answered by that; this one is for something of ours then.
    """
    if kind != "hint":
        return {}
    seen = document.get("fetch", {}).get("seen_at")
    calls = [each for each in document.get("hints", ()) if each["received_at"] <= began]
    newest = max(calls, key=lambda each: each["received_at"], default=None)
    if newest is None or (seen is not None and newest["received_at"] < seen):
        return {}
    return {"reached_at": newest["received_at"], "partner_event": newest.get("event")}


def _word(said: Reported | Missing) -> Report | str:
    return said.report if isinstance(said, Reported) else said.kind


def _last_word(observations: Sequence[Observation]) -> Report | str | None:
    """What the partner said last, in the order that counts."""
    for each in sorted(observations, key=lambda o: o.place, reverse=True):
        if isinstance(each.said, Reported | Missing):
            return _word(each.said)
        if isinstance(each.said, Answered) and isinstance(each.said.report, Report):
            return each.said.report
    return None
