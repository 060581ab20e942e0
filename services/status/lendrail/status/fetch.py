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
from lendrail.contracts.terms import NAMESPACE, Report, Status, utc_now
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, CredentialRefused, NoAnswer, NotSent, Reply, Request, RetryLater
from lendrail.partners.health import healthy
from lendrail.partners.partner import Partner
from lendrail.partners.refusals import retry_after
from lendrail.runtime.budget import Kind
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Document
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.runtime.vault import Key, Vault
from lendrail.status.channels import Lanes
from lendrail.status.fold import FINAL, fold
from lendrail.status.observation import Answered, Missing, Observation, Reported, State
from lendrail.status.settings import Settings
from lendrail.status.store import Heard, Opportunities, Subject, cause_of, read, subject_of
from lendrail.status.timing import Timing

log = structlog.get_logger()
LEASE_SECONDS = 120.0


class Fetch:
    """The work of one look."""

    def __init__(
        self,
        opportunities: Opportunities,
        timing: Timing,
        port: PartnerPort,
        vault: Vault,
        lanes: Lanes,
        settings: Settings,
    ) -> None:
        self._opportunities, self._timing, self._port, self._vault = opportunities, timing, port, vault
        self._lanes, self._settings = lanes, settings

    async def look(self, document: Document, lease: Lease, lane: int, kind: Kind) -> None:
        """Ask the partner once; store what it says, or when to ask again."""
        claimed = time.monotonic()
        try:
            key = await self._vault.get(document["application_id"])
        except Erased:
            await self._change(document, lease, {"status": Status.ERASED.value, "due": "$$REMOVE", "lease": "$$REMOVE"})
            return
        if self._port.credential(document["credential"]).mode != document["mode"]:
            await self._failed(document, lease, "mode-crossed", LEASE_SECONDS)
            return
        partner = PARTNERS[document["partner"]]
        try:
            request, reply, began = await self._ask(document, lease, lane, kind, partner, claimed)
        except Paused:
            await self._change(document, lease, self._timing.put_back(lease.token, "paused"))
            return
        except Open as breaker:
            await self._change(document, lease, self._timing.put_back(lease.token, "partner-away", breaker.until))
            return
        except TimeoutError:
            await self._failed(document, lease, "no-budget", 1.0)
            return
        await self._understand(document, lease, key, kind, partner, request, reply, began)

    async def _ask(
        self, document: Document, lease: Lease, lane: int, kind: Kind, partner: Partner, claimed: float
    ) -> tuple[Request, Reply | NotSent | NoAnswer, dt.datetime]:
        """The reply, and MongoDB's time when this look began: that of the claim plus what passed here since.

        The time is rather too early than too late: a hint that falls in between is then followed once more.
        """
        assert partner.read is not None
        request, deadline = partner.read(document["partner_id"]), partner.operations["read"].deadline
        credential, left = document["credential"], lease.seconds_left()
        async with self._lanes.turn(self._port, credential, kind, request.operation, lane, left) as channel:
            at_claim = document["lease"]["until"] - dt.timedelta(seconds=LEASE_SECONDS)
            began = at_claim + dt.timedelta(milliseconds=int((time.monotonic() - claimed) * 1000))
            reply = await channel.send(request, min(deadline, lease.seconds_left()), lambda: lease.held)
            await self._tell(credential, request, reply)
        return request, reply, began

    async def _tell(self, credential: str, request: Request, reply: Reply | NotSent | NoAnswer) -> None:
        """The breaker, whether the partner is there; a wait that it names in its trouble holds all our calls."""
        match healthy(request, reply):
            case True:
                await self._port.answered(credential, request.operation)
            case False:
                wait = retry_after(reply) if isinstance(reply, Reply) else None
                await self._port.failed(credential, request.operation, wait)

    async def _understand(
        self,
        document: Document,
        lease: Lease,
        key: Key,
        kind: Kind,
        partner: Partner,
        request: Request,
        reply: Reply | NotSent | NoAnswer,
        began: dt.datetime,
    ) -> None:
        assert partner.report is not None
        if not isinstance(reply, Reply):
            if reply.reason == "credential-refused":
                await self._refused(document)
            await self._failed(document, lease, reply.reason)
            return
        if reply.status == 404:
            await self._hear(document, lease, key, kind, Missing(), reply, began)
            return
        outcome = partner.outcome(request, reply)
        if isinstance(outcome, Accepted):
            await self._hear(document, lease, key, kind, Reported(report=partner.report(reply)), reply, began)
        elif isinstance(outcome, RetryLater):
            await self._port.pause(document["credential"], "retry-later", outcome.after)
            await self._failed(document, lease, "retry-later", outcome.after)
        else:
            if isinstance(outcome, CredentialRefused):
                await self._refused(document)
            await self._failed(document, lease, f"status-{reply.status}" if reply.status != 200 else "unreadable-reply")

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
        """Store it, unless it is word for word what the partner said last."""
        observations = read(document, key).observations
        told = said.report.partner_time if isinstance(said, Reported) else None
        if said == _last_word(observations):
            final = fold(observations).status in FINAL
            await self._change(document, lease, self._timing.after_look(document, lease.token, began, final, False))
            return
        observation = Observation(
            id=str(uuid.uuid5(NAMESPACE, f"fetch|{document['_id']}|{lease.token}")),
            source="fetch" if kind == "hint" else "poll",
            at=min(told, began) if told else began,
            received_at=utc_now(),
            partner_time=told,
            said=said,
        )
        heard = Heard(subject_of(document), observation, key, cause_of(document["cause"]), reply.content)

        def extra(_: Subject, now: Document | None, state: State, fresh: Sequence[Observation]) -> dict[str, Any]:
            return self._timing.after_look(now or document, lease.token, began, state.status in FINAL, bool(fresh))

        await self._opportunities.hear([heard], extra, {document["_id"]: document})

    async def _refused(self, document: Document) -> None:
        log.error("a partner refuses our credential; its reads rest", credential=document["credential"])
        await self._port.pause(document["credential"], "credential-refused", self._settings.pause_seconds)

    async def _failed(self, document: Document, lease: Lease, reason: str, seconds: float | None = None) -> None:
        log.warning("a look told nothing", opportunity=document["_id"], reason=reason)
        await self._change(document, lease, self._timing.after_failure(document, lease.token, reason, seconds))

    async def _change(self, document: Document, lease: Lease, fields: Document) -> None:
        where = {"_id": document["_id"], "lease.token": lease.token}
        await self._opportunities.change(where, [{"$set": fields}])


def _last_word(observations: Sequence[Observation]) -> Reported | Missing | None:
    """What the partner said last, in the order that counts."""
    for each in sorted(observations, key=lambda o: o.place, reverse=True):
        if isinstance(each.said, Reported | Missing):
            return each.said
        if isinstance(each.said, Answered) and isinstance(each.said.report, Report):
            return Reported(report=each.said.report)
    return None
