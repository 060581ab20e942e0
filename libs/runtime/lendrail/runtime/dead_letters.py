"""What could not be read goes to `<topic>-dlq`, with the reason; sealed, since nobody knows what is in it.

A letter keeps its record byte for byte, null apart from empty, so that `dlq replay` can put it back as it was.
"""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

import orjson

from lendrail.contracts.event import Malformed, Record
from lendrail.contracts.terms import NAMESPACE
from lendrail.contracts.topics import dead_letters_of
from lendrail.runtime.names import is_text
from lendrail.runtime.vault import Key, Vault

MAX_VALUE = 480 * 1024
"""Bytes of a value that still fits a record of 1 MiB when it is sealed (Base64 twice). A longer one is left out: it can
be read at its place in the topic as long as that keeps it, and a letter that no broker takes would stop the partition.
"""
MAX_REST = 64 * 1024
"""The same of its key and headers together; longer ones are left out, both, and cannot be put back either."""
TYPE = "io.lendrail.dead-letter.v1"


async def dead_letter(record: Any, reason: str, service: str, vault: Vault) -> Record:
    """The dead letter of a consumed Kafka record. The same record always makes the same id.

    Its time is part of what it is: after Kafka lost its data, places are given anew. The letter's own key is its id,
    because whoever wrote the record may have put anything into its key.
    """
    now = dt.datetime.now(dt.UTC)
    key = await vault.intake(now)
    where = f"{record.topic}|{record.partition}|{record.offset}"
    written = getattr(record, "timestamp", None)
    body = {
        "reason": reason,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": written,
        "service": service,
    }
    if _size(record) <= MAX_REST:
        body["key"] = _sealed(key, record.key)
        pairs = [[_told(name), _text(value)] for name, value in record.headers]
        body["headers"] = key.seal(orjson.dumps(pairs).decode())
    if len(record.value or b"") <= MAX_VALUE:
        body["value"] = _sealed(key, record.value)
    letter = str(uuid.uuid5(NAMESPACE, f"dead-letter|{service}|{where}|{written}"))
    headers = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": letter,
        "ce_type": TYPE,
        "ce_source": service,
        "ce_time": now.isoformat(timespec="milliseconds"),
        "ce_keyid": key.id,
        "lendrail_reason": reason,
    }
    return Record(
        dead_letters_of(record.topic),
        letter.encode(),
        orjson.dumps(body),
        tuple((name, text.encode("ascii", "replace")) for name, text in headers.items()),
    )


@dataclass(frozen=True, slots=True)
class Original:
    """The record that could not be read, as it was."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it was read back. What is sealed stays sealed here."""

    id: str
    service: str
    reason: str
    topic: str
    partition: int
    offset: int
    timestamp: int | None
    at: dt.datetime
    key_id: str
    sealed: dict[str, str | None] = field(repr=False)
    """`key`, `headers` and `value`, as far as they were kept; None: the record had none."""

    @property
    def record(self) -> str:
        """The id of the record that it is about; every service that could not read that one writes its own letter."""
        place = f"{self.topic}|{self.partition}|{self.offset}|{self.timestamp}"
        return str(uuid.uuid5(NAMESPACE, f"dead-record|{place}"))

    @property
    def place(self) -> str:
        return f"{self.topic}|{self.partition}|{self.offset}"

    @property
    def whole(self) -> bool:
        """Whether nothing was too long to be kept."""
        return {"key", "headers", "value"} <= self.sealed.keys()

    def opened(self, key: Key) -> Original:
        """Raises `SealBroken`; of a letter that is whole."""
        texts = {name: None if token is None else key.open(token) for name, token in self.sealed.items()}
        pairs = orjson.loads(texts["headers"] or "[]")
        headers = tuple((_name(name), _bytes(value)) for name, value in pairs)
        return Original(self.topic, _bytes(texts["key"]), _bytes(texts["value"]), headers)


def read_letter(record: Any) -> Letter:
    """A record of a topic of dead letters. Raises `Malformed` when none of ours wrote it."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    try:
        body = orjson.loads(record.value or b"")
        if headers["ce_type"] != TYPE or dead_letters_of(body["topic"]) != record.topic:
            raise Malformed("it is no dead letter of this topic")
        sealed = {name: body[name] for name in ("key", "headers", "value") if name in body}
        at = dt.datetime.fromisoformat(headers["ce_time"])
        return Letter(
            str(uuid.UUID(headers["ce_id"])), str(body["service"]), str(body["reason"]), body["topic"],
            int(body["partition"]), int(body["offset"]), body.get("timestamp"), at, headers["ce_keyid"], sealed,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        raise Malformed("it is no dead letter") from None


def _size(record: Any) -> int:
    return len(record.key or b"") + sum(len(_raw(name)) + len(value or b"") for name, value in record.headers)


def _raw(name: str) -> bytes:
    """As it stands in Kafka, where it need be no text (see `names`)."""
    return name.encode("utf-8", "surrogateescape")


def _told(name: str) -> str | list[str | None]:
    """A name that is no text stands in a list, as Base64."""
    return name if is_text(name) else [_text(_raw(name))]


def _name(told: str | list[str]) -> str:
    return told if isinstance(told, str) else (_bytes(told[0]) or b"").decode("utf-8", "surrogateescape")


def _sealed(key: Key, value: bytes | None) -> str | None:
    return None if value is None else key.seal(base64.b64encode(value).decode())


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
