"""The REST door: `POST /v1/applications`.

Once and only once by `Idempotency-Key`. The key, the application and its outbox are one document under a unique index,
so two replicas can never both store: the loser reads the winner's document and gives the winner's answer. Within one
process the twin of a request that is still under way gets 409 at once; so 409 says "the first is not decided yet", and
a repeat after `Retry-After` gets the original answer. A request cut off by a dead process leaves either nothing or the
whole document, hence nothing that could block the key.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from lendrail.contracts.application import Application
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.gateway import receive
from lendrail.gateway.audited import received
from lendrail.gateway.store import Applications, KeyCutter, soon
from lendrail.gateway.stored import accepted, document_of, record_of
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, Tenant, Tenants
from lendrail.runtime.http import Problem, correlation_id, reply, request_id, strict_body, unavailable
from lendrail.runtime.mongo import Document, DuplicateKeyError
from lendrail.runtime.outbox import Relay, waiting
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Vault


class Door:
    """Takes applications from authenticated callers."""

    def __init__(
        self, applications: Applications, vault: Vault, relay: Relay, tenants: Mounted[Tenants], instance: str
    ) -> None:
        self._applications, self._vault, self._relay = applications, vault, relay
        self._tenants, self._instance = tenants, instance
        self._keys = KeyCutter(vault)
        self._under_way: set[tuple[str, str]] = set()

    async def post(self, request: Request, caller: Caller) -> Response:
        """202 when the application is durable. Raises `Problem`."""
        if not self._applications.prepared:  # without its unique index the store cannot tell twins apart
            raise unavailable()
        key = receive.idempotency_key(request.headers.getlist("idempotency-key"))
        if key is None:
            detail = "State one Idempotency-Key header of 1 to 255 visible ASCII characters."
            raise Problem(400, "idempotency-key-missing", detail)
        twin = (caller.tenant_id, key)
        if twin in self._under_way:
            raise _in_progress()
        self._under_way.add(twin)
        try:
            return await self._decide(request, caller, key)
        finally:
            self._under_way.discard(twin)

    async def _decide(self, request: Request, caller: Caller, key: str) -> Response:
        data = await strict_body(request)
        tenant = self._tenants.current.by_id.get(caller.tenant_id)
        if tenant is None:
            raise Problem(403, "forbidden", "Your tenant is not known here.")
        application, problems = receive.read_application(await request.body(), data, tenant, caller.mode)
        amended = await soon(self._applications.amended_by_key(caller.tenant_id, key))
        if application is None or problems or amended:
            known = await soon(self._applications.by_key(caller.tenant_id, key))
            if known is not None:
                return await self._again(known, data)
            raise _reused() if amended else _invalid(problems)
        try:
            return _answer(await soon(self._store(request, caller, tenant, key, application, data)))
        except DuplicateKeyError:
            return await self._again(await soon(self._applications.by_key(caller.tenant_id, key)), data)

    async def _store(
        self, request: Request, caller: Caller, tenant: Tenant, key: str, application: Application, data: Any
    ) -> Document:
        """The stored document. A lost race leaves one unused data key behind, which seals nothing."""
        event = ApplicationReceived(
            tenant_id=tenant.id,
            mode=caller.mode,
            application_id=receive.new_application_id(),
            door="rest",
            upstream=caller.client_id,
            received_at=utc_now(),
            application=application,
            references=application.external_references,
        )
        data_key = await self._keys.cut(event.key_id)
        record = record_of(event, data_key, correlation=correlation_id(request))
        if len(record.value) > receive.MAX_RECORD:
            raise Problem(413, "too-large", f"Sealed, the application exceeds {receive.MAX_RECORD} bytes.")
        document = document_of(event, data_key, receive.fingerprint(data)) | {"idempotency": key}
        audited = received(event, record, request_id(request))
        await self._applications.add(document | waiting([record], self._instance) | audited)
        self._relay.wake()
        return document

    async def _again(self, known: Document | None, data: Any) -> Response:
        """The answer to a key that is taken: the original one, when the body is the original one."""
        if known is None:  # the winner's write is there but not confirmed by the majority yet
            raise _in_progress()
        gone = await soon(self._vault.erased([known["_id"]]))
        if gone or "erasing" in known:
            detail = "This Idempotency-Key belongs to an application that was erased; use a new key."
            raise Problem(422, "idempotency-key-reused", detail)
        key = await soon(self._vault.get(known["_id"]))
        if key.open(known["fingerprint"]) != receive.fingerprint(data):
            raise _reused()
        return _answer(known, {"Idempotency-Replayed": "true"})


def _answer(document: Document, more: dict[str, str] | None = None) -> Response:
    return reply(accepted(document), 202, {"Location": f"/v1/applications/{document['_id']}"} | (more or {}))


def _in_progress() -> Problem:
    detail = "The same Idempotency-Key is under way; repeat the request for its result."
    return Problem(409, "request-in-progress", detail, headers={"Retry-After": "1"})


def _reused() -> Problem:
    detail = "This Idempotency-Key came with another request before; use a new key for another application."
    return Problem(422, "idempotency-key-reused", detail)


def _invalid(problems: list[Any]) -> Problem:
    crossing = any(problem.code == receive.MODE_CROSSING for problem in problems)
    code = receive.MODE_CROSSING if crossing else "invalid-application"
    return Problem(422, code, "Nothing was stored; `errors` names every fault by JSON pointer.", errors=problems)
