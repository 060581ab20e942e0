"""The previous version and this one read each other: both work side by side while one replaces the other."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests import make
from tests.contracts.readable import FROZEN, Comparison, Schema

from lendrail.contracts.json_schemas import schemas

PREVIOUS: dict[str, Schema] = json.loads(FROZEN.read_text())
CURRENT = schemas()
EXAMPLES = [
    path for path in sorted(make.EXAMPLES.glob("*.json")) if path.stem not in ("application", "application-minimal")
]


def _schema_of(name: str) -> str | None:
    """The previous version's schema for an example; none where it did not know the event."""
    return max((known for known in PREVIOUS if name == known or name.startswith(f"{known}-")), key=len, default=None)


@pytest.mark.parametrize("name", PREVIOUS)
def test_whatever_this_version_says_the_previous_one_reads(name: str) -> None:
    assert Comparison(PREVIOUS[name], CURRENT[name]).problems() == []


@pytest.mark.parametrize("name", PREVIOUS)
def test_whatever_the_previous_version_said_this_one_reads(name: str) -> None:
    assert Comparison(CURRENT[name], PREVIOUS[name]).problems() == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_previous_version_reads_each_example_of_today(path: Path) -> None:
    """What it does not know it ignores."""
    known = _schema_of(path.stem)
    assert known is not None, "a new event: deploy who hears it before who says it, and leave its examples out here"
    body = json.loads(path.read_text())["body"]
    assert not list(Draft202012Validator(PREVIOUS[known]).iter_errors(body))


def _changed(change: Any) -> Schema:
    schema = copy.deepcopy(CURRENT["partner-ack"])
    change(schema)
    return schema


def _widen(schema: Schema) -> None:
    schema["properties"]["outcome"]["enum"].append("perhaps")


CHANGES: dict[str, tuple[Any, tuple[str, str]]] = {
    "a new word": (_widen, ("", "/outcome: may say ['perhaps']")),
    "a field more": (lambda schema: schema["properties"].update(new={"type": "string"}), ("", "")),
    "a field that must be there": (
        lambda schema: (schema["properties"].update(new={"type": "string"}), schema["required"].append("new")),
        ("/new: is needed and may be left out", ""),
    ),
    "a field that may be left out now": (
        lambda schema: schema["required"].remove("attemptId"),
        ("", "/attemptId: is needed and may be left out"),
    ),
    "another type": (
        lambda schema: schema["properties"]["attemptVersion"].update(type="string"),
        ("/attemptVersion: is integer and not string", "/attemptVersion: is string and not integer"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_a_reader_would_not_survive_is_found(name: str) -> None:
    """First: what the new version cannot read of the old one. Second: the other way round."""
    change, (newer, older) = CHANGES[name]
    before, after = CURRENT["partner-ack"], _changed(change)
    assert Comparison(after, before).problems() == ([newer] if newer else [])
    assert Comparison(before, after).problems() == ([older] if older else [])


def test_longer_texts_and_new_kinds_are_found_where_they_are_nested() -> None:
    after = copy.deepcopy(CURRENT["submit"])
    union = after["properties"]["intent"]["oneOf"]
    union.append(
        {"type": "object", "properties": {"kind": {"const": "forget", "type": "string"}}, "required": ["kind"]}
    )
    (found,) = [each for each in Comparison(CURRENT["submit"], after).problems() if "kind" in each]
    assert found.startswith("/intent/kind: may say ['forget']")
    assert Comparison(after, CURRENT["submit"]).problems() == []
    longer = copy.deepcopy(CURRENT["submit"])
    bounded = next(each for each in _nodes(longer) if isinstance(each.get("maxLength"), int))
    bounded["maxLength"] += 1
    assert any("maxLength" in each for each in Comparison(CURRENT["submit"], longer).problems())
    assert Comparison(longer, CURRENT["submit"]).problems() == []


def _nodes(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)
