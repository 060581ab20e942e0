"""The canonical application: what it takes, what it refuses, and that it quotes nothing."""

import copy
import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lendrail.contracts.application import Application
from lendrail.contracts.application_fields import ALL
from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.sensitive import Sensitive

EXAMPLES = files("lendrail.contracts") / "examples"
FULL: dict[str, Any] = json.loads((EXAMPLES / "application.json").read_text())
MINIMAL: dict[str, Any] = json.loads((EXAMPLES / "application-minimal.json").read_text())


def changed(path: str, value: Any) -> dict[str, Any]:
    """The full example with the value at `path` (a pointer) replaced."""
    data = copy.deepcopy(FULL)
    *way, last = [int(step) if step.isdigit() else step for step in path.strip("/").split("/")]
    place: Any = data
    for step in way:
        place = place[step]
    place[last] = value
    return data


def leaves(data: Any, at: str = "") -> list[tuple[str, Any]]:
    """(pointer, value) of everything below `data`, containers included."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    below = [pair for name, value in items for pair in leaves(value, f"{at}/{name}")]
    return ([(at, data)] if at else []) + below


def problems(data: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as refusal:
        Application.model_validate(data)
    return {each.pointer: each.code for each in problems_of(refusal.value)}


@pytest.mark.parametrize("data", [FULL, MINIMAL])
def test_example_survives_the_way_there_and_back(data: dict[str, Any]) -> None:
    application = Application.model_validate(data)
    written = application.model_dump(mode="json", by_alias=True, exclude_none=True, context={"reveal": True})
    assert Application.model_validate(written) == application
    assert unknown_fields(Application, data) == unknown_fields(Application, written) == []


def test_full_example_uses_every_field_of_the_root() -> None:
    assert set(FULL) == {field.alias for field in Application.model_fields.values()}


def test_dump_without_a_key_shows_no_personal_text() -> None:
    shown = Application.model_validate(FULL).model_dump_json(by_alias=True)
    for secret in ("Fakely", "900000001", "Nowhere", "6175550100", "testa@", "1980-01-01", "Sally", "after 2 pm"):
        assert secret not in shown
        assert secret not in repr(Application.model_validate(FULL))


IDENTIFYING = ("name", "phone", "email", "line1", "line2", "city", "postal", "ssn", "birth", "description", "number")


def test_fields_that_identify_somebody_are_sensitive() -> None:
    def check(model: type[BaseModel], seen: set[type[BaseModel]]) -> None:
        if model in seen:
            return
        seen.add(model)
        for name, field in model.model_fields.items():
            kinds = list(kinds_in(field.annotation))
            if any(word in name for word in IDENTIFYING) and name != "text_version":
                assert all(issubclass(kind, Sensitive) for kind in kinds), (model, name)
            for kind in kinds:
                if issubclass(kind, BaseModel):
                    check(kind, seen)

    def kinds_in(annotation: Any) -> list[type]:
        parts = [part for part in getattr(annotation, "__args__", ()) if part not in (type(None), ...)]
        if parts:
            return [kind for part in parts for kind in kinds_in(part)]
        return [annotation] if isinstance(annotation, type) else []

    check(Application, set())


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("/requestedFinance/amount/amount", 50000.0, "amount"),
        ("/requestedFinance/amount/amount", "-1", "greater_than"),
        ("/requestedFinance/amount/amount", "1_000", "amount"),
        ("/requestedFinance/amount/amount", "١٢", "amount"),
        ("/requestedFinance/amount/amount", "NaN", "amount"),
        ("/requestedFinance/amount/currency", "usd", "string_pattern_mismatch"),
        ("/requestedFinance/term/value", True, "int_type"),
        ("/requestedFinance/term/value", "12", "int_type"),
        ("/requestedFinance/purpose", "world-domination", "enum"),
        ("/business/startDate", 1262304000, "date_format"),
        ("/business/startDate", "1262304000", "date_format"),
        ("/business/employees", True, "int_type"),
        ("/business/employees", 4.0, "int_type"),
        ("/business/industry/naics", "72251", None),
        ("/business/industry/naics", "٧٢", "string_pattern_mismatch"),
        ("/business/country", "USA", "string_pattern_mismatch"),
        ("/owners/0/ssn", "900-00-00011", "digits_length"),
        ("/owners/0/ssn", 900000001, "string_type"),
        ("/owners/0/birthDate", "1980-02-30", "date_value"),
        ("/owners/0/ownershipPercent", "100.01", "less_than_equal"),
        ("/owners/0/applicant", "true", "bool_type"),
        ("/owners/0/firstName", "x" * 201, "too_long"),
        ("/consents/0/givenAt", "2030-01-02T03:04:05", "time_format"),
        ("/consents/0/givenAt", 1893553445, "time_format"),
        ("/consents/1/partners", "forward-financing", "partner_scope"),
        ("/uploads/0/sha256", "ABC", "string_pattern_mismatch"),
        ("/equipment/0/quantity", 0, "greater_than_equal"),
        ("/mode", "production", "literal_error"),
        ("/owners", "Testa", "tuple_type"),
        ("/business", [], "model_type"),
    ],
)
def test_ambiguous_or_wrong_value(path: str, value: Any, code: str | None) -> None:
    data = changed(path, value)
    if code is None:
        Application.model_validate(data)
    else:
        assert problems(data) == {path: code}


def test_all_problems_come_at_once() -> None:
    data = changed("/owners/0/ssn", "12")
    del data["mode"], data["business"]["legalName"]
    data["owners"][1]["birthDate"] = "yesterday"
    assert set(problems(data)) == {"/owners/0/ssn", "/mode", "/business/legalName", "/owners/1/birthDate"}


def test_lists_are_bounded() -> None:
    assert problems(changed("/owners", FULL["owners"][:1] * 51)) == {"/owners": "too_long"}
    assert problems(changed("/metadata", {f"k{n}": "v" for n in range(101)})) == {"/metadata": "too_long"}


def test_unknown_fields_are_named_at_every_depth() -> None:
    data = changed("/owners/1/shoeSize", 44)
    data["requestedFinance"]["amount"]["cents"] = 0
    data["first/second~"] = 1
    data["business"]["legal_name"] = "Snake"
    assert sorted(unknown_fields(Application, data)) == [
        "/business/legal_name",
        "/first~1second~0",
        "/owners/1/shoeSize",
        "/requestedFinance/amount/cents",
    ]


def test_scopes() -> None:
    everyone = Application.model_validate(FULL)
    assert everyone.target_partners == ALL
    assert everyone.wants("anybody")
    assert everyone.consents_to("anybody")
    nobody = Application.model_validate(MINIMAL)
    assert nobody.wants("anybody")
    assert not nobody.consents_to("anybody")
    one = Application.model_validate(changed("/consents/0/partners", ["finpace"]))
    assert one.consents_to("finpace")
    assert not one.consents_to("forward-financing"), "a credit check is no consent to share"


CANARY = "canary-77-quoted"
JUNK = st.one_of(
    st.just(CANARY), st.just([CANARY]), st.just({CANARY: CANARY}), st.just(None), st.booleans(), st.integers(),
    st.floats(), st.text(max_size=20),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from([path for path, _ in leaves(FULL)]), junk=JUNK)
def test_no_junk_is_quoted_or_crashes(place: str, junk: Any) -> None:
    """Whatever stands in whatever place, the answer is an application or a list of problems without the value."""
    try:
        Application.model_validate(changed(place, junk))
    except ValidationError as refusal:
        told, text = problems_of(refusal), str(refusal)
        assert told
        assert all(CANARY not in each.message and each.pointer.startswith("/") for each in told)
        assert CANARY not in text
    unknown_fields(Application, changed(place, junk))


@given(st.recursive(JUNK, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_unknown_fields_takes_anything(data: Any) -> None:
    assert all(each.startswith("/") for each in unknown_fields(Application, data))


def test_json_schema_marks_sensitive_fields() -> None:
    schema = Application.model_json_schema(by_alias=True)
    owner = schema["$defs"]["Owner"]["properties"]
    assert owner["firstName"]["x-sensitive"] is True
    assert schema["properties"]["targetPartners"]["anyOf"][0] == {"const": "all"}
