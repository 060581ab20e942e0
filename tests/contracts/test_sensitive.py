"""Personal values show nothing anywhere, except to who reveals them or holds the key."""

import copy
import json
import logging
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.pretty import pretty_repr

from lendrail.contracts.problems import problems_of
from lendrail.contracts.sensitive import (
    MASK,
    Digits,
    Email,
    Phone,
    SealBroken,
    Sensitive,
    SensitiveDate,
    SensitiveText,
    Ssn,
    any_token,
)
from lendrail.contracts.terms import Model
from lendrail.runtime.vault import Key

KEY, OTHER = Key("app-1", b"1" * 32), Key("app-2", b"2" * 32)
CANARY = "Zelda-Canary-Fakename"
words = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=100).filter(str.strip)


class Person(Model):
    last_name: Sensitive
    notes: SensitiveText | None = None
    ssn: Ssn | None = None
    birth_date: SensitiveDate | None = None
    email: Email | None = None
    phone: Phone | None = None
    account: Digits | None = None


VALUES: dict[str, Any] = {
    "lastName": CANARY,
    "notes": f"{CANARY} called",
    "ssn": "900-12-3456",
    "birthDate": "1970-02-03",
    "email": "zelda.canary@example.test",
    "phone": "+1 202 555 0143",
    "account": "9000 1234 5678",
}
LEAKS = (CANARY, "900123456", "900-12-3456", "1970-02-03", "zelda.canary", "5550143", "555 0143", "900012345678")


def _leaks(shown: str) -> list[str]:
    return [leak for leak in LEAKS if leak in shown]


def test_nothing_is_shown_without_being_asked() -> None:
    person = Person.model_validate(VALUES)
    value = person.last_name
    shown = [
        repr(person),
        str(person),
        f"{value} {value!r}",
        "%s %r" % (value, value),  # noqa: UP031 - the way of the standard library's logging
        ascii(value),
        person.model_dump_json(),
        person.model_dump_json(by_alias=True, context={}),
        json.dumps(person.model_dump(mode="json")),
        repr(person.model_dump()),
        repr(vars(person)),
        repr({"a": [value]}),
        repr(copy.copy(person)),
        repr(person.model_copy()),
        logging.LogRecord("x", 20, "x", 1, "%s", (value,), None).getMessage(),
        pretty_repr(person),
    ]
    assert not [leaked for text in shown for leaked in _leaks(text)]
    assert person.model_dump(mode="json")["last_name"] == MASK


def test_copies_stay_masked_and_whole() -> None:
    person = Person.model_validate(VALUES)
    for twin in (copy.copy(person), copy.deepcopy(person), person.model_copy(deep=True)):
        assert twin == person
        assert not _leaks(repr(twin))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_value_cannot_be_pickled(protocol: int) -> None:
    """A pickle would carry the plain text to wherever pickles go: caches, worker queues, crash reports."""
    for value in (Sensitive(CANARY), Sensitive.sealed(KEY.seal(CANARY), KEY), Person.model_validate(VALUES)):
        with pytest.raises(TypeError) as fault:
            pickle.dumps(value, protocol)
        assert not _leaks(str(fault.value))


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("ssn", CANARY),
        ("ssn", "900-12-34567"),
        ("birthDate", f"1970-02-31 {CANARY}"),
        ("birthDate", "1970-02-31"),
        ("email", CANARY),
        ("phone", CANARY),
        ("account", CANARY),
        ("lastName", CANARY * 50),
        ("lastName", f"{CANARY}\x00"),
        ("lastName", {"a": CANARY}),
        ("lastName", [CANARY]),
    ],
)
def test_errors_quote_nothing(field: str, bad: Any) -> None:
    with pytest.raises(ValidationError) as fault:
        Person.model_validate(VALUES | {field: bad})
    error = fault.value
    told = [str(problem) for problem in problems_of(error)]
    shown = [str(error), repr(error), "".join(traceback.format_exception(error)), *told]
    assert told
    assert not [leaked for text in shown for leaked in _leaks(text)]


@given(words)
def test_a_value_survives_sealing_and_only_its_key_opens_it(text: str) -> None:
    person = Person(last_name=Sensitive(text))
    sealed = person.model_dump_json(by_alias=True, exclude_none=True, context={"key": KEY})
    token = json.loads(sealed)["lastName"]
    assert any_token(token)
    read = Person.model_validate_json(sealed, context={"key": KEY})
    assert read == person
    assert read.last_name.reveal() == text.strip()
    assert read.model_dump_json(by_alias=True, exclude_none=True, context={"key": KEY}) == sealed
    with pytest.raises(SealBroken) as fault:
        Person.model_validate_json(sealed, context={"key": OTHER}).last_name.reveal()
    assert text.strip() not in str(fault.value) or len(text) < 20


@given(words)
def test_plain_text_is_refused_where_a_token_must_be(text: str) -> None:
    with pytest.raises(ValidationError, match="must be sealed"):
        Person.model_validate({"lastName": text if not any_token(text) else "x"}, context={"key": KEY})


def test_a_token_is_just_text_where_plain_text_is_expected() -> None:
    """A caller cannot make us open a token by sending one."""
    token = KEY.seal(CANARY)
    assert Person.model_validate({"lastName": token}).last_name.reveal() == token


@given(st.binary(max_size=80))
def test_altered_tokens_do_not_open(noise: bytes) -> None:
    good = KEY.seal(CANARY)
    for token in (good[:-4], good[:20] + "A" + good[21:] if good[20] != "A" else good[:20] + "B" + good[21:],
                  "enc1:" + noise.hex(), good + "A"):  # fmt: skip
        with pytest.raises(SealBroken):
            KEY.open(token)


@given(st.from_regex(r"[0-9]{9}", fullmatch=True), st.sampled_from(["", "-", " ", "."]))
def test_separators_in_numbers_mean_nothing(digits: str, separator: str) -> None:
    assert Ssn(separator.join((digits[:3], digits[3:5], digits[5:]))).reveal() == digits


@given(st.text(st.characters(categories=["Nd"], exclude_characters="0123456789"), min_size=9, max_size=9))
def test_digits_of_other_scripts_are_refused(text: str) -> None:
    with pytest.raises(Exception, match="digits"):
        Ssn(text)
