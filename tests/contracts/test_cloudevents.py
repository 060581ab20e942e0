"""CloudEvents 1.0, Kafka binding, binary mode: the public Python SDK reads us and we read it."""

import datetime as dt
import json
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from tests import make

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import decode, encode, envelope_of, read_envelope
from lendrail.contracts.intake import Intake
from lendrail.runtime.vault import Key

KEY = b"k" * 32


def test_the_sdk_reads_what_we_write() -> None:
    event = make.received()
    key = Key(event.key_id, KEY)
    record = encode(event, envelope_of(event, "gateway", make.NOW), key)
    read: Any = from_binary(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
    assert read.get_id() == event.id
    assert read.get_type() == "io.lendrail.application-received.v1"
    assert read.get_source() == "gateway"
    assert read.get_subject() == str(event.application_id)
    assert read.get_time() == make.NOW
    assert read.get_datacontenttype() == "application/json"
    assert read.get_specversion() == "1.0"
    assert read.get_extension("tenantid") == "demo"
    assert read.get_extension("mode") == "test"
    assert read.get_extension("partitionkey") == record.key.decode()
    assert read.get_data() == json.loads(record.value)


def test_we_read_what_the_sdk_writes() -> None:
    event = make.received()
    key = Key(event.key_id, KEY)
    data = event.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": key})
    attributes = {
        "id": event.id,
        "type": event.type(),
        "source": "gateway",
        "subject": event.subject,
        "time": make.NOW,
        "datacontenttype": "application/json",
        "tenantid": "demo",
        "mode": "test",
        "keyid": event.key_id,
        "correlationid": "c-1",
        "causationid": "c-2",
        "partitionkey": event.key,
    }
    message = to_binary(CloudEvent(attributes, data), JSONFormat())
    envelope = read_envelope(message.headers.items(), ApplicationReceived.type())
    assert (envelope.id, envelope.time, envelope.tenant_id, envelope.mode) == (event.id, make.NOW, "demo", "test")
    assert (envelope.correlation_id, envelope.causation_id, envelope.key_id) == ("c-1", "c-2", event.key_id)
    assert decode(ApplicationReceived, message.value, key) == event


def test_an_upstream_may_publish_its_intake_with_the_sdk() -> None:
    attributes = {
        "id": "deal-1",
        "type": Intake.type,
        "source": "demo-crm",
        "time": dt.datetime(2026, 3, 2, 10, 29, 59, 900000, tzinfo=dt.UTC),
        "datacontenttype": "application/json",
    }
    body = {"intent": {"kind": "application", "application": make.application_json()}}
    message = to_binary(CloudEvent(attributes, body), JSONFormat())
    envelope = read_envelope(message.headers.items(), Intake.type)
    assert (envelope.id, envelope.source, envelope.mode) == ("deal-1", "demo-crm", "test")
    assert Intake.model_validate_json(message.value).intent.application == make.application_json()
