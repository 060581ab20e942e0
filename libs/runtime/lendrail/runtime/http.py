"""HTTP as all services speak it: problem details (RFC 9457), request ids, size caps, bearer tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
import structlog
import uuid_utils
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lendrail.contracts import strict_json
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.mongo import OUTAGES
from lendrail.runtime.tokens import Caller, Unauthorised, Verifier

log = structlog.get_logger()
RETRY_AFTER_SECONDS = 2
PROBLEM_TYPE = "https://lendrail.example/problems/"


class Problem(Exception):
    """An answer other than 2xx. `detail` says what to change and never quotes the input."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers = tuple(errors), headers or {}

    def response(self, request_id: str) -> Response:
        body: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "requestId": request_id,
        }
        if self.errors:
            body["errors"] = [error.model_dump(mode="json", by_alias=True, exclude_none=True) for error in self.errors]
        return Response(orjson.dumps(body), self.status, self.headers, "application/problem+json")


def unavailable() -> Problem:
    """Our store is away; nothing was half done, so the caller may simply repeat."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem(503, "unavailable", "Temporarily unavailable; repeat the same request later.", headers=headers)


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON made by orjson."""
    return Response(orjson.dumps(value), status, headers, "application/json")


def request_id(request: Request) -> str:
    return str(request.scope["lendrail.request_id"])


def correlation_id(request: Request) -> str:
    return str(request.scope["lendrail.correlation_id"])


async def strict_body(request: Request) -> Any:
    """The JSON body, read strictly. Raises `Problem` 415 or 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "unsupported-media-type", "Send the body as application/json.")
    try:
        return strict_json.loads(await request.body())
    except strict_json.BadJson as fault:
        raise Problem(400, "malformed-json", f"The body cannot be read: {fault}.") from None


def authorised(*scopes: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that gives the caller, who must hold all `scopes`. Raises `Problem` 401 or 403."""

    async def dependency(request: Request) -> Caller:
        verifier: Verifier = request.app.state.verifier
        try:
            caller = await verifier.caller(request.headers.get("authorization"))
        except Unauthorised as reason:
            log.info("refused a token", reason=str(reason))
            headers = {"WWW-Authenticate": 'Bearer realm="lendrail"'}
            raise Problem(401, "unauthorised", "Send a valid bearer token.", headers=headers) from None
        if not caller.scopes.issuperset(scopes):
            raise Problem(403, "forbidden", f"The token lacks a scope: {' '.join(scopes)}.")
        return caller

    return dependency


def allow_body(app: FastAPI, method: str, path: str, limit: int) -> None:
    """Let requests of `method` to paths that match the regular expression `path` bring at most `limit` bytes."""
    app.state.bodies = [*getattr(app.state, "bodies", ()), (method, re.compile(path), limit)]


def install(app: FastAPI, max_body_bytes: int) -> None:
    """Give `app` our error answers and the outer layer."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response(request_id(request))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
        problem = Problem(error.status_code, code, "There is nothing here.", headers=dict(error.headers or {}))
        return problem.response(request_id(request))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [
            FieldProblem(pointer="/" + "/".join(map(str, f["loc"])), code="invalid", message=f["type"])
            for f in error.errors()
        ]
        return Problem(422, "invalid-request", "A parameter is not valid.", errors=faults).response(request_id(request))

    async def on_outage(request: Request, error: Exception) -> Response:
        log.warning("a store is away", error=type(error).__name__)
        return unavailable().response(request_id(request))

    async def on_erased(request: Request, error: Exception) -> Response:
        return Problem(410, "erased", "The person was erased; nothing more can be done.").response(request_id(request))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(Erased, on_erased)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    for outage in OUTAGES:
        app.add_exception_handler(outage, on_outage)
    app.add_middleware(OuterLayer, max_body_bytes=max_body_bytes)


def _id_from(headers: dict[bytes, bytes], name: bytes) -> str | None:
    text = headers.get(name, b"").decode("latin-1")
    return text if re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", text) else None


class OuterLayer:
    """Request ids in and out, a body cap that holds while reading, and a plain 500 for what nobody caught."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app, self._limit = app, max_body_bytes

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
            await self._app(scope, self._counted(receive, limit), answer)
        except Problem as problem:
            await problem.response(scope["lendrail.request_id"])(scope, receive, answer)
        except Exception as error:
            log.error("a request failed", path=scope.get("route_path", "")[:80], exc_info=error)
            if status == 0:
                failure = Problem(500, "internal-error", "Our fault; the request id names it in our log.")
                await failure.response(scope["lendrail.request_id"])(scope, receive, answer)
        finally:
            took = round((time.monotonic() - started) * 1000, 1)
            log.debug("request", method=scope["method"], status=status, ms=took)

    def _limit_of(self, scope: Scope) -> int:
        bodies = getattr(scope["app"].state, "bodies", ()) if "app" in scope else ()
        method, path = scope["method"], scope["path"]
        return next((limit for m, pattern, limit in bodies if m == method and pattern.fullmatch(path)), self._limit)

    def _counted(self, receive: Receive, limit: int) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise too_large(limit)
            return message

        return counted


def too_large(limit: int) -> Problem:
    """The connection stays open and the server discards the rest unread into memory: closing it at once resets it, and
    many clients then never see the answer.
    """
    return Problem(413, "too-large", f"The body may have at most {limit} bytes.")
