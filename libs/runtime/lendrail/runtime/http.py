"""HTTP as all services speak it: problem details (RFC 9457), request ids, size caps, bearer tokens."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from lendrail.contracts import strict_json
from lendrail.contracts.problems import message_of, pointer
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.admission import Gate
from lendrail.runtime.mongo import OUTAGES
from lendrail.runtime.outer import BODY_SECONDS, OuterLayer
from lendrail.runtime.problem import RETRY_AFTER_SECONDS as RETRY_AFTER_SECONDS
from lendrail.runtime.problem import Problem as Problem
from lendrail.runtime.problem import too_large as too_large
from lendrail.runtime.problem import unavailable as unavailable
from lendrail.runtime.tokens import Caller, Unauthorised, Verifier

log = structlog.get_logger()


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


def own_gate(app: FastAPI, path: str, gate: Gate) -> None:
    """Count requests to paths that match the regular expression `path` by a gate of their own; its first group is the
    party.
    """
    app.state.gates = [*getattr(app.state, "gates", ()), (re.compile(path), gate)]


def tell_refusals(app: FastAPI, path: str, told: Callable[[Scope, Problem], None]) -> None:
    """Call `told` for each request to paths that match the regular expression `path` that never reached its route."""
    app.state.refusals = [*getattr(app.state, "refusals", ()), (re.compile(path), told)]


def install(app: FastAPI, max_body_bytes: int, gate: Gate | None = None, *, body_seconds: float = BODY_SECONDS) -> None:
    """Give `app` our error answers and the outer layer; without a `gate` nothing is refused for being too much."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if error.slow and (gate := request.scope.get("lendrail.gate")) is not None:
            gate.slow()
        return error.response(request_id(request))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
        problem = Problem(error.status_code, code, "There is nothing here.", headers=dict(error.headers or {}))
        return problem.response(request_id(request))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [
            FieldProblem(pointer=pointer(each["loc"]), code="invalid", message=message_of(each)[:1000])
            for each in error.errors()
        ]
        detail = "A parameter is not valid; `errors` says what to change."
        return Problem(422, "invalid-request", detail, errors=faults).response(request_id(request))

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
    app.add_middleware(OuterLayer, max_body_bytes=max_body_bytes, gate=gate, body_seconds=body_seconds)
