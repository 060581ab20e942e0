"""Partners that call by Kafka: a topic for each credential, `push-<credential>`, to which its partner alone may write.

A record is a webhook call: its value is the body, its headers are the headers, the topic names tenant and credential.
It is kept as one, so what a partner says both ways within five minutes is one call. The broker's clock says when it
came: a record that is read again is the same call, and one that waited here is not too old for its signature. Nobody
waits for an answer; what is not taken is a dead letter.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import structlog

from lendrail.contracts.event import Malformed, Record
from lendrail.contracts.topics import PUSH, dead_letters_of
from lendrail.gateway.stored import SERVICE
from lendrail.gateway.webhooks.calls import Call, Keeper, Verification, event_id_of, webhook_of
from lendrail.gateway.webhooks.door import MAX_BYTES
from lendrail.gateway.webhooks.rejected import Found, Rejected
from lendrail.partners.signatures import Headers, verify
from lendrail.runtime.broker import Batch
from lendrail.runtime.clock import utc_now
from lendrail.runtime.dead_letters import dead_letter
from lendrail.runtime.directory import Mounted, Secrets, Tenants
from lendrail.runtime.failures import DefectMeter, Outage, TooManyDefects
from lendrail.runtime.publisher import Publisher
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
PATTERN = rf"^{PUSH.prefix}(?!.*{dead_letters_of('')}$).+$"
"""All topics of partners that call, and none of their dead letters."""
OF_THE_BROKER = 1
"""Kafka's mark of a record whose time its broker stated, and not its writer."""


class Refused(Malformed):
    """A record that is no call of the partner's, for one of the reasons for which HTTP turns calls away."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(says)
        self.reason = reason


def read_call(record: Any, found: Found, secrets: Secrets, now: dt.datetime) -> Call:
    """The call that a record of this account's topic is. Raises `Refused`."""
    tenant, account = found
    raw, headers, received = record.value or b"", headers_of(record), received_at(record, now)
    if len(raw) > MAX_BYTES:
        raise Refused("too-large", f"the body has more than {MAX_BYTES} bytes")
    verification = _verification(found, secrets, headers, raw, received)
    content_type = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    return Call(
        tenant=tenant.id,
        mode=account.mode,
        partner=account.partner,
        credential=account.credential,
        raw=raw,
        content_type=content_type[:100].decode("latin-1"),
        path_id=None,
        event_id=event_id_of(account.partner, verification, headers, raw),
        verification=verification,
        received=received,
    )


def headers_of(record: Any) -> Headers:
    """As an HTTP server gives them. A name that is no text stays the bytes that it was."""
    return [(name.encode("utf-8", "surrogateescape"), value or b"") for name, value in record.headers]


def received_at(record: Any, now: dt.datetime) -> dt.datetime:
    """When the broker took it; where that is not stated, now. What the writer states could be anything."""
    if record.timestamp_type != OF_THE_BROKER or record.timestamp is None:
        return now
    return min(now, dt.datetime.fromtimestamp(record.timestamp / 1000, dt.UTC))


def _verification(found: Found, secrets: Secrets, headers: Headers, raw: bytes, received: dt.datetime) -> Verification:
    """Raises `Refused` where the partner declares a proof and the record has none, or a wrong one. Where it declares
    none the account says whether the right to write there is one.
    """
    _, account = found
    webhook = webhook_of(account.partner)
    if webhook is None or webhook.proof is None:
        return "verified" if account.push == "proven" else "hint"
    if not verify(webhook.proof, secrets.of(account.credential, received), headers, raw, received):
        raise Refused("unproven", "the record does not prove who sent it")
    return "verified"


class PushDoor:
    """Takes batches of records of partners."""

    def __init__(
        self,
        keeper: Keeper,
        tenants: Mounted[Tenants],
        secrets: Secrets,
        rejected: Rejected,
        vault: Vault,
        publisher: Publisher,
        defects: DefectMeter,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._keeper, self._tenants, self._secrets = keeper, tenants, secrets
        self._rejected, self._vault, self._publisher = rejected, vault, publisher
        self._defects, self._clock = defects, clock

    async def consume(self, records: Batch) -> None:
        """Keep a batch; an outage hands it out again, too many defects stop the consumer."""
        try:
            await self._publisher.publish(await self.take(records))
        except Outage as error:
            log.warning("a store is away; the batch comes again", topic=PUSH.prefix, error=type(error).__name__)
            await asyncio.sleep(random.uniform(0.2, 1.0))
            raise
        except TooManyDefects:
            log.critical("too many defects: calls by Kafka are no longer taken")
            await asyncio.Event().wait()

    async def take(self, records: Batch) -> list[Record]:
        """Durable when it returns, as far as it can be taken; dead letters of the rest."""
        found = await asyncio.gather(*map(self._taken, records), return_exceptions=True)
        faults = [each for each in found if isinstance(each, BaseException)]
        if faults:
            raise min(faults, key=lambda each: isinstance(each, Outage))  # too many defects stop it, outage or not
        return [each for each in found if isinstance(each, Record)]

    async def _taken(self, record: Any) -> Record | None:
        """The record's dead letter where it cannot be taken."""
        try:
            await self._keeper.keep(self._read(record))
        except Malformed as fault:
            return await self._dead(record, str(fault))
        except Outage:
            raise
        except Exception as error:
            log.error("our code failed on a record of a partner", exc_info=error)
            self._defects.count()
            return await self._dead(record, f"defect: {type(error).__name__}")
        return None

    def _read(self, record: Any) -> Call:
        found = self._tenants.current.by_push.get(record.topic.removeprefix(PUSH.prefix))
        if found is None:
            raise Malformed("no account has this credential and calls by Kafka")
        try:
            return read_call(record, found, self._secrets, self._clock())
        except Refused as refused:
            self._rejected.note(refused.reason, None, found)
            raise

    async def _dead(self, record: Any, reason: str) -> Record:
        log.warning("dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        return await dead_letter(record, reason, SERVICE, self._vault)
