"""What every request passes first: ids, a bound on what is under way, a bound on its body, an answer to what nobody
caught.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uuid_utils
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lendrail.runtime.admission import LARGE, Crowded, Full, Gate, Turnstile
from lendrail.runtime.problem import Problem, overloaded, too_large, too_many, too_slow
from lendrail.runtime.tokens import Unauthorised, Verifier

log = structlog.get_logger()
BODY_SECONDS = 30.0
SMALL = 16 * 1024
"""Who is refused with a body of at most this may be let stand for a moment: what has come of it is held meanwhile."""
HEALTH = frozenset({"/live", "/ready"})
"""Never refused: whoever is busy is not dead."""


class Refused(Exception):
    """Too much is under way."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def _id_from(headers: dict[bytes, bytes], name: bytes) -> str | None:
    text = headers.get(name, b"").decode("latin-1")
    return text if re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", text) else None


class OuterLayer:
    """Request ids in and out, a bound on what is under way, a body cap and a time that hold while reading, and a plain
    500 for what nobody caught.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, gate: Gate | None, body_seconds: float) -> None:
        self._app, self._limit, self._gate, self._body_seconds = app, max_body_bytes, gate, body_seconds
        self._turnstile = Turnstile()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        scope["lendrail.request_id"] = _id_from(headers, b"x-request-id") or str(uuid_utils.uuid7())
        scope["lendrail.correlation_id"] = _id_from(headers, b"x-correlation-id") or scope["lendrail.request_id"]
        await self._exchange(scope, receive, send, headers)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        started, status, limit = time.monotonic(), 0, self._limit_of(scope)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ids = ((b"x-request-id", "request_id"), (b"x-correlation-id", "correlation_id"))
                message["headers"] = [*message["headers"], *((n, scope[f"lendrail.{key}"].encode()) for n, key in ids)]
            await send(message)

        try:
            declared = headers.get(b"content-length", b"0")
            if not declared.isdigit() or int(declared) > limit:
                raise too_large(limit)
            try:
                async with self._let_in(scope, headers, int(declared), limit):
                    await self._app(scope, self._counted(receive, limit), answer)
                if status < 300 and (gate := scope["lendrail.gate"]) is not None:
                    gate.good()
            except Refused as refused:
                if int(declared) <= SMALL:
                    await self._turnstile.turn()
                raise refused.problem from None
        except Problem as problem:
            _tell(scope, problem)
            await problem.response(scope["lendrail.request_id"])(scope, receive, answer)
        except ClientDisconnect:
            log.debug("the caller went away before its body was whole")
        except Exception as error:
            log.error("a request failed", path=scope.get("route_path", "")[:80], exc_info=error)
            if status == 0:
                failure = Problem(500, "internal-error", "Our fault; the request id names it in our log.")
                await failure.response(scope["lendrail.request_id"])(scope, receive, answer)
        finally:
            took = round((time.monotonic() - started) * 1000, 1)
            log.debug("request", method=scope["method"], status=status, ms=took)

    @asynccontextmanager
    async def _let_in(
        self, scope: Scope, headers: dict[bytes, bytes], declared: int, limit: int
    ) -> AsyncIterator[None]:
        """Raises `Refused` before anything is read. A body that comes without its length counts for all that it may
        become.
        """
        gate, party = _gate_of(scope, self._gate)
        scope["lendrail.gate"] = gate
        if gate is None:
            yield
            return
        try:
            with gate.enter(limit if b"transfer-encoding" in headers else declared) as ticket:
                tenant = await _tenant(scope, headers) if party is None else ""
                try:
                    ticket.belongs_to(party or tenant)
                except Crowded:
                    raise Refused(too_many() if tenant else overloaded()) from None
                yield
        except Full:
            raise Refused(overloaded()) from None

    def _limit_of(self, scope: Scope) -> int:
        bodies = getattr(scope["app"].state, "bodies", ()) if "app" in scope else ()
        method, path = scope["method"], scope["path"]
        return next((limit for m, pattern, limit in bodies if m == method and pattern.fullmatch(path)), self._limit)

    def _counted(self, receive: Receive, limit: int) -> Receive:
        seen, whole, deadline = 0, limit > LARGE, asyncio.get_running_loop().time() + self._body_seconds

        async def counted() -> Message:
            nonlocal seen, whole
            try:
                async with asyncio.timeout_at(None if whole else deadline):
                    message = await receive()
            except TimeoutError:
                raise too_slow() from None
            whole = whole or not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large(limit)
            return message

        return counted


def _gate_of(scope: Scope, usual: Gate | None) -> tuple[Gate | None, str | None]:
    """Which gate counts the request, and for whom where the path says it."""
    path = scope["path"]
    for pattern, gate in getattr(scope["app"].state, "gates", ()) if "app" in scope else ():
        if found := pattern.fullmatch(path):
            return gate, found[1]
    return (None if path in HEALTH else usual), None


def _tell(scope: Scope, problem: Problem) -> None:
    """Whoever counts refusals hears of those that the routes never see."""
    for pattern, told in getattr(scope["app"].state, "refusals", ()) if "app" in scope else ():
        if pattern.fullmatch(scope["path"]):
            told(scope, problem)


async def _tenant(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """Whom a good token speaks for; empty for everybody else, our own services among them."""
    verifier: Verifier | None = getattr(scope["app"].state, "verifier", None) if "app" in scope else None
    token = headers.get(b"authorization")
    if verifier is None or token is None:
        return ""
    try:
        return (await verifier.caller(token.decode("latin-1"))).tenant_id
    except Unauthorised:
        return ""
