"""Every example parses for ever, every event has one, and none is ever edited."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests import make

from lendrail.contracts.application import Application
from lendrail.contracts.event import Record, decode, encode, read_envelope
from lendrail.contracts.intake import Intake, IntakeAmendment, NewDocument
from lendrail.contracts.json_schemas import schemas
from lendrail.contracts.outcome import Outcome
from lendrail.contracts.topics import INTAKE, OUTCOMES, TOPICS
from lendrail.runtime.vault import Key

LEDGER = Path(__file__).parent / "examples.sha256"
FILES = sorted(make.EXAMPLES.glob("*.json"))
PLAIN = ("application.json", "application-minimal.json")
EXAMPLE_SECRET = hashlib.sha256(b"lendrail example key, not a secret").digest()
"""The tokens in the examples are real ones, sealed under this key and the id that `ce_keyid` names."""
SCHEMAS = schemas()


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _topic_of(path: Path) -> str:
    names = sorted((topic.name for topic in TOPICS), key=len, reverse=True)
    return next(name for name in names if path.stem == name or path.stem.startswith(f"{name}-"))


OUTCOME_FILES = [path for path in FILES if path.stem.partition("-")[0] == "outcome"]
INTAKES = ("intake.json", "intake-amendment.json", "intake-amendment-document.json")
EVENTS = [path for path in FILES if path.name not in (*PLAIN, *INTAKES) and path not in OUTCOME_FILES]


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_an_example_is_a_record_of_its_topic(path: Path) -> None:
    example = _read(path)
    topic = next(topic for topic in TOPICS if topic.name == example["topic"])
    assert topic.name == _topic_of(path)
    headers = tuple((name, text.encode()) for name, text in example["headers"].items())
    envelope = read_envelope(headers, topic.event.type())
    key = Key(envelope.key_id, EXAMPLE_SECRET)
    event = decode(topic.event, json.dumps(example["body"]).encode(), key)
    assert (event.id, event.key, event.subject, event.key_id) == (
        envelope.id,
        example["key"],
        envelope.subject,
        envelope.key_id,
    )
    again = encode(event, envelope, key)
    assert again == Record(topic.name, example["key"].encode(), again.value, headers)
    assert decode(topic.event, again.value, key) == event


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_an_example_fits_the_schema_and_a_plain_value_in_it_does_not(path: Path) -> None:
    body, schema = _read(path)["body"], SCHEMAS[_topic_of(path)]
    validator = Draft202012Validator(schema)
    assert not list(validator.iter_errors(body))
    text = json.dumps(body)
    if "enc1:" in text:
        assert list(validator.iter_errors(json.loads(text.replace("enc1:", "plain "))))


def test_the_plain_application_fits_its_schema() -> None:
    for name in PLAIN:
        content = _read(make.EXAMPLES / name)
        Application.model_validate(content)
        assert not list(Draft202012Validator(SCHEMAS["application"]).iter_errors(content))


def test_the_intake_example_is_sealed_and_fits() -> None:
    example = _read(make.EXAMPLES / "intake.json")
    assert example["topic"].startswith(INTAKE.prefix)
    assert example["headers"]["ce_type"] == Intake.type
    intake = Intake.model_validate(example["body"])
    assert intake.intent.sensitive is not None
    assert intake.intent.sensitive.count(".") == 4  # a JWE in compact form
    assert not list(Draft202012Validator(SCHEMAS["intake"]).iter_errors(example["body"]))


def test_the_example_of_an_amendment_from_outside_names_its_application_and_fits() -> None:
    example = _read(make.EXAMPLES / "intake-amendment.json")
    assert example["headers"]["ce_type"] == IntakeAmendment.type != Intake.type
    intent = IntakeAmendment.model_validate(example["body"]).intent
    first = _read(make.EXAMPLES / "intake.json")["headers"]
    assert (intent.intake_event, example["headers"]["ce_source"]) == (first["ce_id"], first["ce_source"])
    assert not list(Draft202012Validator(SCHEMAS["intake-amendment"]).iter_errors(example["body"]))
    for both in ({}, {"applicationId": str(make.new_id()), "intakeEvent": "x"}):
        with pytest.raises(ValidationError):
            IntakeAmendment.model_validate({"intent": {"amendment": {"kind": "withdrawn"}, **both}})


def test_the_example_of_a_file_from_outside_shows_neither_its_name_nor_its_bytes() -> None:
    example = _read(make.EXAMPLES / "intake-amendment-document.json")
    assert example["headers"]["ce_type"] == IntakeAmendment.type
    intent = IntakeAmendment.model_validate(example["body"]).intent
    assert intent.amendment == {"kind": "document-added", "document": {"kind": "bank-statement"}}
    assert intent.sensitive is not None
    assert intent.sensitive.count(".") == 4
    required = {name for name, field in NewDocument.model_fields.items() if field.is_required()}
    assert required - intent.amendment["document"].keys() == {"content"}
    assert not list(Draft202012Validator(SCHEMAS["intake-amendment"]).iter_errors(example["body"]))


@pytest.mark.parametrize("path", OUTCOME_FILES, ids=lambda path: path.stem)
def test_an_outcome_example_is_a_record_of_a_tenants_topic(path: Path) -> None:
    example = _read(path)
    assert example["topic"] == OUTCOMES.name(example["body"]["tenantId"])
    headers = tuple((name, text.encode()) for name, text in example["headers"].items())
    envelope = read_envelope(headers, OUTCOMES.type)
    outcome = Outcome.model_validate(example["body"])
    assert (outcome.id, outcome.key, outcome.subject) == (envelope.id, example["key"], envelope.subject)
    again = encode(outcome, envelope, None)
    assert (again.topic, again.headers) == (example["topic"], headers)
    assert Outcome.model_validate_json(again.value) == outcome
    assert not list(Draft202012Validator(SCHEMAS["outcome"]).iter_errors(example["body"]))


def test_every_kind_of_outcome_has_an_example() -> None:
    assert {_read(path)["body"]["status"] for path in OUTCOME_FILES} == {"approved", "declined", "info-required"}


def test_every_event_has_an_example_and_every_example_an_event() -> None:
    assert {_topic_of(path) for path in EVENTS} == {topic.name for topic in TOPICS}
    kinds = {_read(path)["body"]["amendment"]["kind"] for path in EVENTS if _topic_of(path) == "application-amended"}
    assert len(kinds) == 5
    assert {_read(path)["body"]["intent"]["kind"] for path in EVENTS if _topic_of(path) == "submit"} == {
        "send",
        "add-document",
        "accept-offer",
        "withdraw",
    }


def test_examples_are_only_ever_added() -> None:
    """A change of meaning needs a new example (and a line in the ledger); an old one stays as it was."""
    lines = (line.split() for line in LEDGER.read_text().splitlines())
    ledger = {name: digest for digest, name in lines}
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES} == ledger


def test_no_example_holds_a_personal_value_in_plain() -> None:
    for path in (*EVENTS, *OUTCOME_FILES, *(make.EXAMPLES / name for name in INTAKES)):
        text = path.read_text()
        assert not any(word in text for word in ("Fakename", "900-", "Fake Street", "Zelda"))
