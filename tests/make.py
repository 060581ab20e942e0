"""Builders with good defaults; every identity is invented."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import uuid_utils

import lendrail.contracts.application as contracts_application
from lendrail.contracts.application import Application
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Event, Record, encode, envelope_of
from lendrail.contracts.sensitive import DataKey

EXAMPLES = Path(contracts_application.__file__).parent / "examples"
NOW = dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC)


def application_json(**changes: Any) -> dict[str, Any]:
    """The full example application as an upstream writes it, top-level members replaced by `changes`."""
    data: dict[str, Any] = json.loads((EXAMPLES / "application.json").read_text())
    return data | changes


def application(**changes: Any) -> Application:
    return Application.model_validate(application_json(**changes))


def new_id() -> uuid.UUID:
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def received(**changes: Any) -> ApplicationReceived:
    values: dict[str, Any] = {
        "application_id": new_id(),
        "tenant_id": "demo",
        "mode": "test",
        "door": "rest",
        "upstream": "demo-upstream",
        "received_at": NOW,
        "application": application(),
    }
    return ApplicationReceived(**(values | changes))


def record(event: Event, key: DataKey, source: str = "test") -> Record:
    """The Kafka record of an event that starts its own correlation."""
    return encode(event, envelope_of(event, source, NOW), key)
