"""What all events share, and their form on Kafka: CloudEvents 1.0 in binary mode (Kafka protocol binding, section 3.2).

The body is the event as JSON; what routing, tracing and decrypting need stands in the headers, so that nobody has to
open
the body for it. An event's id is derived from the fact it states, so stating it twice gives the same id.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

from pydantic import ValidationError

from lendrail.contracts.sensitive import DataKey
from lendrail.contracts.terms import NAMESPACE, Mode, Model

Headers = tuple[tuple[str, bytes], ...]
TYPE_PREFIX = "io.lendrail."
HEADERS = frozenset(
    f"ce_{name}"
    for name in ("id", "type", "source", "specversion", "time", "subject", "correlationid", "causationid", "tenantid",
                 "mode", "keyid")
) | {"content-type", "traceparent"}  # fmt: skip
"""The names of all headers that we write and read."""


class Malformed(Exception):
    """A record that can never be read, however often it is tried. The text names the fault and never quotes the
    record.
    """


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it is stored in an outbox and sent: bytes, so that a repeat is identical."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers

    def stored(self) -> dict[str, Any]:
        """The form kept inside a MongoDB document."""
        return {"topic": self.topic, "key": self.key, "value": self.value, "headers": dict(self.headers)}

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Record:
        headers = tuple((name, bytes(value)) for name, value in stored["headers"].items())
        return cls(stored["topic"], bytes(stored["key"]), bytes(stored["value"]), headers)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The CloudEvents attributes of one event."""

    id: str
    type: str
    source: str
    time: dt.datetime
    subject: str
    correlation_id: str
    causation_id: str
    tenant_id: str
    mode: Mode
    key_id: str
    traceparent: str | None = None

    def headers(self) -> Headers:
        texts = {
            "content-type": "application/json",
            "ce_specversion": "1.0",
            "ce_id": self.id,
            "ce_type": self.type,
            "ce_source": self.source,
            "ce_time": self.time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "ce_subject": self.subject,
            "ce_correlationid": self.correlation_id,
            "ce_causationid": self.causation_id,
            "ce_tenantid": self.tenant_id,
            "ce_mode": self.mode,
        }
        if self.key_id:
            texts["ce_keyid"] = self.key_id
        if self.traceparent:
            texts["traceparent"] = self.traceparent
        return tuple((name, text.encode()) for name, text in texts.items())


class Event(Model):
    """A fact. Subclasses say which topic carries it, which entity it is about and at which version."""

    topic: ClassVar[str]
    major: ClassVar[int] = 1

    tenant_id: str
    mode: Mode

    @property
    def entity(self) -> str:
        """The id of what the fact is about; with `version` and `recipient` it makes the event's id."""
        raise NotImplementedError

    @property
    def version(self) -> int:
        return 1

    @property
    def recipient(self) -> str:
        return ""

    @property
    def key(self) -> str:
        """The Kafka key: events with the same key stay in order."""
        return self.subject

    @property
    def address(self) -> str:
        """The Kafka topic: one for all events of a class, except where each tenant has its own."""
        return self.topic

    @property
    def subject(self) -> str:
        """The application that the fact is about, or what stands for it while that is unknown."""
        raise NotImplementedError

    @property
    def key_id(self) -> str:
        """Which data key seals the sensitive values of this event; empty where it can have none."""
        return self.subject

    @property
    def id(self) -> str:
        return self.id_of(self.entity, self.version, self.recipient)

    @classmethod
    def id_of(cls, entity: str, version: int = 1, recipient: str = "") -> str:
        """The id of the fact of this class about `entity`, also for who does not have the fact itself."""
        return str(uuid.uuid5(NAMESPACE, f"{cls.topic}|{entity}|{version}|{recipient}"))

    @classmethod
    def type(cls) -> str:
        return f"{TYPE_PREFIX}{cls.topic}.v{cls.major}"


class ApplicationEvent(Event):
    """A fact about one application."""

    application_id: uuid.UUID

    @property
    def subject(self) -> str:
        return str(self.application_id)


def envelope_of(event: Event, source: str, time: dt.datetime, cause: Envelope | None = None) -> Envelope:
    """The attributes of `event`, correlated to what caused it; an event without a cause starts a correlation."""
    return Envelope(
        id=event.id,
        type=event.type(),
        source=source,
        time=time,
        subject=event.subject,
        correlation_id=cause.correlation_id if cause else event.id,
        causation_id=cause.id if cause else event.id,
        tenant_id=event.tenant_id,
        mode=event.mode,
        key_id=event.key_id,
        traceparent=cause.traceparent if cause else None,
    )


def encode(event: Event, envelope: Envelope, key: DataKey | None) -> Record:
    """The record of `event`, its sensitive values sealed under `key`."""
    if (key.id if key else "") != envelope.key_id:
        raise ValueError("the data key is not the one that the envelope names")
    value = event.model_dump_json(by_alias=True, exclude_none=True, context={"key": key}).encode()
    return Record(event.address, event.key.encode(), value, envelope.headers())


def read_envelope(headers: Iterable[tuple[str, bytes | None]], expected_type: str | None = None) -> Envelope:
    """Read the CloudEvents headers, in any letter case. Raises `Malformed`, naming the header at fault."""
    texts: dict[str, str] = {}
    for name, value in headers:
        try:
            texts[name.lower()] = (value or b"").decode()
        except UnicodeDecodeError:
            raise Malformed(f"{_named(name)} is not UTF-8") from None
    for name in ("ce_id", "ce_type", "ce_source", "ce_specversion"):
        if not texts.get(name):
            raise Malformed(f"header {name} is missing")
    if texts["ce_specversion"] != "1.0":
        raise Malformed("ce_specversion is not 1.0")
    if expected_type is not None and texts["ce_type"] != expected_type:
        raise Malformed(f"ce_type is not {expected_type}")
    mode = texts.get("ce_mode") or "test"
    if mode not in ("test", "live"):
        raise Malformed("ce_mode is neither test nor live")
    return Envelope(
        id=texts["ce_id"],
        type=texts["ce_type"],
        source=texts["ce_source"],
        time=_time(texts.get("ce_time")),
        subject=texts.get("ce_subject", ""),
        correlation_id=texts.get("ce_correlationid") or texts["ce_id"],
        causation_id=texts.get("ce_causationid") or texts["ce_id"],
        tenant_id=texts.get("ce_tenantid", ""),
        mode="live" if mode == "live" else "test",
        key_id=texts.get("ce_keyid", ""),
        traceparent=texts.get("traceparent") or None,
    )


E = TypeVar("E", bound=Event)


def decode(event: type[E], value: bytes | None, key: DataKey) -> E:
    """Read the body of a record of our own topics. Raises `Malformed`, naming the first field at fault.

    One sealed value is opened at once, which tells of a body that was sealed under another key; opening all of them
    would cost every reader more than the rest of the reading.
    """
    if value is None:
        raise Malformed("the record has no body")
    try:
        return event.model_validate_json(value, context={"key": key, "prove": True})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = "/".join(_quoted(part, event) for part in first["loc"])
        raise Malformed(f"{where or 'the body'}: {first['type']}") from None


def _time(text: str | None) -> dt.datetime:
    if not text:
        raise Malformed("header ce_time is missing")
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("ce_time is not an RFC 3339 time") from None
    if time.tzinfo is None:
        raise Malformed("ce_time has no zone")
    return time


def _named(header: str) -> str:
    """A header by its name, where that is one of ours; whoever wrote the record may have put anything into a name."""
    return f"header {header.lower()}" if header.lower() in HEADERS else "a header of another name than ours"


def _quoted(part: str | int, event: type[Event]) -> str:
    """One step of the way to a fault. A name that no body of this class has may be anything, a person's too."""
    return str(part) if isinstance(part, int) or part in _names(event) else "*"


@cache
def _names(event: type[Event]) -> frozenset[str]:
    """All names that a body of this class can have, and the words that tell its variants apart."""
    found: set[str] = set()
    _collect(event.model_json_schema(mode="validation"), found)
    return frozenset(found)


def _collect(schema: Any, found: set[str]) -> None:
    if isinstance(schema, list):
        for each in schema:
            _collect(each, found)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name in ("properties", "$defs", "mapping") and isinstance(value, dict):
                found.update(value)
            _collect(value, found)
