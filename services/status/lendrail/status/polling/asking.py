"""One request to a partner, when it is its turn: the budget, the breaker and the pause of its credential."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from lendrail.partners.exchange import NoAnswer, NotSent, Reply, Request
from lendrail.partners.health import healthy
from lendrail.partners.partner import Operation, Partner
from lendrail.partners.refusals import retry_after
from lendrail.runtime.budget import Kind
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Document
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.runtime.vault import Key
from lendrail.status.polling.channels import Lanes
from lendrail.status.timing import Timing

log = structlog.get_logger()
LONGEST_KEPT = 256 * 1024
"""Bytes of a reply that nobody could read; the rest of a longer one is not kept."""


@dataclass(frozen=True, slots=True)
class Asked:
    reply: Reply | NotSent | NoAnswer
    began: float
    """On the monotonic clock: before the first byte went out."""


class NotNow(Exception):
    """Nothing was asked; `fields` put the work back."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__("not now")
        self.fields = fields


class Asking:
    """What looks at opportunities and at feeds have in common."""

    def __init__(self, port: PartnerPort, lanes: Lanes, timing: Timing, pause_seconds: float) -> None:
        self.port, self._lanes, self._timing, self._pause_seconds = port, lanes, timing, pause_seconds

    async def ask(
        self, partner: Partner, request: Request, document: Document, kind: Kind, lane: int, lease: Lease
    ) -> Asked:
        """Raises `NotNow`."""
        credential, left = document["credential"], lease.seconds_left()
        try:
            async with self._lanes.turn(self.port, credential, kind, request.operation, lane, left) as channel:
                began = time.monotonic()
                seconds = min(_operation(partner, request).deadline, lease.seconds_left())
                reply = await channel.send(request, seconds, lambda: lease.held)
                await self._tell(credential, request, reply)
        except Paused:
            raise NotNow(self._timing.put_back(lease.token, "paused")) from None
        except Open as breaker:
            raise NotNow(self._timing.put_back(lease.token, "partner-away", breaker.until)) from None
        except TimeoutError:
            raise NotNow(self._timing.after_failure(document, lease.token, "no-budget", 1.0)) from None
        if isinstance(reply, NotSent) and reply.reason == "credential-refused":
            await self.refused(credential)
        return Asked(reply, began)

    async def _tell(self, credential: str, request: Request, reply: Reply | NotSent | NoAnswer) -> None:
        """The breaker, whether the partner is there; a wait that it names in its trouble holds all our calls."""
        match healthy(request, reply):
            case True:
                await self.port.answered(credential, request.operation)
            case False:
                wait = retry_after(reply) if isinstance(reply, Reply) else None
                await self.port.failed(credential, request.operation, wait)

    async def refused(self, credential: str) -> None:
        log.error("a partner refuses our credential; its reads rest", credential=credential)
        await self.port.pause(credential, "credential-refused", self._pause_seconds)


def kept(reply: Reply, key: Key) -> Document:
    """A reply that nobody could read, for an operator who may: sealed, with its size."""
    raw = reply.content[:LONGEST_KEPT]
    return {"raw": key.seal_bytes(raw), "key": key.id, "bytes": len(reply.content)}


def _operation(partner: Partner, request: Request) -> Operation:
    return partner.operations[request.operation]
