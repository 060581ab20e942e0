"""Two applications have a common fingerprint when the same business or owner asks for the same."""

import datetime as dt
from typing import Any

import pytest
from tests.make import NOW
from tests.validation.sound import sound_json

from lendrail.contracts.application import Application
from lendrail.runtime.fingerprint import derive, fingerprints
from lendrail.validation.duplicates import Seen, Wish

KEY = derive(b"1" * 32)


def marks(tenant: str = "demo", key: bytes = KEY, **changes: Any) -> set[str]:
    data = sound_json(**{name: value for name, value in changes.items() if name != "amount"})
    if "amount" in changes:
        data["requestedFinance"]["amount"] = changes["amount"]
    return set(fingerprints(key, tenant, Application.model_validate(data)))


def business(number: str) -> dict[str, Any]:
    made: dict[str, Any] = sound_json()["business"]
    return made | {"registrations": [{"scheme": "ein", "country": "US", "number": number}]}


def owners(ssn: str) -> list[dict[str, Any]]:
    return [sound_json()["owners"][0] | {"ssn": ssn}]


def test_the_same_business_or_the_same_owner_is_enough() -> None:
    first = marks(business=business("99-0000001"), owners=owners("900-00-0001"))
    assert first & marks(business=business("990000001"), owners=owners("900-00-0009"))
    assert first & marks(business=business("99-0000002"), owners=owners("900 00 0001"))
    assert not first & marks(business=business("99-0000002"), owners=owners("900-00-0009"))


@pytest.mark.parametrize(
    ("amount", "same"),
    [
        ({"amount": "50000.00", "currency": "USD"}, True),
        ({"amount": "50000.01", "currency": "USD"}, False),
        ({"amount": "50000", "currency": "EUR"}, False),
        ({"amount": "5000", "currency": "USD"}, False),
    ],
)
def test_the_amount_counts_and_not_its_spelling(amount: dict[str, str], same: bool) -> None:
    assert bool(marks() & marks(amount=amount)) == same


def test_tenants_and_keys_are_apart_and_nothing_is_readable() -> None:
    assert not marks() & marks(tenant="other")
    assert not marks() & marks(key=derive(b"2" * 32))
    assert all(len(mark) == 64 and "900000001" not in mark for mark in marks())


def test_a_bank_is_no_business() -> None:
    bank = [{"scheme": "bic", "country": "US", "number": "FAKEUS00"}]
    assert not marks(business=sound_json()["business"] | {"registrations": bank}, owners=[])


def test_only_another_application_within_the_window_counts() -> None:
    seen = Seen(dt.timedelta(hours=24))
    seen.add(Wish("first", ("a", "b"), NOW))
    day = dt.timedelta(hours=24)
    assert seen.earlier(Wish("second", ("b",), NOW + day)) == "first"
    assert seen.earlier(Wish("second", ("b",), NOW + day + dt.timedelta(seconds=1))) is None
    assert seen.earlier(Wish("first", ("a",), NOW)) is None
    assert seen.earlier(Wish("second", ("c",), NOW)) is None
    seen.add(Wish("first", ("b", "c"), NOW))
    found = {mark: seen.earlier(Wish("second", (mark,), NOW)) for mark in "abc"}
    assert found == {"a": None, "b": "first", "c": "first"}
