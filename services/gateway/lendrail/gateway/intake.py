"""The Kafka door: one topic for each upstream system, `intake-<upstream>`; the topic's name says whose it is.

A record becomes the application whose id derives from tenant, source and event id, so a second import is the same one
and publishes the same stored event again. Nobody waits for an answer here: an application with faults is passed on with
them and is rejected by validation, visibly; only a record that cannot be read at all is a dead letter.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import ValidationError

from lendrail.contracts import strict_json
from lendrail.contracts.application import Application
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Envelope, Malformed, Record, read_envelope
from lendrail.contracts.intake import Intake, NewApplication, imported_application_id
from lendrail.contracts.problems import pointer, sensitive_fields
from lendrail.contracts.terms import FieldProblem
from lendrail.contracts.topics import dead_letters_of
from lendrail.gateway import receive
from lendrail.gateway.amending.changes import Changes
from lendrail.gateway.amending.intake_amendments import Change, amends, read_change
from lendrail.gateway.audited import received
from lendrail.gateway.store import Applications
from lendrail.gateway.stored import SERVICE, document_of, record_of
from lendrail.runtime.broker import Batch
from lendrail.runtime.clock import utc_now
from lendrail.runtime.dead_letters import dead_letter
from lendrail.runtime.directory import Mounted, Tenant, Tenants
from lendrail.runtime.failures import DefectMeter, Outage, TooManyDefects
from lendrail.runtime.faults import point
from lendrail.runtime.jose import BadSeal, open_sensitive
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError
from lendrail.runtime.outbox import published, restored
from lendrail.runtime.publisher import Publisher
from lendrail.runtime.vault import Key, Vault

log = structlog.get_logger()
PATTERN = rf"^{Intake.prefix}(?!.*{dead_letters_of('')}$).+$"
"""All intake topics, and none of their dead letters."""


class IntakeKeys:
    """The tenants' private intake keys, from their files; read again when a file changes."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, ECKey]] = {}

    def of(self, tenant: Tenant) -> ECKey | None:
        """None where the tenant has no key, or one that cannot be read."""
        file = tenant.intake_key_file
        if file is None:
            return None
        try:
            changed = file.stat().st_mtime_ns
            if file not in self._known or self._known[file][0] != changed:
                self._known[file] = changed, ECKey.import_key(json.loads(file.read_text()))
            return self._known[file][1]
        except (OSError, ValueError, JoseError):
            log.error("an intake key cannot be read", tenant=tenant.id)
            return None

    def published(self, tenant: Tenant) -> dict[str, Any] | None:
        """The public key for which upstream systems seal (RFC 7517)."""
        key = self.of(tenant)
        if key is None:
            return None
        key.ensure_kid()
        return {**key.as_dict(private=False), "kid": key.kid, "use": "enc", "alg": "ECDH-ES+A256KW"}


@dataclass(frozen=True)
class Import:
    """One readable intake record."""

    record: Any
    envelope: Envelope
    fingerprint: str
    event: ApplicationReceived

    @property
    def id(self) -> str:
        return str(self.event.application_id)


def read_record(record: Any, tenants: Tenants, keys: IntakeKeys, clear_allowed: bool) -> Import:
    """What a record says. Raises `Malformed` when it cannot be read."""
    upstream, tenant = sender(record, tenants)
    envelope = read_envelope(record.headers, Intake.type)
    intent = _intent(record.value)
    key = keys.of(tenant)
    if intent.sensitive is not None and key is None:
        raise Malformed("the tenant has no readable intake key")
    data, application, problems = _application(intent, tenant, key, clear_allowed)
    event = ApplicationReceived(
        tenant_id=tenant.id,
        mode=tenant.mode,
        application_id=imported_application_id(tenant.id, envelope.source, envelope.id),
        door="kafka",
        upstream=upstream,
        received_at=utc_now(),
        application=application,
        references=application.external_references if application else receive.references_in(data),
        problems=tuple(problems),
    )
    return Import(record, envelope, receive.fingerprint(data), event)


def sender(record: Any, tenants: Tenants) -> tuple[str, Tenant]:
    """The upstream system whose topic it is, and its tenant. Raises `Malformed`."""
    upstream = record.topic.removeprefix(Intake.prefix)
    tenant = tenants.by_upstream.get(upstream)
    if tenant is None:
        raise Malformed("no tenant has this upstream")
    return upstream, tenant


def _intent(value: bytes | None) -> NewApplication:
    try:
        return Intake.model_validate(strict_json.loads(value or b"")).intent
    except strict_json.BadJson as fault:
        raise Malformed(f"the body cannot be read: {fault}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Malformed(f"the body is no intake event: {first['type']}") from None


def _application(
    intent: NewApplication, tenant: Tenant, key: ECKey | None, clear_allowed: bool
) -> tuple[Any, Application | None, list[FieldProblem]]:
    """The data with its sealed values in place, the application that it is (if any), and all problems."""
    data = intent.application
    in_clear = [] if clear_allowed else [_in_clear(pointer(s)) for s in sensitive_fields(Application, data)]
    if intent.sensitive is not None and key is not None:
        try:
            data = open_sensitive(data, intent.sensitive, key)
        except BadSeal as fault:
            problem = FieldProblem(pointer="", code=fault.code, message=fault.message, phase="backend")
            return data, None, [problem, *in_clear][: receive.MAX_PROBLEMS]
    raw = json.dumps(data, default=float).encode()
    application, problems = receive.read_application(raw, data, tenant, tenant.mode)
    return data, None if in_clear else application, [*in_clear, *problems][: receive.MAX_PROBLEMS]


def _in_clear(at: str) -> FieldProblem:
    message = "must be sealed for the tenant's intake key (GET /v1/keys/intake)"
    return FieldProblem(pointer=at, code="sensitive-in-clear", message=message, phase="backend")


class IntakeDoor:
    """Takes batches of intake records."""

    def __init__(
        self,
        applications: Applications,
        conflicts: Collection,
        vault: Vault,
        tenants: Mounted[Tenants],
        keys: IntakeKeys,
        publisher: Publisher,
        defects: DefectMeter,
        changes: Changes,
        *,
        clear_allowed: bool,
    ) -> None:
        self._applications, self._conflicts = applications, conflicts
        self._vault, self._tenants, self._keys = vault, tenants, keys
        self._publisher, self._defects, self._clear_allowed = publisher, defects, clear_allowed
        self._changes = changes

    async def consume(self, records: Batch) -> None:
        """Store and publish a batch; an outage hands it out again, too many defects stop the consumer."""
        try:
            out = await self.take(records)
            point("intake.written")
            await self._publisher.publish(out)
            point("intake.published")
        except Outage as error:
            log.warning("a store is away; the batch comes again", topic=Intake.prefix, error=type(error).__name__)
            await asyncio.sleep(random.uniform(0.2, 1.0))
            raise
        except TooManyDefects:
            log.critical("too many defects: the intake stops")
            await asyncio.Event().wait()

    async def take(self, records: Batch) -> list[Record]:
        """Stored events of the readable records, dead letters of the others. What amends is stored as due work."""
        imports: list[Import] = []
        changes: list[Change] = []
        letters: list[Record] = []
        for record in records:
            try:
                if amends(record):
                    changes.append(self._change(record))
                else:
                    imports.append(read_record(record, self._tenants.current, self._keys, self._clear_allowed))
            except Malformed as fault:
                letters.append(await self._dead(record, str(fault)))
            except Exception as error:
                log.error("our code failed on an intake record", exc_info=error)
                self._defects.count()
                letters.append(await self._dead(record, f"defect: {type(error).__name__}"))
            await asyncio.sleep(0)  # opening a seal takes a third of a millisecond; HTTP goes on in between
        gone = await self._erased({*(each.id for each in imports), *(each.application for each in changes)})
        out = letters + await self._imported([each for each in imports if each.id not in gone])
        for change in await self._changes.keep([each for each in changes if each.application not in gone]):
            await self._park(change.tenant.id, change.application, change.envelope, change.record)
        return out

    def _change(self, record: Any) -> Change:
        _, tenant = sender(record, self._tenants.current)
        return read_change(record, tenant, self._keys.of(tenant), self._clear_allowed)

    async def _erased(self, applications: set[str]) -> set[str]:
        """Those of which nothing is taken any more. Nobody waits for an answer; the log says it."""
        gone = await self._vault.erased(applications)
        for application in sorted(gone):
            log.info("a record about an erased application was dropped", application=application, code="erased")
        return gone

    async def _imported(self, imports: Sequence[Import]) -> list[Record]:
        first = {each.id: each for each in reversed(imports)}
        known = await self._applications.known(first)
        fresh = [each for each in first.values() if each.id not in known]
        if fresh:
            known |= await self._insert(fresh)
        keys = await self._vault.find(known)
        out: dict[str, list[Record]] = {}
        for each in imports:
            if each.id not in known or each.id not in keys or "erasing" in known[each.id]:
                continue  # the person was erased
            if keys[each.id].open(known[each.id]["fingerprint"]) == each.fingerprint:
                out[each.id] = restored(known[each.id])
            else:
                await self._park(each.event.tenant_id, each.id, each.envelope, each.record)
        return [record for records in out.values() for record in records]

    async def _insert(self, fresh: Sequence[Import]) -> dict[str, Document]:
        """Store new applications; for those that another replica stored meanwhile, what it stored."""
        keys = await self._vault.create([each.id for each in fresh])
        documents = [_document(each, keys[each.id]) for each in fresh if each.id in keys]
        answers = await asyncio.gather(*map(self._applications.add, documents), return_exceptions=True)
        for answer in answers:
            if answer is not None and not isinstance(answer, DuplicateKeyError):
                raise answer
        taken = [document["_id"] for document, answer in zip(documents, answers, strict=True) if answer]
        stored = {document["_id"]: document for document in documents}
        return stored | (await self._applications.known(taken) if taken else {})

    async def _park(self, tenant: str, application: str, envelope: Envelope, record: Any) -> None:
        """The same import with other content: the first stays, this one waits for a person."""
        place = f"{record.topic}|{record.partition}|{record.offset}"
        log.warning("an import came again with other content", application=application, place=place)
        now = utc_now()
        key = await self._vault.intake(now)
        parked = {
            "tenant": tenant,
            "application": application,
            "source": envelope.source,
            "event": envelope.id,
            "parked": now,
            "key": key.id,
            "value": key.seal_bytes(record.value or b""),
        }
        await self._conflicts.update_one({"_id": place}, {"$setOnInsert": parked}, upsert=True)

    async def _dead(self, record: Any, reason: str) -> Record:
        log.warning("dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        return await dead_letter(record, reason, SERVICE, self._vault)


def _document(each: Import, key: Key) -> Document:
    event = each.event
    record = record_of(event, key, each.envelope)
    if len(record.value) > receive.MAX_RECORD:
        problem = FieldProblem(pointer="", code="too-large", message="is too large once sealed", phase="backend")
        event = event.model_copy(update={"application": None, "problems": (problem,)})
        record = record_of(event, key, each.envelope)
    audited = received(event, record, each.envelope.id)
    return document_of(event, key, each.fingerprint) | published([record]) | audited
