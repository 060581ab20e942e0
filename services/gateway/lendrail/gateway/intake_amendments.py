"""Amendments from the Kafka intake: kept at once, made when their application is there, each in its order.

An amendment may arrive before its application: topics and partitions keep no pace with one another. So every one is
first stored as due work under its own id, and a loop makes it through the same door as REST does. Nobody waits here for
the answer: a refusal is shown with the application.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from joserfc.jwk import ECKey
from pydantic import ValidationError

from lendrail.contracts import strict_json
from lendrail.contracts.application import Application
from lendrail.contracts.event import Envelope, Malformed, read_envelope
from lendrail.contracts.intake import Intake, IntakeAmendment, NewAmendment, imported_application_id
from lendrail.contracts.problems import pointer, sensitive_fields
from lendrail.contracts.terms import NAMESPACE, FieldProblem, utc_now
from lendrail.gateway import receive
from lendrail.gateway.amendments import Amendments, Asked, Asker
from lendrail.gateway.store import utc
from lendrail.gateway.wishes import BODIES, Wish, correction, wish
from lendrail.runtime.directory import Tenant
from lendrail.runtime.failures import DefectMeter
from lendrail.runtime.http import Problem
from lendrail.runtime.jose import BadSeal, open_sensitive
from lendrail.runtime.mongo import OUTAGES, Collection, Document, insert_absent
from lendrail.runtime.vault import INTAKE_KEY_DAYS, Key, Vault

log = structlog.get_logger()
PATIENCE = dt.timedelta(hours=24)
"""How long an amendment waits for its application, or for the opportunity that it names."""
SOONEST, LATEST = dt.timedelta(seconds=0.5), dt.timedelta(minutes=5)
KINDS = ("corrected", *BODIES)


@dataclass(frozen=True)
class Change:
    """One readable record that amends."""

    record: Any
    envelope: Envelope
    tenant: Tenant
    upstream: str
    application: str
    revision: int | None
    data: dict[str, Any]
    problems: tuple[FieldProblem, ...]

    @property
    def id(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"amendment|{self.tenant.id}|{self.envelope.source}|{self.envelope.id}"))

    @property
    def fingerprint(self) -> str:
        return receive.fingerprint([self.application, self.revision, self.data])


def amends(record: Any) -> bool:
    """Whether this record is of the type that amends; every other one is read as an application."""
    return any(name.lower() == "ce_type" and value == IntakeAmendment.type.encode() for name, value in record.headers)


def read_change(record: Any, tenant: Tenant, key: ECKey | None, clear_allowed: bool) -> Change:
    """What a record says. Raises `Malformed` when it cannot be read."""
    envelope = read_envelope(record.headers, IntakeAmendment.type)
    intent = _intent(record.value)
    if intent.sensitive is not None and key is None:
        raise Malformed("the tenant has no readable intake key")
    application = intent.application_id
    if application is None:
        assert intent.intake_event is not None
        application = imported_application_id(tenant.id, envelope.source, intent.intake_event)
    problems = () if clear_allowed else _in_clear(intent.amendment)
    data = intent.amendment
    if intent.sensitive is not None and key is not None:
        try:
            data = open_sensitive(data, intent.sensitive, key)
        except BadSeal as fault:
            broken = FieldProblem(pointer="", code=fault.code, message=fault.message, phase="backend")
            problems = (broken, *problems)
    upstream = record.topic.removeprefix(Intake.prefix)
    return Change(record, envelope, tenant, upstream, str(application), intent.revision, data, problems)


def _intent(value: bytes | None) -> NewAmendment:
    try:
        intent = IntakeAmendment.model_validate(strict_json.loads(value or b"")).intent
    except strict_json.BadJson as fault:
        raise Malformed(f"the body cannot be read: {fault}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Malformed(f"the body is no amendment: {first['type']}") from None
    if intent.amendment.get("kind") not in KINDS:
        raise Malformed("the amendment is of no kind that comes by Kafka")
    return intent


def _in_clear(data: dict[str, Any]) -> tuple[FieldProblem, ...]:
    """Personal values that are not sealed."""
    found = [("application", *steps) for steps in sensitive_fields(Application, data.get("application"))]
    if data["kind"] == "withdrawn" and data.get("reason") is not None:
        found.append(("reason",))
    message = "must be sealed for the tenant's intake key (GET /v1/keys/intake)"
    return tuple(
        FieldProblem(pointer=pointer(steps), code="sensitive-in-clear", message=message, phase="backend")
        for steps in found[: receive.MAX_PROBLEMS]
    )


def read_wish(data: dict[str, Any], tenant: Tenant) -> Wish:
    """The amendment that the opened record speaks of; what the two doors take is the same."""
    kind = data["kind"]
    if kind == "corrected":
        application = data.get("application")
        return correction(json.dumps(application, default=float).encode(), application, tenant, tenant.mode)
    body = {name: value for name, value in data.items() if name not in ("kind", "opportunityId")}
    opportunity = None
    if kind != "partner-added" and (kind == "offer-accepted" or data.get("opportunityId") is not None):
        try:
            opportunity = uuid.UUID(str(data.get("opportunityId")))
        except ValueError:
            missing = FieldProblem(
                pointer="/opportunityId", code="uuid_parsing", message="must be the opportunity's id"
            )
            return Wish(None, (missing,), receive.fingerprint(data))
    return wish(kind, body, opportunity)


class Changes:
    """Keeps and makes amendments from Kafka."""

    def __init__(
        self,
        collection: Collection,
        amendments: Amendments,
        vault: Vault,
        defects: DefectMeter,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._collection, self._amendments, self._vault = collection, amendments, vault
        self._defects, self._clock = defects, clock
        self._awake = asyncio.Event()

    async def prepare(self) -> None:
        waiting = {"due": {"$exists": True}}
        await self._collection.create_index("due", partialFilterExpression=waiting)
        await self._collection.create_index("application", partialFilterExpression=waiting)
        await self._collection.create_index("expires", expireAfterSeconds=0)

    async def keep(self, changes: Sequence[Change]) -> list[Change]:
        """Durable when it returns. Returns those that came before with other content."""
        if not changes:
            return []
        now = self._clock()
        key = await self._vault.intake(now)
        first = {each.id: each for each in reversed(changes)}
        await insert_absent(self._collection, [_waiting(each, key, now) for each in first.values()])
        kept = {each["_id"]: each async for each in self._collection.find({"_id": {"$in": list(first)}})}
        keys = await self._vault.find({each["key"] for each in kept.values()})
        self._awake.set()
        return [each for each in changes if _contradicts(each, kept[each.id], keys)]

    async def run(self) -> None:
        """Make what is due until cancelled."""
        while True:
            try:
                if not await self.work():
                    await self._idle()
            except OUTAGES as error:
                log.warning("amendments wait for their store", error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(0.5):
                await self._awake.wait()
        except TimeoutError:
            pass
        self._awake.clear()

    async def work(self) -> int:
        """Make what is due; an application's amendments one after the other. Returns how many were settled."""
        due = await self._collection.find({"due": {"$lte": self._clock()}}, {"application": 1}).limit(500).to_list()
        settled = 0
        for application in dict.fromkeys(each["application"] for each in due):
            cursor = self._collection.find({"application": application, "due": {"$exists": True}})
            for waiting in await cursor.sort([("arrived", 1), ("partition", 1), ("offset", 1)]).to_list():
                if not await self._settle(waiting):
                    break
                settled += 1
        return settled

    async def _settle(self, waiting: Document) -> bool:
        """Whether it is settled; if not, it comes again later, and those behind it wait."""
        try:
            return await self._make(waiting)
        except OUTAGES:
            raise
        except Exception as error:
            log.error("our code failed on an amendment", amendment=waiting["_id"], exc_info=error)
            self._defects.count()
            return await self._later(waiting)

    async def _make(self, waiting: Document) -> bool:
        key = (await self._vault.find([waiting["key"]])).get(waiting["key"])
        if key is None:  # its day's key was destroyed: nobody can read it any more
            return await self._done(waiting, "unreadable")
        data = json.loads(key.open_bytes(bytes(waiting["value"])))
        asker = _asker(waiting, key)
        try:
            said = read_wish(data, self._amendments.tenant(waiting["tenant"]))
            before = tuple(FieldProblem.model_validate(each) for each in waiting["problems"])
            problems = before or said.problems
            if problems or said.amendment is None:
                await self._amendments.refuse(asker, data["kind"], problems)
                return await self._done(waiting, "refused")
            await self._amendments.store(Asked(**asker.__dict__, amendment=said.amendment))
        except Problem as fault:
            return await self._refused(waiting, asker, data["kind"], fault)
        return await self._done(waiting, "stored")

    async def _refused(self, waiting: Document, asker: Asker, kind: str, fault: Problem) -> bool:
        """What a problem means where nobody waits for the answer."""
        if fault.status == 410:
            return await self._done(waiting, "erased")
        passing = fault.status in (404, 503) or "Retry-After" in fault.headers
        if passing and self._clock() - utc(waiting["arrived"]) < PATIENCE:
            return await self._later(waiting)
        told = FieldProblem(pointer="", code=fault.code, message=fault.detail[:1000], phase="backend")
        try:
            await self._amendments.refuse(asker, kind, fault.errors or (told,))
        except Problem:
            log.warning("an amendment of nothing", amendment=waiting["_id"], code=fault.code)
            return await self._done(waiting, "unknown-application")
        return await self._done(waiting, "refused")

    async def _later(self, waiting: Document) -> bool:
        """Again after a quarter of its age: soon while its application may be just behind it, seldom after hours."""
        now = self._clock()
        wait = min(max((now - utc(waiting["arrived"])) / 4, SOONEST), LATEST)
        await self._collection.update_one({"_id": waiting["_id"]}, {"$set": {"due": now + wait}})
        return False

    async def _done(self, waiting: Document, result: str) -> bool:
        """Its id stays known for as long as it could come again; its content does not."""
        change = {"$unset": {"due": "", "value": ""}, "$set": {"result": result}}
        await self._collection.update_one({"_id": waiting["_id"]}, change)
        return True


def _waiting(change: Change, key: Key, now: dt.datetime) -> Document:
    return {
        "_id": change.id,
        "tenant": change.tenant.id,
        "mode": change.tenant.mode,
        "upstream": change.upstream,
        "application": change.application,
        "revision": change.revision,
        "event": change.envelope.id,
        "correlation": change.envelope.correlation_id,
        "arrived": now,
        "partition": change.record.partition,
        "offset": change.record.offset,
        "due": now,
        "expires": now + dt.timedelta(days=INTAKE_KEY_DAYS),
        "key": key.id,
        "fingerprint": key.seal(change.fingerprint),
        "value": key.seal_bytes(json.dumps(change.data, default=float).encode()),
        "problems": [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in change.problems],
    }


def _asker(waiting: Document, key: Key) -> Asker:
    """The key holds a space, so no caller of the REST door can state it."""
    return Asker(
        tenant=waiting["tenant"],
        mode=waiting["mode"],
        by=waiting["upstream"],
        application=waiting["application"],
        idempotency=f"intake {waiting['_id']}",
        fingerprint=key.open(waiting["fingerprint"]),
        request=waiting["event"],
        correlation=waiting["correlation"],
        revision=waiting["revision"],
        cause=waiting["event"],
    )


def _contradicts(change: Change, kept: Document, keys: dict[str, Key]) -> bool:
    return kept["key"] in keys and keys[kept["key"]].open(kept["fingerprint"]) != change.fingerprint
