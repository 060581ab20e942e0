"""What could not be read goes to `<topic>-dlq`, with the reason; sealed, since nobody knows what is in it."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from typing import Any

import orjson

from lendrail.contracts.event import Record
from lendrail.contracts.terms import NAMESPACE
from lendrail.contracts.topics import dead_letters_of
from lendrail.runtime.vault import Vault

MAX_VALUE = 480 * 1024
"""Bytes of a value that still fits a record of 1 MiB when it is sealed (Base64 twice). A longer one is left out: it can
be read at its place in the topic as long as that keeps it, and a letter that no broker takes would stop the partition.
"""


async def dead_letter(record: Any, reason: str, service: str, vault: Vault) -> Record:
    """The dead letter of a consumed Kafka record. The same record always makes the same id."""
    now = dt.datetime.now(dt.UTC)
    key = await vault.intake(now)
    where = f"{record.topic}|{record.partition}|{record.offset}"
    body = {
        "reason": reason,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "service": service,
        "key": key.seal(_text(record.key)),
        "headers": key.seal(orjson.dumps([[name, _text(value)] for name, value in record.headers]).decode()),
    }
    if len(record.value or b"") <= MAX_VALUE:
        body["value"] = key.seal(_text(record.value))
    headers = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid5(NAMESPACE, f"dead-letter|{service}|{where}")),
        "ce_type": "io.lendrail.dead-letter.v1",
        "ce_source": service,
        "ce_time": now.isoformat(timespec="milliseconds"),
        "ce_keyid": key.id,
        "lendrail_reason": reason,
    }
    return Record(
        dead_letters_of(record.topic),
        record.key or b"",
        orjson.dumps(body),
        tuple((name, text.encode("ascii", "replace")) for name, text in headers.items()),
    )


def _text(value: bytes | None) -> str:
    return base64.b64encode(value or b"").decode()
