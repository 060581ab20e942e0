"""The counter where every call to a simulated partner arrives: sign-in, pace, faults, the partner's own answer, the
durable record, the reply, in this order. Partner modules bring operations; nothing here knows their words.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lendrail.sandbox.dials import Dials
from lendrail.sandbox.ledger import Effect, Ledger, moment
from lendrail.sandbox.limiter import DOCUMENTED, Limiter
from lendrail.sandbox.replies import HangUp, Json, Silence, html_page, truncated
from lendrail.sandbox.settings import User

logger = logging.getLogger("lendrail.sandbox")
TROUBLE = {90: "silent", 91: "drop_reply"}
"""By the whole amount modulo 1 000, at every partner behind this counter. The application is taken; then nothing is
said, or the connection closes without a byte. Once only: a partner that knows a repeat answers it.
"""


@dataclass(slots=True)
class Answer:
    """What the partner says, and the effects that must be durable before it says so."""

    status: int
    content: Any = None
    """JSON, or bytes as they are; None is an empty body."""
    effects: list[Effect] = field(default_factory=list)
    reference: str | None = None
    lead_id: str | None = None
    afterwards: Callable[[], Awaitable[None]] | None = None
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    asked: int | None = None
    """Whole units asked for, where the answer says that an application was taken just now."""


@dataclass(slots=True)
class Call:
    """One request; `user` is set once it has signed in."""

    operation: str
    request: Request
    arrived: float
    wall: float
    body: bytes = b""
    signed_in: User | None = None
    too_soon: bool = False
    paced: bool = False
    dials: list[str] = field(default_factory=list)
    _parsed: Any = None

    @property
    def user(self) -> User:
        assert self.signed_in is not None, "operations run after sign-in"
        return self.signed_in

    @property
    def json(self) -> Any:
        """The body as JSON, parsed once. Raises ValueError (NaN and half documents included)."""
        if self._parsed is None:
            self._parsed = orjson.loads(self.body)
        return self._parsed


def plain_refusal(status: int, message: str) -> Answer:
    """How most partners refuse a call before they look into it."""
    return Answer(status, {"message": message})


@dataclass(frozen=True, slots=True)
class Operation:
    """`sign_in` names the user or refuses; `identify` finds the reference a dial may be meant for."""

    name: str
    handle: Callable[[Call], Awaitable[Answer]]
    sign_in: Callable[[Call], User | Answer]
    identify: Callable[[Call], str | None]
    body_limit: int = 1024 * 1024
    counts_for_pace: Callable[[User], bool] = lambda _user: True
    refusal: Callable[[int, str], Answer] = plain_refusal
    """(status, message) → this partner's form of a refusal."""


@dataclass(slots=True)
class Fault:
    """What the dials, or else the amount, want done to one call."""

    before_ms: int = 0
    after_ms: int = 0
    kind: str | None = None
    dial: Any = None

    @property
    def handles(self) -> bool:
        """Whether the partner does its work although the client will not hear of it properly."""
        return self.kind is None or self.kind == "drop_reply" or getattr(self.dial, "recorded", False)


class Desk:
    """Serves the operations of one partner."""

    def __init__(self, ledger: Ledger, dials: Dials, limiter: Limiter) -> None:
        self._ledger, self._dials, self._limiter = ledger, dials, limiter

    def endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """A Starlette endpoint."""

        async def serve(request: Request) -> Response:
            call = Call(operation.name, request, time.monotonic(), time.time())
            try:
                return await self._serve(operation, call)
            except ClientDisconnect:
                return HangUp()

        return serve

    async def _serve(self, operation: Operation, call: Call) -> Response:
        if (refusal := self._transport(operation, call)) is None:
            refusal = await _read(operation, call) or self._sign_in(operation, call)
        if refusal is not None:
            await self._record(call, refusal, "sent", refusal.status)
            return _sent(refusal)
        return await self._perform(operation, call)

    def _transport(self, operation: Operation, call: Call) -> Answer | None:
        plain = call.request.scope["scheme"] != "https"
        if plain and self._dials.take("require_tls", call.operation, None, call.dials):
            return operation.refusal(403, "HTTPS is required.")
        return None

    def _sign_in(self, operation: Operation, call: Call) -> Answer | None:
        user = operation.sign_in(call)
        if isinstance(user, Answer):
            return user
        call.signed_in = user
        return self._pace(operation, call) if operation.counts_for_pace(user) else None

    def _pace(self, operation: Operation, call: Call) -> Answer | None:
        dial = self._dials.take("rate", call.operation, None, call.dials)
        limit = call.user.rate_limit or (DOCUMENTED if dial else None)
        if limit is None:
            return None
        call.too_soon = self._limiter.too_soon(call.user.user, limit, call.arrived)
        if call.too_soon and (dial is None or dial.enforce):
            return operation.refusal(429, "Too Many Requests")
        call.paced = True
        self._limiter.accept(call.user.user, limit, call.arrived)
        return None

    async def _perform(self, operation: Operation, call: Call) -> Response:
        reference = operation.identify(call)
        fault = self._fault(call, reference)
        if fault.before_ms:
            await asyncio.sleep(fault.before_ms / 1000)
        answer = await operation.handle(call) if fault.handles else Answer(0, reference=reference)
        if fault.kind is None and answer.asked is not None:
            fault.kind = TROUBLE.get(answer.asked % 1000)
        reply, how = _reply(fault, answer)
        await self._record(call, answer, how, None if isinstance(reply, HangUp) else reply.status_code)
        if answer.afterwards is not None:
            await answer.afterwards()
        if fault.after_ms:
            await asyncio.sleep(fault.after_ms / 1000)
        return reply

    def _fault(self, call: Call, reference: str | None) -> Fault:
        fault = Fault()
        if dial := self._dials.take("delay", call.operation, reference, call.dials):
            fault.before_ms, fault.after_ms = (dial.ms, 0) if dial.when == "before" else (0, dial.ms)
        for kind in ("refuse", "status", "empty_422", "redirect", "html", "truncated", "drop_reply"):
            if dial := self._dials.take(kind, call.operation, reference, call.dials):
                fault.kind, fault.dial = kind, dial
                break
        return fault

    async def _record(self, call: Call, answer: Answer, how: str, answered: int | None) -> None:
        """`status` is what the partner decided (0: a dial kept it from deciding), `answered` what the client saw."""
        logger.debug("operation=%s status=%s reply=%s answered=%s", call.operation, answer.status, how, answered)
        await self._ledger.commit(
            {
                "type": "call",
                "at": moment(call.wall),
                "monotonic": call.arrived,
                "operation": call.operation,
                "user": call.signed_in.user if call.signed_in else None,
                "reference": answer.reference,
                "leadId": answer.lead_id,
                "status": answer.status,
                "reply": how,
                "answered": answered,
                "tooSoon": call.too_soon,
                "paced": call.paced,
                "dials": call.dials,
                "effects": answer.effects,
            }
        )


async def _read(operation: Operation, call: Call) -> Answer | None:
    """The body as it came; more than the limit is 413 without reading on."""
    chunks, size = [], 0
    async for chunk in call.request.stream():
        size += len(chunk)
        if size > operation.body_limit:
            return operation.refusal(413, "Request body is too large.")
        chunks.append(chunk)
    call.body = b"".join(chunks)
    return None


def _sent(answer: Answer) -> Response:
    if isinstance(answer.content, bytes):
        return Response(answer.content, answer.status, answer.headers, answer.media_type)
    return Json(answer.content, answer.status, answer.headers, answer.media_type)


def _reply(fault: Fault, answer: Answer) -> tuple[Response, str]:
    match fault.kind:
        case None:
            return _sent(answer), "sent"
        case "refuse" | "drop_reply":
            return HangUp(), "refused" if fault.kind == "refuse" else "dropped"
        case "silent":
            return Silence(), "silent"
        case "html":
            return html_page(), "html"
        case "truncated":
            return truncated(answer.status or 200, answer.content, answer.media_type), "truncated"
        case "empty_422":
            return Json(None, 422), "empty"
        case "redirect":
            return Json(None, 302, {"Location": fault.dial.location}), "redirect"
    headers = {} if fault.dial.retry_after is None else {"Retry-After": str(fault.dial.retry_after)}
    return Json({"message": "Something went wrong."}, fault.dial.status, headers), "status"
