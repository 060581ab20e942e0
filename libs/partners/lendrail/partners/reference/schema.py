"""What a partner gets: the canonical application without what concerns other partners, and its JSON Schema."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from lendrail.contracts.application import Application

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def told(application: Application, partner: str) -> dict[str, Any]:
    """The application in full, its secrets revealed; of consents those that let `partner` see it."""
    body = application.model_dump(mode="json", by_alias=True, exclude_none=True, context={"reveal": True})
    del body["targetPartners"]
    scopes = ((each, each.pop("partners")) for each in body["consents"])
    body["consents"] = [each for each, scope in scopes if scope == "all" or partner in scope]
    return {name: value for name, value in body.items() if value not in ([], {})}


@cache
def application_schema() -> dict[str, Any]:
    """Of what `told` returns; fields may be added to it, so unknown ones are to be ignored."""
    schema = copy.deepcopy(Application.model_json_schema(mode="validation"))
    del schema["properties"]["targetPartners"]
    del schema["$defs"]["Consent"]["properties"]["partners"]
    return {"$schema": DIALECT} | schema


def known(pointer: str) -> bool:
    """Whether the application has such a field."""
    if not re.fullmatch(r"(/[A-Za-z0-9]{1,60}){1,12}", pointer):
        return False
    places: list[Mapping[str, Any]] = [application_schema()]
    for step in pointer.split("/")[1:]:
        places = [inner for place in places for inner in _below(place, step)]
    return bool(places)


def _below(place: Mapping[str, Any], step: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for each in _resolved(place):
        if step in each.get("properties", {}):
            found.append(each["properties"][step])
        if step.isdecimal() and "items" in each:
            found.append(each["items"])
        if isinstance(each.get("additionalProperties"), dict):
            found.append(each["additionalProperties"])
    return found


def _resolved(place: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schema itself, what it refers to, and its alternatives."""
    if "$ref" in place:
        return _resolved(application_schema()["$defs"][place["$ref"].rsplit("/", 1)[1]])
    return [place, *(found for each in place.get("anyOf", ()) for found in _resolved(each))]
