"""The HTTP side: registering endpoints, and the delivery log."""

import re
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lendrail.contracts.problems import problems_of
from lendrail.contracts.sensitive import Email
from lendrail.contracts.terms import FieldProblem
from lendrail.notifications.addresses import Forbidden, Resolver, Unresolvable
from lendrail.notifications.endpoints import Audience, Endpoint, Endpoints
from lendrail.notifications.signing import new_secret
from lendrail.notifications.store import Deliveries
from lendrail.notifications.web import BadUrl, read_url
from lendrail.runtime import audit
from lendrail.runtime.audit import Actor
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller

PageSize = Annotated[int, Query(alias="pageSize", ge=1, le=200)]
PageToken = Annotated[str | None, Query(alias="pageToken", max_length=300)]


class NewEndpoint(BaseModel):
    """Where to tell: a webhook address or a mail address."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str | None = None
    email: Email | None = None
    description: Annotated[str, Field(max_length=200)] | None = None


class Api:
    """The routes, over what `app.py` built."""

    def __init__(
        self, endpoints: Endpoints, deliveries: Deliveries, resolver: Resolver, *, development: bool, limit: int
    ) -> None:
        self._endpoints, self._deliveries, self._resolver = endpoints, deliveries, resolver
        self._development, self._limit = development, limit

    def router(self) -> APIRouter:
        router, write, read = APIRouter(prefix="/v1"), authorised("endpoints:write"), authorised("applications:read")

        @router.post("/endpoints", status_code=201)
        async def register(request: Request, caller: Annotated[Caller, Depends(write)]) -> Response:
            actor = audit.by(caller, request_id(request))
            return await self.register(caller, _idempotency_key(request), await strict_body(request), actor)

        @router.get("/endpoints")
        async def endpoints(
            caller: Annotated[Caller, Depends(write)], size: PageSize = 50, token: PageToken = None
        ) -> Response:
            return await self.list(caller, size, token)

        @router.delete("/endpoints/{endpoint_id}", status_code=204)
        async def delete(
            request: Request, endpoint_id: uuid.UUID, caller: Annotated[Caller, Depends(write)]
        ) -> Response:
            actor = audit.by(caller, request_id(request))
            if not await self._endpoints.delete(_audience(caller), str(endpoint_id), actor):
                raise Problem(404, "not-found", "There is no such endpoint.")
            return Response(status_code=204)

        @router.get("/deliveries")
        async def deliveries(
            application: uuid.UUID,
            caller: Annotated[Caller, Depends(read)],
            size: PageSize = 50,
            token: PageToken = None,
        ) -> Response:
            return await self.log(caller, application, size, token)

        return router

    async def register(self, caller: Caller, idempotency_key: str, body: Any, actor: Actor) -> Response:
        """201 with what is stored under the key. The same key with another body is 422."""
        audience, wish = _audience(caller), self._wish(caller, body)
        stored = await self._endpoints.registered(audience, idempotency_key)
        replayed = {"Idempotency-Replayed": "true"} if stored is not None else None
        if stored is None:
            await self._reachable(wish)
            if await self._endpoints.count(audience) >= self._limit:
                raise Problem(409, "too-many-endpoints", f"A tenant may have at most {self._limit} endpoints.")
            stored = await self._endpoints.register(audience, idempotency_key, wish, actor)
        if not stored.target:
            detail = "This Idempotency-Key belongs to an endpoint that was deleted; use a new key."
            raise Problem(422, "idempotency-key-reused", detail)
        if (stored.channel, stored.target, stored.description) != (wish.channel, wish.target, wish.description):
            raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used with another body.")
        return reply(_shown(stored) | ({"secret": stored.secret} if stored.secret else {}), 201, replayed)

    async def list(self, caller: Caller, size: int, token: str | None) -> Response:
        found = await self._endpoints.page(_audience(caller), size + 1, _endpoint_token(token))
        page = found[:size]
        following = {"nextPageToken": page[-1].id} if len(found) > size else {}
        return reply({"items": [_shown(endpoint) for endpoint in page]} | following)

    async def log(self, caller: Caller, application: uuid.UUID, size: int, token: str | None) -> Response:
        try:
            page, following = await self._deliveries.log(caller.tenant_id, str(application), size, token)
        except ValueError:
            raise _bad_token() from None
        return reply(
            {"items": [_delivery(queue) for queue in page]} | ({"nextPageToken": following} if following else {})
        )

    def _wish(self, caller: Caller, body: Any) -> Endpoint:
        """Raises `Problem` 422 with every fault."""
        try:
            wanted = NewEndpoint.model_validate(body)
        except ValidationError as error:
            raise _invalid(*problems_of(error)) from None
        if (wanted.url is None) == (wanted.email is None):
            raise _invalid(FieldProblem(pointer="", code="one_of", message="must have either url or email"))
        if wanted.email is not None:
            return Endpoint("", caller.tenant_id, "email", wanted.email.reveal(), description=wanted.description)
        assert wanted.url is not None
        https_only = caller.mode == "live" or not self._development
        try:
            url = str(read_url(wanted.url, https_only=https_only))
        except BadUrl as fault:
            raise _bad_url(str(fault)) from None
        return Endpoint("", caller.tenant_id, "webhook", url, secret=new_secret(), description=wanted.description)

    async def _reachable(self, wish: Endpoint) -> None:
        """Tell early what a delivery would find out: a host that has no address, or a forbidden one."""
        if wish.channel == "email":
            return
        url = read_url(wish.target, https_only=False)
        try:
            await self._resolver.checked(url.raw_host.decode("ascii"), url.port or 443)
        except Unresolvable:
            raise _bad_url("must name a host that can be found") from None
        except Forbidden:
            raise _bad_url("must lead to an address on the public internet") from None


def _audience(caller: Caller) -> Audience:
    return caller.tenant_id, caller.mode


def _idempotency_key(request: Request) -> str:
    keys = request.headers.getlist("idempotency-key")
    if len(keys) != 1 or not re.fullmatch(r"[\x21-\x7e]{1,255}", keys[0]):
        detail = "State one Idempotency-Key header of 1 to 255 visible ASCII characters."
        raise Problem(400, "idempotency-key-missing", detail)
    return keys[0]


def _invalid(*faults: FieldProblem) -> Problem:
    return Problem(422, "invalid-endpoint", "The endpoint is not valid.", errors=faults)


def _bad_url(message: str) -> Problem:
    return _invalid(FieldProblem(pointer="/url", code="url", message=message))


def _bad_token() -> Problem:
    return Problem(400, "bad-page-token", "Send the nextPageToken of an earlier answer.")


def _endpoint_token(token: str | None) -> str | None:
    try:
        return str(uuid.UUID(token)) if token else None
    except ValueError:
        raise _bad_token() from None


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint without its secret."""
    kind = "url" if endpoint.channel == "webhook" else "email"
    described = {"description": endpoint.description} if endpoint.description is not None else {}
    return {"id": endpoint.id, kind: endpoint.target, "status": endpoint.state} | described


def _delivery(queue: Document) -> dict[str, Any]:
    """One line of the delivery log: no body, no address."""
    notice = queue["notices"]
    times = {"storedAt": "stored", "lastTriedAt": "tried", "endedAt": "ended"}
    line = {
        "id": notice["id"],
        "endpointId": queue["endpoint"],
        "channel": queue["channel"],
        "applicationId": queue["application"],
        "opportunityId": notice.get("opportunity", queue["opportunity"]),
        "version": notice["version"],
        "status": notice["state"],
        "tries": notice["tries"],
        "outcome": notice.get("outcome"),
        "repeated": notice.get("repeated") or None,
        **{shown: notice[name].isoformat().replace("+00:00", "Z") for shown, name in times.items() if name in notice},
    }
    return {name: value for name, value in line.items() if value is not None}
