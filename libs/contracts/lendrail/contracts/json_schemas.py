"""JSON Schemas (2020-12) of the application, the intake, the outcome and every event, derived from the models.

A sensitive field is a plain string in the application, as an upstream writes it, and a sealed token in events.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lendrail.contracts.application import Application
from lendrail.contracts.intake import Intake, IntakeAmendment
from lendrail.contracts.outcome import Outcome
from lendrail.contracts.sensitive import TOKEN
from lendrail.contracts.topics import TOPICS

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, Schema]:
    """Every schema by its file name without the ending."""
    published: dict[str, type[BaseModel]] = {"application": Application, "intake": Intake, "outcome": Outcome}
    published["intake-amendment"] = IntakeAmendment
    plain: dict[str, Schema] = {name: _schema(name, model) for name, model in published.items()}
    events = {topic.name: sealed(_schema(topic.name, topic.event)) for topic in TOPICS}
    return plain | events


def event_definitions(prefix: str) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The schemas of all events, of the intake and of the outcome, and what they share, referred to by `prefix`."""
    named: dict[str, type[BaseModel]] = {topic.name: topic.event for topic in TOPICS}
    named |= {"intake": Intake, "intake-amendment": IntakeAmendment, "outcome": Outcome}
    pairs = [(model, "validation") for model in named.values()]
    found, shared = models_json_schema(pairs, ref_template=prefix + "{model}")  # type: ignore[arg-type]
    by_topic = {name: sealed(found[(model, "validation")]) for name, model in named.items()}
    return by_topic, {name: sealed(schema) for name, schema in shared.get("$defs", {}).items()}


def sealed(schema: Any) -> Any:
    """The schema with every sensitive string as it travels: a token."""
    if isinstance(schema, list):
        return [sealed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-sensitive") is True:
        kept = {name: value for name, value in schema.items() if name in ("title", "description", "default")}
        return kept | {"type": "string", "pattern": f"^{TOKEN}[A-Za-z0-9+/]+={{0,2}}$", "x-sensitive": True}
    return {name: sealed(value) for name, value in schema.items()}


def text(value: Any) -> str:
    """JSON as it is committed: stable, one member a line."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _schema(name: str, model: type[BaseModel]) -> Schema:
    identity = {"$schema": DIALECT, "$id": f"urn:lendrail:schema:{name}:v{getattr(model, 'major', 1)}"}
    return identity | model.model_json_schema(mode="validation")
