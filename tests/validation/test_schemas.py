"""The published schemas judge as the models and the partner's own check do."""

import copy
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests import make
from tests.validation.sound import sound_json

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import EntityType, OwnerRole
from lendrail.partners import PARTNERS
from lendrail.validation.schemas import Schemas, application_schema, partner_schema

FF = PARTNERS["forward-financing"]


@cache
def schema(revision: str) -> Draft202012Validator:
    made = partner_schema(FF, {"revision": revision} if revision else {})
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def accepts(data: Any, revision: str = "") -> bool:
    return bool(schema(revision).is_valid(data))


def changed(**changes: Any) -> dict[str, Any]:
    data = sound_json()
    for place, value in changes.items():
        *way, last = place.split("__")
        target: Any = data
        for step in way:
            target = target[int(step) if step.isdigit() else step]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return data


def test_the_examples_fit_the_applications_schema() -> None:
    made = application_schema()
    Draft202012Validator.check_schema(made)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    whole = Draft202012Validator(made)
    for data in (make.application_json(), sound_json()):
        whole.validate(data)
    assert not whole.is_valid(make.application_json(shoeSize=44))
    assert not whole.is_valid(changed(owners__0__shoeSize=44))


@pytest.mark.parametrize("revision", ["", "current"])
def test_what_the_check_accepts_the_schema_accepts(revision: str) -> None:
    assert accepts(sound_json(), revision)


@pytest.mark.parametrize(
    "change",
    [
        {"business__phone": None},
        {"business__startDate": None},
        {"business__entityType": None},
        {"business__industry": None},
        {"business__entityType": "trust"},
        {"business__country": "CA"},
        {"owners": None},
        {"owners__1__ssn": None},
        {"owners__1__address": None},
        {"owners__1__address__region": None},
        {"quotationOnly": True},
    ],
)
def test_what_the_schema_refuses_the_check_refuses(change: dict[str, Any]) -> None:
    data = changed(**change)
    assert not accepts(data)
    assert Draft202012Validator(application_schema()).is_valid(data), "only the partner minds"
    assert FF.check(Application.model_validate(data), {})


@pytest.mark.parametrize("role", list(OwnerRole))
def test_what_is_asked_of_owners_is_not_asked_of_others(role: OwnerRole) -> None:
    data = changed(owners__1__roles=[role], owners__1__ssn=None, owners__1__address=None)
    assert accepts(data) == (role != OwnerRole.OWNER) == (not FF.check(Application.model_validate(data), {}))


@pytest.mark.parametrize("word", list(EntityType))
def test_words_are_those_that_the_check_takes(word: EntityType) -> None:
    data = changed(business__entityType=str(word))
    assert accepts(data) == (not FF.check(Application.model_validate(data), {}))


def test_an_option_of_the_tenant_narrows_further() -> None:
    data = changed(business__industry={"description": "Bread"})
    assert accepts(data)
    assert not accepts(data, "current")


def test_a_schema_is_made_once_for_each_set_of_options() -> None:
    schemas = Schemas()
    first = schemas.of(FF.name, {"revision": "current"})
    assert first is schemas.of(FF.name, {"revision": "current"})
    other = schemas.of(FF.name, {})
    assert first is not None
    assert other is not None
    assert first[1] != other[1]
    assert schemas.of("application", {}) == schemas.of("application", copy.deepcopy({"revision": "classic"}))
    assert schemas.of("no-such-partner", {}) is None
