"""Carrying out: a claimed opportunity's calls, one after the other, while its lease holds.

The order of one call is the promise that no partner gets anything twice: the budget; then *under way* durable, only
while the lease is ours; then the lease once more, just before the first byte; then at most one total deadline; then
one write that holds the outcome, what is told of it and what it frees.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Sequence

import structlog

from lendrail.contracts.sensitive import Erased
from lendrail.partners.channels import rest
from lendrail.partners.exchange import Accepted, CredentialRefused, Rejected, Reply, Request, RetryLater
from lendrail.runtime.directory import Credential
from lendrail.runtime.due import Lease
from lendrail.runtime.faults import call_point
from lendrail.runtime.mongo import OUTAGES, AutoReconnect, Document, DuplicateKeyError
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.runtime.vault import Vault
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import APPLICANT, REPLACED, UNDER_WAY, Attempt, Opportunity
from lendrail.submission.attempts.classify import (
    ABSENCES,
    SEARCHED,
    Event,
    IdTaken,
    LookedUp,
    Lost,
    NotSent,
    classify,
    expired,
)
from lendrail.submission.attempts.moves import Move, Result
from lendrail.submission.attempts.turns import due_now
from lendrail.submission.planning.desk import crossing
from lendrail.submission.registries import gates
from lendrail.submission.sending.answers import each_event, event_of, looked_up, still_open, unread
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.documents import DocumentsAway
from lendrail.submission.sending.hearing import tell
from lendrail.submission.sending.job import Job
from lendrail.submission.sending.requests import Requests, Unsendable
from lendrail.submission.sending.settling import Settler, is_held
from lendrail.submission.sending.writing import Writer
from lendrail.submission.settings import Settings
from lendrail.submission.store import Store, read, server_time

log = structlog.get_logger()
ASKED_FOR = frozenset({APPLICANT, REPLACED})
"""Withdrawals that no lender's end is the reason of."""
STALE_START_SECONDS = 0.03
"""A start that was granted longer ago is given up for another one: partners count from the first byte they see."""


class Submitter:
    """The work of all lanes."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        port: PartnerPort,
        vault: Vault,
        channels: Channels,
        requests: Requests,
        settler: Settler,
        writer: Writer,
    ) -> None:
        self._settings, self._store, self._port, self._vault = settings, store, port, vault
        self._channels, self._requests, self._settler, self._writer = channels, requests, settler, writer

    async def carry_out(self, document: Document, lease: Lease, lane: int) -> None:
        """Everything of this opportunity that is due."""
        opportunity, now = read(document), server_time(document, lease, self._settings.lease_seconds)
        try:
            key = await self._vault.get(str(opportunity.application_id))
        except Erased:
            await self._store.save(moves.erase(opportunity), releases=lease, due=now)
            return
        job = Job(lane, lease, document, opportunity, key, document["through"], now, time.monotonic())
        if any(each.state in UNDER_WAY for each in opportunity.attempts):
            await self._writer.write(
                job, lambda it: moves.recover(it, lambda each: self._decided(job, each, Lost()), job.now)
            )
        await self._gate_late(job)
        while not job.released and (batch := self._next(job)):
            if not await self._call(job, batch):
                break
        if not job.released:
            await self._store.save(job.opportunity, releases=lease, due=job.now)

    def _next(self, job: Job) -> Sequence[Attempt]:
        return due_now(job.opportunity, job.now, job.delivery.at_once, job.through)

    async def _gate_late(self, job: Job) -> None:
        if gates.late(job.opportunity, self._settings.gate_seconds, job.now) is None:
            return
        if await self._writer.write(job, lambda it: gates.late(it, self._settings.gate_seconds, job.now)):
            log.critical("a registry is silent", opportunity=job.opportunity.id)

    async def _call(self, job: Job, batch: Sequence[Attempt]) -> bool:
        """One call with all that belongs to it; whether to go on with this opportunity."""
        if is_held(batch[0]):
            return await self._settler.settle(job)
        first, looks, job.reply = batch[0], self._looks_first(job, batch[0]), None
        if first.unknowns and not looks and expired(job.operation(first), job.age(first)):
            return await self._writer.park(job, batch, "key-expired")
        ends = first.operation == "withdraw" and first.subject not in ASKED_FOR
        if ends and await self._store.lenders_open(job.opportunity.id):
            dropped = moves.unless_moved(batch, lambda it: (moves.cancel(it, batch, "still-open"), ()))
            return await self._writer.write(job, dropped)
        if (request := await self._request(job, batch, looks)) is None:
            return True
        if (credential := await self._credential(job, batch)) is None:
            return True
        try:
            async with self._port.call(credential.id, "submission", request.operation) as credential:
                carry = self._look_up if looks else self._send
                event = await carry(job, batch, request, credential)
        except Paused:
            return False
        except Open as breaker:
            return await self._writer.put_off(job, batch, "partner-away", (breaker.until - job.now).total_seconds())
        return event is not None and await self._finish(job, batch, event)

    def _looks_first(self, job: Job, attempt: Attempt) -> bool:
        """Whether the partner is asked for our reference before anything may be sent again."""
        searched = job.operation(attempt).capability in SEARCHED and job.partner_of(attempt).search is not None
        return searched and attempt.unknowns > 0 and attempt.absences < ABSENCES

    async def _credential(self, job: Job, batch: Sequence[Attempt]) -> Credential | None:
        """The credential to call with; None where attempts were put off or parked instead."""
        wanted = batch[0].via or job.opportunity.credential
        try:
            credential = self._port.credential(wanted)
        except KeyError:
            log.error("a credential is not in the mounted file", credential=wanted)
            await self._writer.put_off(job, batch, "credential-missing")
            return None
        if crossing(credential, job.opportunity.mode):
            await self._writer.park(job, batch, "mode-crossing")
            return None
        return credential

    async def _request(self, job: Job, batch: Sequence[Attempt], looks: bool) -> Request | None:
        """The bytes to send; None where attempts were put off or parked instead."""
        try:
            return self._requests.search(job, batch[0]) if looks else await self._requests.make(job, batch)
        except Unsendable as fault:
            log.error("a request cannot be made", attempt=fault.attempt.id, reason=fault.reason)
            await self._writer.park(job, [fault.attempt], fault.reason)
        except DocumentsAway as away:
            log.warning("the documents service is away", reason=str(away))
            await self._writer.put_off(job, batch, "documents-away")
        return None

    async def _look_up(
        self, job: Job, batch: Sequence[Attempt], request: Request, credential: Credential
    ) -> Event | None:
        """Ask the partner for our reference; it changes nothing there, so there is nothing to note before."""
        deadline = self._settings.deadline(job.partner_of(batch[0]).operations[request.operation])
        if job.lease.seconds_left() < deadline + min(rest.CONNECT_SECONDS, deadline):
            return None
        answer = await self._channels.open(job.lane, credential).send(request, deadline, lambda: job.lease.held)
        await tell(self._port, credential.id, request, answer)
        job.reply = answer if isinstance(answer, Reply) else None
        return looked_up(job.partner_of(batch[0]), request, answer)

    async def _send(self, job: Job, batch: Sequence[Attempt], request: Request, credential: Credential) -> Event | None:
        """What came of sending it; None when it did not come to that and nothing changed."""
        deadline = self._settings.deadline(job.operation(batch[0]))
        if job.lease.seconds_left() < deadline + min(rest.CONNECT_SECONDS, deadline):
            return None
        granted, digest = time.monotonic(), hashlib.sha256(request.dump()).hexdigest()
        current = tuple(job.opportunity.attempt(each.id) for each in batch)

        def begin(it: Opportunity) -> Move:
            return moves.begin(it, current, digest, job.now), ()

        if not await self._writer.write(job, moves.unless_moved(current, begin), begins=True):
            return None
        try:
            channel = self._channels.open(job.lane, credential)
            if credential.rate is not None and time.monotonic() - granted > STALE_START_SECONDS:
                async with self._port.call(credential.id, "submission", request.operation):
                    pass
            await call_point("partner.sending", AutoReconnect)
            answer = await channel.send(request, deadline, lambda: job.lease.seconds_left() >= deadline)
        except (Paused, Open):
            return NotSent("paused", counts=False)
        except (ValueError, *OUTAGES) as error:  # a credential that no channel fits; our store, before the first byte
            log.error("a call could not begin", credential=credential.id, error=type(error).__name__)
            return NotSent("not-begun")
        await tell(self._port, credential.id, request, answer)
        job.reply = answer if isinstance(answer, Reply) else None
        return event_of(job.partner_of(batch[0]), request, answer)

    async def _finish(self, job: Job, batch: Sequence[Attempt], event: Event) -> bool:
        """Store what came of it, for as long as it takes: it is known here only."""
        ids = [each.id for each in batch]
        sent = {each: job.opportunity.attempt(each).tries for each in ids}
        events = dict(zip(ids, each_event(event, len(ids)), strict=True))
        if isinstance(event, CredentialRefused | RetryLater):
            await self._pause(batch[0].via or job.opportunity.credential, event)

        def finish(opportunity: Opportunity) -> Move | None:
            ours = [each for each in ids if opportunity.attempt(each).tries == sent[each]]
            attempts = [opportunity.attempt(each) for each in ours]
            decided = [
                self._decided(job, each, events[each.id]) for each in attempts if still_open(each, events[each.id])
            ]
            return moves.finish(opportunity, decided, job.now) if decided else None

        while True:
            kept = unread(events[ids[0]], job.reply)
            try:
                return await self._writer.write(job, finish, replies=dict.fromkeys(ids, kept) if kept else None)
            except DuplicateKeyError:
                log.critical("a partner gave one id to two opportunities", opportunity=job.opportunity.id)
                events = dict.fromkeys(ids, IdTaken())
            except OUTAGES as error:
                log.warning("an outcome waits for its store", error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _pause(self, credential: str, event: CredentialRefused | RetryLater) -> None:
        """Hold the credential: what was refused to one call is refused to the next."""
        refused = isinstance(event, CredentialRefused)
        seconds = self._settings.credential_pause_seconds if isinstance(event, CredentialRefused) else event.after
        reason = "credential-refused" if refused else "retry-later"
        log.log(50 if refused else 30, "a credential is paused", credential=credential, reason=reason)
        try:
            await self._port.pause(credential, reason, math.ceil(seconds))
        except OUTAGES as error:
            log.warning("a pause could not be stored", error=type(error).__name__)

    def _decided(self, job: Job, attempt: Attempt, event: Event) -> Result:
        operation, partner = job.operation(attempt), job.partner_of(attempt)
        most, search = len(self._settings.retry_seconds), partner.search is not None
        verdict = classify(operation, attempt, event, most, job.age(attempt), search)
        if verdict.alarm:
            log.critical("a person must look", attempt=attempt.id, reason=verdict.reason)
        rejected = event if isinstance(event, Rejected) else None
        accepted = event if isinstance(event, Accepted) else None
        kept = unread(event, job.reply)
        return Result(
            attempt.id,
            verdict,
            self._settings.delay(verdict, operation, attempt),
            partner_id=event.partner_id if isinstance(event, Accepted | LookedUp) else None,
            problems=rejected.problems if rejected else (),
            words=rejected.words.seal(job.key) if rejected and rejected.words else None,
            report=accepted.report if accepted else None,
            given=accepted.given if accepted else {},
            unread={"at": job.now, "status": kept.status, "bytes": len(kept.content)} if kept else None,
        )
