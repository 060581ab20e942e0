"""The published interface, as a judge of what is sent and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).parents[3] / "docs" / "reference-partner"
_BASE = "https://docs.example.test/"


@cache
def openapi() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / "openapi.yaml").read_text())
    return read


@cache
def _registry() -> Any:
    application = json.loads((FOLDER / "application.schema.json").read_text())
    documents = {"openapi.yaml": openapi(), "application.schema.json": application}
    pairs = [(_BASE + name, DRAFT202012.create_resource(each)) for name, each in documents.items()]
    return Registry().with_resources(pairs)


def judge(pointer: str) -> Draft202012Validator:
    """Of the schema at `pointer` of the document, such as `/components/schemas/State`."""
    reference = {"$ref": f"{_BASE}openapi.yaml#{pointer}"}
    return Draft202012Validator(reference, registry=_registry(), format_checker=FormatChecker())


def at(pointer: str) -> Any:
    place: Any = openapi()
    for step in pointer.split("/")[1:]:
        place = place[step.replace("~1", "/").replace("~0", "~")]
    return place


def followed(pointer: str) -> str:
    """Where the references that begin at `pointer` end."""
    found = at(pointer)
    return followed(found["$ref"].removeprefix("#")) if isinstance(found, dict) and "$ref" in found else pointer


def answer_pointer(path: str, method: str, status: int) -> str:
    """Of the schema that an answer must satisfy. KeyError: such an answer is not in the document."""
    step = path.replace("/", "~1")
    response = followed(f"/paths/{step}/{method}/responses/{status}")
    (kind,) = at(response)["content"]
    return f"{response}/content/{kind.replace('/', '~1')}/schema"


def bodies() -> Iterator[str]:
    """Pointers of all media types in the document."""

    def walk(place: Any, pointer: str) -> Iterator[str]:
        for key, value in place.items() if isinstance(place, dict) else ():
            below = f"{pointer}/{str(key).replace('/', '~1')}"
            if "/" in str(key) and isinstance(value, dict) and "schema" in value:
                yield below
            yield from walk(value, below)

    yield from walk(openapi(), "")
