"""The AsyncAPI 3.0 document: every topic, what travels on it, who sends and who receives, derived from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lendrail.contracts.intake import Intake, IntakeAmendment
from lendrail.contracts.json_schemas import Schema, event_definitions
from lendrail.contracts.outcome import Outcome
from lendrail.contracts.topics import (
    DEAD_LETTER_RETENTION_HOURS,
    INTAKE,
    OUTCOMES,
    PUSH,
    TOPICS,
    Topic,
    dead_letters_of,
)

HOUR_MS = 3_600_000
PARTS = "#/components/schemas/"
AMENDMENT = "intake-amendment"
_KAFKA = "0.5.0"
"""Version of the Kafka bindings."""

_ATTRIBUTES = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "minLength": 1},
    "ce_type": {"type": "string", "minLength": 1},
    "ce_source": {"type": "string", "minLength": 1},
    "ce_time": {"type": "string", "format": "date-time"},
}
_EXTENSIONS = {
    "ce_subject": "the application, or what stands for it",
    "ce_correlationid": "id of the event that began it all",
    "ce_causationid": "id of the event that caused this one",
    "ce_tenantid": "whose it is",
    "ce_mode": "test or live",
    "ce_keyid": "the data key that opens the sealed values",
    "traceparent": "W3C trace context",
}


def asyncapi() -> Schema:
    """The whole document."""
    events, parts = event_definitions(PARTS)
    messages = {topic.name: _message(topic.name, topic.event.type(), topic.says) for topic in TOPICS}
    messages["intake"] = _message("intake", Intake.type, "an application as an upstream system sent it")
    messages[AMENDMENT] = _message(AMENDMENT, IntakeAmendment.type, "a change of an application that came before")
    messages["push"] = _call()
    messages["outcome"] = _message("outcome", Outcome.type(), OUTCOMES.says)
    messages["dead-letter"] = _dead_letter()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lendrail events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in Kafka binary mode. Sensitive values are sealed tokens.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": dict(_channels()),
        "operations": dict(_operations()),
        "components": {
            "messages": messages,
            "schemas": {name: _plain(s) for name, s in (events | parts).items()} | {"headers": _headers()},
        },
    }


def _channels() -> Iterator[tuple[str, Schema]]:
    for topic in TOPICS:
        yield topic.name, _channel(topic.name, topic.says, topic.name, topic.partitions, topic.retention_hours)
        yield topic.dead_letters, _dead(topic.name, topic.dead_letters)
    intake = _channel(INTAKE.name("{upstream}"), INTAKE.says, "intake", INTAKE.partitions, INTAKE.retention_hours)
    intake["messages"][AMENDMENT] = {"$ref": f"#/components/messages/{AMENDMENT}"}
    upstream = {"parameters": {"upstream": {"description": "the upstream system that owns the topic"}}}
    yield "intake", intake | upstream
    yield "intake-dlq", _dead("intake", dead_letters_of(INTAKE.name("{upstream}"))) | upstream
    push = _channel(PUSH.name("{credential}"), PUSH.says, "push", PUSH.partitions, PUSH.retention_hours)
    credential = {"parameters": {"credential": {"description": "the credential at the partner who calls"}}}
    yield "push", push | credential
    yield "push-dlq", _dead("push", dead_letters_of(PUSH.name("{credential}"))) | credential
    outcomes = _channel(
        OUTCOMES.name("{tenant}"), OUTCOMES.says, "outcome", OUTCOMES.partitions, OUTCOMES.retention_hours
    )
    yield "outcome", outcomes | {"parameters": {"tenant": {"description": "the tenant that owns the topic"}}}


def _channel(address: str, says: str, message: str, partitions: int, retention_hours: int) -> Schema:
    kept = {"retention.ms": retention_hours * HOUR_MS}
    kafka: Schema = {"partitions": partitions, "topicConfiguration": kept, "bindingVersion": _KAFKA}
    return {
        "address": address,
        "description": says,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": kafka},
    }


def _dead(name: str, address: str) -> Schema:
    return _channel(address, f"could not be read from {name}, and why", "dead-letter", 1, DEAD_LETTER_RETENTION_HOURS)


def _operations() -> Iterator[tuple[str, Schema]]:
    for topic in TOPICS:
        for service in topic.producers:
            yield f"{service}-sends-{topic.name}", _operation("send", topic.name)
        for service in topic.consumers:
            yield f"{service}-receives-{topic.name}", _operation("receive", topic.name, group=group(service, topic))
    for service in INTAKE.consumers:
        operation = _operation("receive", "intake", group=f"{service}.intake")
        operation["messages"].append({"$ref": f"#/channels/intake/messages/{AMENDMENT}"})
        yield f"{service}-receives-intake", operation
    for service in PUSH.consumers:
        yield f"{service}-receives-push", _operation("receive", "push", group=f"{service}.push")
    for service in OUTCOMES.producers:
        yield f"{service}-sends-outcome", _operation("send", "outcome")


def group(service: str, topic: Topic[Any]) -> str:
    """The consumer group of a service at a topic."""
    return f"{service}.{topic.name}"


def _operation(action: str, channel: str, group: str | None = None) -> Schema:
    operation: Schema = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{channel}"}],
    }
    if group is not None:
        operation["bindings"] = {
            "kafka": {"groupId": {"type": "string", "const": group}, "bindingVersion": _KAFKA},
        }
    return operation


def _message(name: str, event_type: str, says: str) -> Schema:
    return {
        "name": event_type,
        "title": name,
        "summary": says,
        "contentType": "application/json",
        "headers": {"$ref": f"{PARTS}headers"},
        "payload": {"$ref": f"{PARTS}{name}"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": _KAFKA}},
    }


def _call() -> Schema:
    """What a partner says has a form of its own; its headers are those that its webhooks have."""
    return {
        "name": "partner-call",
        "title": "push",
        "summary": PUSH.says,
        "payload": {},
        "bindings": {"kafka": {"bindingVersion": _KAFKA}},
    }


def _dead_letter() -> Schema:
    texts = {name: {"type": "string"} for name in ("reason", "topic", "service")}
    numbers = {name: {"type": "integer"} for name in ("partition", "offset")}
    kept = {name: {"type": ["string", "null"]} for name in ("key", "value")} | {"headers": {"type": "string"}}
    properties = texts | numbers | kept | {"timestamp": {"type": ["integer", "null"]}}
    payload = {"type": "object", "properties": properties, "required": sorted(texts | numbers)}
    return {
        "name": "io.lendrail.dead-letter.v1",
        "title": "dead letter",
        "summary": "a record that could not be read, sealed, with the reason",
        "contentType": "application/json",
        "headers": {"$ref": f"{PARTS}headers"},
        "payload": payload,
    }


def _headers() -> Schema:
    extensions = {name: {"type": "string", "description": says} for name, says in _EXTENSIONS.items()}
    return {"type": "object", "properties": _ATTRIBUTES | extensions, "required": list(_ATTRIBUTES)}


def _plain(schema: Any) -> Any:
    """Without OpenAPI's `discriminator`, an object there and a string in AsyncAPI; `const` tells the kinds apart."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        n: _plain(v)
        for n, v in schema.items()
        if not (n == "discriminator" and isinstance(v, dict) and "propertyName" in v)
    }
