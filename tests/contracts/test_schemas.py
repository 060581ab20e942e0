"""The committed artefacts are those that the registry gives, and they are what they claim to be."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from lendrail.contracts.__main__ import PACKAGE, artefacts
from lendrail.contracts.asyncapi import asyncapi
from lendrail.contracts.intake import Intake, IntakeAmendment
from lendrail.contracts.json_schemas import schemas
from lendrail.contracts.topics import INTAKE, OUTCOMES, PUSH, TOPICS

ARTEFACTS = artefacts()
DOCUMENT = asyncapi()


@pytest.mark.parametrize("path", ARTEFACTS, ids=lambda path: path.name)
def test_what_is_committed_is_fresh(path: Path) -> None:
    assert path.read_text() == ARTEFACTS[path], "run `python -m lendrail.contracts` and commit what it writes"


def test_nothing_else_lies_beside_them() -> None:
    assert set((PACKAGE / "schemas").iterdir()) == {path for path in ARTEFACTS if path.parent.name == "schemas"}


@pytest.mark.parametrize(("name", "schema"), schemas().items())
def test_schemas_are_json_schemas_with_an_identity_of_their_own(name: str, schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:lendrail:schema:{name}:v1"


def test_personal_fields_are_tokens_in_events_and_text_in_the_application() -> None:
    for name, schema in schemas().items():
        marked = [node for node in _nodes(schema) if node.get("x-sensitive")]
        sealed = [node for node in marked if node.get("pattern", "").startswith("^enc1:")]
        assert sealed == ([] if name == "application" else marked)
        assert marked or name in ("intake", "intake-amendment", "application-rejected", "outcome")


def test_no_field_of_an_outcome_is_personal() -> None:
    """A tenant's topic is out of our reach once it is written: what we type as personal never gets there."""
    schema = schemas()["outcome"]
    assert not [node for node in _nodes(schema) if node.get("x-sensitive")]
    assert {"withheld", "link"} <= schema["properties"].keys()


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    references = [node["$ref"] for node in _nodes(DOCUMENT) if "$ref" in node]
    assert len(references) > 100
    for reference in references:
        node: Any = DOCUMENT
        assert reference.startswith("#/")
        for step in reference[2:].split("/"):
            node = node[step]


def test_the_asyncapi_document_has_the_structure_of_version_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert DOCUMENT.keys() <= {
        "asyncapi",
        "id",
        "info",
        "servers",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    }
    for channel in DOCUMENT["channels"].values():
        assert {"address", "messages"} <= channel.keys()
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel.get("parameters", {}))
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert all(m["$ref"].startswith(operation["channel"]["$ref"] + "/messages/") for m in operation["messages"])
    for kind in ("messages", "schemas"):
        assert all(re.fullmatch(r"[\w.-]+", name) for name in DOCUMENT["components"][kind])
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(json.loads(json.dumps(schema).replace("#/components/schemas/", "#/definitions/")))
    assert not any(isinstance(node.get("discriminator"), dict) for node in _nodes(DOCUMENT))


def test_the_asyncapi_document_tells_the_registry() -> None:
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    wanted = {name for topic in TOPICS for name in (topic.name, topic.dead_letters)}
    intake = INTAKE.name("{upstream}")
    push = PUSH.name("{credential}")
    assert addresses == wanted | {intake, f"{intake}-dlq", push, f"{push}-dlq", OUTCOMES.name("{tenant}")}
    told = {
        (operation["action"], operation["channel"]["$ref"].rpartition("/")[2], name.split("-")[0])
        for name, operation in DOCUMENT["operations"].items()
    }
    assert told == (
        {("send", topic.name, service) for topic in TOPICS for service in topic.producers}
        | {("receive", topic.name, service) for topic in TOPICS for service in topic.consumers}
        | {("receive", "intake", service) for service in INTAKE.consumers}
        | {("receive", "push", service) for service in PUSH.consumers}
        | {("send", "outcome", service) for service in OUTCOMES.producers}
    )


def test_the_intake_brings_applications_and_changes_of_them() -> None:
    messages = DOCUMENT["channels"]["intake"]["messages"]
    names = [DOCUMENT["components"]["messages"][name]["name"] for name in messages]
    assert names == [Intake.type, IntakeAmendment.type]
    heard = [operation for operation in DOCUMENT["operations"].values() if operation["action"] == "receive"]
    (intake,) = [each for each in heard if each["channel"]["$ref"].endswith("/intake")]
    assert len(intake["messages"]) == 2


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)
