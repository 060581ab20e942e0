"""Carrying notices out: leased work, lane by lane, repeated by schedule, then parked."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import structlog

from lendrail.contracts.sensitive import Erased, SealBroken
from lendrail.notifications.endpoints import Endpoint, Endpoints
from lendrail.notifications.lanes import Lanes
from lendrail.notifications.letter import compose
from lendrail.notifications.order import SENDING, WAITING, Notice, in_turn, next_in_turn, next_notice, wait_before
from lendrail.notifications.signing import signed_headers
from lendrail.notifications.store import ERASED, Deliveries
from lendrail.notifications.web import Caller
from lendrail.runtime.clock import utc_now
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mail_port import MailNotSent, MailPort, MailRefused, MailUnknown
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
GONE = "http-410"
LEASE_MARGIN = 10.0
"""Seconds by which a claim outlives the longest work under it: one write, and a machine that is busy."""


class Carrier(Protocol):
    """Tells one notice to one endpoint."""

    async def __call__(
        self, queue: Document, notice: Notice, lease: Lease, lane: int, to: Endpoint, body: str
    ) -> None: ...


class Queues:
    """What all channels share: who is told, what, and what becomes of the queue."""

    def __init__(
        self,
        store: Deliveries,
        endpoints: Endpoints,
        vault: Vault,
        schedule: Sequence[float],
        *,
        for_ever: bool = False,
    ) -> None:
        """`for_ever`: nothing is parked, the last wait of the schedule is repeated."""
        self.store, self.endpoints = store, endpoints
        self._vault, self._schedule, self._for_ever = vault, schedule, for_ever

    async def serve(self, queue: Document, lease: Lease, lane: int, carry: Carrier) -> None:
        """Let `carry` tell the next notice of a claimed queue, if there is one and somebody to hear it."""
        notice = (next_in_turn if in_turn(queue["channel"]) else next_notice)(queue["notices"])
        if notice is None:
            await self.store.settle_all(queue, lease)
            return
        endpoint = await self.endpoints.current(queue["tenant"], queue["endpoint"])
        if endpoint is None:
            await self.store.cancelled(queue, lease, "endpoint-gone")
            return
        try:
            body = await self._body(queue, notice)
        except Erased:
            await self.store.cancelled(queue, lease, ERASED)
            return
        except SealBroken:
            await self.store.parked(queue, lease, notice["id"], notice["tries"], "unreadable")
            return
        await carry(queue, notice, lease, lane, endpoint, body)

    async def _body(self, queue: Document, notice: Notice) -> str:
        """Raises `Erased`, also where the body is gone and only the key is remembered yet."""
        if "body" not in notice:
            raise Erased(queue["application"])
        return (await self._vault.get(queue["application"])).open(notice["body"])

    async def again(self, queue: Document, notice: Notice, lease: Lease, tries: int, outcome: str) -> None:
        """Repeat by schedule; when it is used up, park."""
        seconds = wait_before(self._schedule, tries, for_ever=self._for_ever)
        if seconds is None:
            log.warning("a notice is parked", notice=notice["id"], outcome=outcome, tries=tries)
            await self.store.parked(queue, lease, notice["id"], tries, outcome)
            return
        change = {"state": WAITING, "tries": tries, "outcome": outcome}
        await self.store.later(queue, lease, notice["id"], change, seconds)

    async def unknown(self, queue: Document, notice: Notice, lease: Lease, tries: int) -> None:
        """Nobody knows whether the mail left: it stays `sending`, which the next attempt reads as such."""
        change = {"state": SENDING, "tries": tries, "outcome": "unknown"}
        await self.store.later(queue, lease, notice["id"], change, self._schedule[0])


class Laned(ABC):
    """A channel whose recipients earn their lanes: one that hangs or fails holds up no other."""

    def __init__(self, queues: Queues, channel: str, *, lanes: int, seconds: float) -> None:
        """Carrying one notice ends after `seconds`."""
        self._queues, self._channel = queues, channel
        self._lanes = Lanes(lanes)
        self.worker = Worker(
            queues.store.collection,
            self._work,
            where=self._where,
            lanes=lanes,
            lease_seconds=seconds + LEASE_MARGIN,
        )

    async def _where(self) -> Document:
        return {"channel": self._channel, "endpoint": {"$nin": self._lanes.full()}}

    async def _work(self, queue: Document, lease: Lease, lane: int) -> None:
        if not self._lanes.enter(queue["endpoint"]):
            await self._queues.store.put_back(queue, lease)
            return
        try:
            await self._queues.serve(queue, lease, lane, self._carry)
        finally:
            self._lanes.leave(queue["endpoint"])

    @abstractmethod
    async def _carry(
        self, queue: Document, notice: Notice, lease: Lease, lane: int, to: Endpoint, body: str
    ) -> None: ...

    async def _record(self, queue: Document, notice: Notice, lease: Lease, outcome: str, *, good: bool) -> None:
        endpoint, tries = queue["endpoint"], notice["tries"] + 1
        self._lanes.outcome(endpoint, good)
        if good:
            await self._queues.store.delivered(queue, lease, notice["id"], tries, outcome)
            return
        await self._queues.again(queue, notice, lease, tries, outcome)
        if seconds := self._lanes.hold_seconds(endpoint):
            await self._queues.store.hold(endpoint, seconds)


class Webhooks(Laned):
    """Signed calls to the tenants' endpoints."""

    def __init__(self, queues: Queues, callers: Sequence[Caller], seconds: float) -> None:
        """One caller for each lane. A call ends after `seconds`."""
        super().__init__(queues, "webhook", lanes=len(callers), seconds=seconds)
        self._callers = callers

    async def _carry(self, queue: Document, notice: Notice, lease: Lease, lane: int, to: Endpoint, body: str) -> None:
        content = body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "Lendrail-Webhooks/1",
            **signed_headers(to.secret, notice["id"], int(utc_now().timestamp()), content),
        }
        if not lease.held:
            return
        outcome = await self._callers[lane].post(to.target, headers, content)
        if outcome == GONE:
            await self._gone(queue, lease)
        else:
            await self._record(queue, notice, lease, outcome, good=outcome.startswith("http-2"))

    async def _gone(self, queue: Document, lease: Lease) -> None:
        endpoint = queue["endpoint"]
        log.warning("an endpoint is gone", endpoint=endpoint)
        self._lanes.outcome(endpoint, False)
        await self._queues.endpoints.disable(endpoint)
        await self._queues.store.cancelled(queue, lease, GONE)

    async def aclose(self) -> None:
        await asyncio.gather(*(caller.aclose() for caller in self._callers))


class Letters:
    """Mails. A mail that may have left is sent at most once more, under the same Message-ID, and marked."""

    def __init__(self, queues: Queues, ports: Sequence[MailPort], sender: str, seconds: float) -> None:
        """One port for each lane. Addressing a mail and handing over its text end after `seconds` each."""
        self._queues, self._ports, self._sender = queues, ports, sender
        self.worker = Worker(
            queues.store.collection,
            self._work,
            where=self._where,
            lanes=len(ports),
            lease_seconds=2 * seconds + LEASE_MARGIN,
        )

    async def _where(self) -> Document:
        return {"channel": "email"}

    async def _work(self, queue: Document, lease: Lease, lane: int) -> None:
        await self._queues.serve(queue, lease, lane, self._carry)

    async def _carry(self, queue: Document, notice: Notice, lease: Lease, lane: int, to: Endpoint, body: str) -> None:
        store, notice_id = self._queues.store, notice["id"]
        may_have_left = notice["state"] == SENDING
        if may_have_left and notice.get("repeated"):
            log.warning("a mail is parked: its outcome was unknown twice", notice=notice_id)
            await store.parked(queue, lease, notice_id, notice["tries"], "unknown")
            return
        mail = compose(body, notice_id=notice_id, sender=self._sender, recipient=to.target, stated=notice["stated"])
        repeated = may_have_left or bool(notice.get("repeated"))
        if not lease.held or not await store.sending(queue, lease, notice_id, repeated=repeated):
            return
        tries = notice["tries"] + 1
        await self._record(queue, notice, lease, tries, self._ports[lane].send(mail, to.target))

    async def _record(self, queue: Document, notice: Notice, lease: Lease, tries: int, sent: Awaitable[Any]) -> None:
        try:
            await sent
        except MailRefused as reply:
            await self._queues.store.parked(queue, lease, notice["id"], tries, str(reply))
        except MailNotSent as reason:
            await self._queues.again(queue, notice, lease, tries, str(reason))
        except MailUnknown:
            await self._queues.unknown(queue, notice, lease, tries)
        else:
            await self._queues.store.delivered(queue, lease, notice["id"], tries, "accepted")

    async def aclose(self) -> None:
        await asyncio.gather(*(port.aclose() for port in self._ports))
