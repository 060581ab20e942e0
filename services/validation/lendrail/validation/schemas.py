"""JSON Schemas (2020-12) for client-side validation: the application itself, and narrowed for one partner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from pydantic.json_schema import GenerateJsonSchema

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import PARTNERS
from lendrail.partners.partner import Partner
from lendrail.validation.narrowing import narrowed

DIALECT = GenerateJsonSchema.schema_dialect


@cache
def application_schema() -> dict[str, Any]:
    """The schema by which the frontend phase judges: unknown fields are refused at every depth."""
    schema = Application.model_json_schema(by_alias=True)
    for each in (schema, *schema["$defs"].values()):
        if "properties" in each:
            each["additionalProperties"] = False
    return {"$schema": DIALECT, "$id": "urn:lendrail:schema:application:1"} | schema


def partner_schema(partner: Partner, options: Mapping[str, Any]) -> dict[str, Any]:
    """The application's schema with what this partner, under a tenant's options, needs beyond it."""

    def check(application: Application) -> list[FieldProblem]:
        return partner.check(application, options)

    schema = application_schema()
    named = {
        "$id": f"urn:lendrail:schema:application:1:{partner.name}",
        "title": f"Application for {partner.title}",
    }
    return schema | named | {"allOf": [narrowed(check, schema)]}


class Schemas:
    """Makes each schema once for each set of options."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes], tuple[bytes, str]] = {}

    def of(self, name: str, options: Mapping[str, Any]) -> tuple[bytes, str] | None:
        """The schema's bytes and their ETag; None when there is no such partner. Takes a moment the first time."""
        if name != "application" and name not in PARTNERS:
            return None
        place = (name, orjson.dumps(dict(options), option=orjson.OPT_SORT_KEYS) if name in PARTNERS else b"")
        if place not in self._made:
            made = partner_schema(PARTNERS[name], options) if name in PARTNERS else application_schema()
            body = orjson.dumps(made)
            self._made[place] = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return self._made[place]
