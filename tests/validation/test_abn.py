"""The rule of an ABN's digits, who is asked about, and what the register's word changes. Pure."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.make import NOW
from tests.validation.sound import sound, sound_json

from lendrail.contracts.application import Application
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible, Ineligible
from lendrail.contracts.terms import FieldProblem
from lendrail.partners.abn_lookup import Finding
from lendrail.validation.abn import Fact, concluded, digits_of, problems, subject
from lendrail.validation.validate import read

SOUND = "89000000019"


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Sound numbers: nine digits that may be any, and the two before them that make the check right."""
    rest = draw(st.text("0123456789", min_size=9, max_size=9))
    return next(f"{check}{rest}" for check in range(11, 100) if digits_of(f"{check}{rest}"))


def business(country: str = "AU", *registrations: tuple[str, str], **changes: Any) -> Application:
    data = sound_json()
    data["business"] |= {"country": country, **changes}
    data["business"]["registrations"] = [
        {"scheme": scheme, "country": country, "number": number} for scheme, number in registrations
    ]
    return Application.model_validate(data)


@given(numbers(), st.integers(0, 10), st.sampled_from("0123456789"))
def test_every_wrong_digit_is_found(number: str, at: int, digit: str) -> None:
    wrong = number[:at] + digit + number[at + 1 :]
    assert (digits_of(wrong) is None) == (wrong != number)


@given(numbers(), st.integers(0, 10), st.integers(0, 10))
def test_any_two_digits_that_changed_places_are_found(number: str, one: int, other: int) -> None:
    swapped = list(number)
    swapped[one], swapped[other] = number[other], number[one]
    assert (digits_of("".join(swapped)) is None) == ("".join(swapped) != number)


@given(st.text(max_size=14))
def test_only_eleven_plain_digits_are_a_number(text: str) -> None:
    digits = digits_of(text)
    assert digits is None or (len(digits) == 11 and digits.isascii() and digits.isdigit())


@pytest.mark.parametrize("text", ["89 000 000 019", "89-000-000-019", "89\u00a0000\u00a0000\u00a0019", " 89000000019 "])
def test_gaps_do_not_count(text: str) -> None:
    assert digits_of(text) == SOUND


@pytest.mark.parametrize(
    "text", ["", "8900000001", "089000000019", "8900000001x", "٨٩٠٠٠٠٠٠٠١٩", "89_000_000_019", "ABN 89000000019"]
)
def test_everything_else_does(text: str) -> None:
    assert digits_of(text) is None


def test_the_rule_points_at_each_wrong_number_and_quotes_none() -> None:
    data = sound_json()
    data["business"]["registrations"] = [
        {"scheme": "abn", "country": "AU", "number": SOUND},
        {"scheme": "abn", "country": "AU", "number": "89000000018"},
        {"scheme": "ein", "country": "US", "number": "99-0000001"},
        {"scheme": "abn", "country": "US", "number": "Mocka"},
    ]
    application, _ = read(data)
    assert application is not None
    found = list(problems(application))
    assert [(each.pointer, each.code, each.phase) for each in found] == [
        ("/business/registrations/1/number", "abn-invalid", "backend"),
        ("/business/registrations/3/number", "abn-invalid", "backend"),
    ]
    assert "89000000018" not in repr(found)
    assert "Mocka" not in repr(found)


def test_who_is_asked_about() -> None:
    assert subject(None) is None
    assert subject(sound()) is None, "it has an ABN and is no Australian business"
    assert subject(business("AU", ("acn", "000000019"))) is None
    assert subject(business("AU", ("abn", "89000000018"))) is None
    asked = subject(business("AU", ("acn", "000000019"), ("abn", "89000000018"), ("abn", "89 000 000 019")))
    assert asked is not None
    assert (asked.pointer, asked.asked.abn) == ("/business/registrations/2/number", SOUND)
    assert asked.asked.names == ("Fake Bakery LLC", "Fake Bakery")
    assert SOUND not in repr(asked)
    assert "Bakery" not in repr(asked)
    alone = subject(business("AU", ("abn", SOUND), tradingName=None))
    assert alone is not None
    assert alone.asked.names == ("Fake Bakery LLC",)


REASON = FieldProblem(pointer="/x", code="missing", message="is required", phase="partner", partner="p-two")
WRONG = FieldProblem(pointer="/y", code="missing", message="is required")
POINTER = "/business/registrations/0/number"


def validated() -> ApplicationValidated:
    application = sound()
    return ApplicationValidated(
        application_id="00000000-0000-7000-8000-000000000001",
        tenant_id="demo",
        mode="test",
        revision=1,
        received_at=NOW,
        application=application,
        eligible=(Eligible(partner="p-one", credential="c", opportunity_id="00000000-0000-7000-8000-000000000002"),),
        ineligible=(
            Ineligible(partner="p-two", opportunity_id="00000000-0000-7000-8000-000000000003", reasons=(REASON,)),
        ),
    )


def rejected() -> ApplicationRejected:
    about = {name: getattr(validated(), name) for name in ("application_id", "tenant_id", "mode", "revision")}
    return ApplicationRejected(**about, received_at=NOW, problems=(WRONG,))


def after(fact: Fact, result: Any, code: str) -> Fact:
    return concluded(fact, POINTER, Finding(result=result, code=code), NOW + dt.timedelta(seconds=1))


@pytest.mark.parametrize(
    ("result", "code"), [("passed", "matches"), ("failed", "name-differs"), ("not-checked", "too-slow")]
)
def test_a_word_that_rejects_nothing_is_passed_on(result: str, code: str) -> None:
    fact = after(validated(), result, code)
    assert isinstance(fact, ApplicationValidated)
    assert [(each.name, each.result, each.code) for each in fact.checks] == [("abn", result, code)]
    assert fact.checks[0].checked_at == NOW + dt.timedelta(seconds=1)
    assert fact.model_copy(update={"checks": ()}) == validated()
    assert after(rejected(), result, code) == rejected()


@pytest.mark.parametrize("code", ["abn-not-found", "abn-cancelled"])
def test_a_word_that_rejects_joins_what_else_is_wrong(code: str) -> None:
    fact = after(validated(), "rejected", code)
    assert isinstance(fact, ApplicationRejected)
    assert [(each.pointer, each.code, each.phase) for each in fact.problems] == [
        (POINTER, code, "backend"),
        ("/x", "missing", "partner"),
    ]
    assert fact.references == validated().application.external_references
    assert (fact.id, fact.revision, fact.received_at) == (rejected().id, 1, NOW)
    both = after(rejected(), "rejected", code)
    assert isinstance(both, ApplicationRejected)
    assert [each.code for each in both.problems] == ["missing", code]
