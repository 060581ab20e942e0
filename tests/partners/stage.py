"""One rehearsal with a fresh reference: what is sent, what it meant, what the ledger says."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.partners.rehearsals import Channel, Rehearsal, Sandbox, new_reference

from lendrail.contracts.terms import Report, Status
from lendrail.partners.exchange import Absent, Accepted, Found, NoAnswer, NotSent, Outcome, Reply, Request

DEADLINE = 10.0
Came = Outcome | NotSent | NoAnswer


class Stage:
    def __init__(self, rehearsal: Rehearsal, sandbox: Sandbox) -> None:
        self.rehearsal, self.sandbox = rehearsal, sandbox
        self.partner = rehearsal.partner
        self.renew()

    def renew(self) -> None:
        """Another application, under another reference."""
        self.reference = new_reference()
        self.data = self.rehearsal.application(self.rehearsal.amounts["approve"], self.reference)

    @property
    def filed(self) -> str:
        """What the partner's ledger calls it."""
        return self.rehearsal.ledger_reference(self.reference, self.data)

    def requests(self, outcome: str = "approve") -> tuple[Request, ...]:
        self.data = self.rehearsal.application(self.rehearsal.amounts[outcome], self.reference)
        return self.partner.create(self.rehearsal.order(self.reference, self.data))

    def dial(self, kind: str, operation: str = "create", **more: Any) -> None:
        name = self.rehearsal.operations[operation]
        self.sandbox.dial(self.partner.name, kind=kind, operation=name, reference=self.filed, **more)

    async def send(self, channel: Channel, request: Request, deadline: float = DEADLINE) -> Came:
        reply = await channel.send(request, deadline)
        return self.partner.outcome(request, reply) if isinstance(reply, Reply) else reply

    async def bring(self, channel: Channel, requests: tuple[Request, ...], deadline: float = DEADLINE) -> Came:
        """All calls of a creation, each filled with what the ones before it gave; the first that fails ends it."""
        given: dict[str, str] = {}
        came = Accepted()
        for request in requests:
            last = await self.send(channel, request.filled(given, self.reference), deadline)
            if not isinstance(last, Accepted):
                return last
            given |= last.given
            came = Accepted(last.partner_id or came.partner_id, last.report)
        return came

    async def once(self, requests: tuple[Request, ...], deadline: float = DEADLINE) -> Came:
        async with self.rehearsal.channel(self.sandbox.url) as channel:
            return await self.bring(channel, requests, deadline)

    async def report(self, channel: Channel, came: Came) -> Report:
        """The decision: with the answer, else as soon as the partner is asked and has one."""
        assert isinstance(came, Accepted)
        if came.report is not None and came.report.status not in (Status.SUBMITTED, Status.IN_REVIEW):
            return came.report
        assert self.partner.read
        assert self.partner.report
        assert came.partner_id
        for _ in range(100):
            request = self.partner.read(came.partner_id)
            reply = await channel.send(request, DEADLINE)
            assert isinstance(reply, Reply)
            assert isinstance(self.partner.outcome(request, reply), Accepted)
            told = self.partner.report(reply)
            if told.status not in (Status.SUBMITTED, Status.IN_REVIEW):
                return told
            await asyncio.sleep(0.02)
        return told

    async def search(self, channel: Channel) -> Found:
        assert self.partner.search
        assert self.partner.found
        request = self.partner.search(self.reference, self.rehearsal.options)
        reply = await channel.send(request, DEADLINE)
        return self.partner.found(request, reply) if isinstance(reply, Reply) else Absent()

    def counts(self) -> dict[str, int]:
        page = self.sandbox.ledger(self.partner.name, self.filed)
        return {name: len(page[name]) for name in ("leads", "attachments", "duplicates")}

    @property
    def leads(self) -> int:
        return self.counts()["leads"]
