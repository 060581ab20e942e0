"""What leaves an upstream system in clear, and what only the tenant's key opens."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey

from lendrail.local.sample import applications
from lendrail.local.seal import ALGORITHM, ENCRYPTION, sealed

KEY = ECKey.generate_key("P-256", auto_kid=True)


def opened(token: str) -> dict[str, Any]:
    plain = jwe.decrypt_compact(token, KEY, algorithms=[ALGORITHM, ENCRYPTION]).plaintext
    found: dict[str, Any] = json.loads(plain or b"")
    return found


def put_back(application: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What the receiver does: each value to its pointer."""
    whole: dict[str, Any] = json.loads(json.dumps(application))
    for pointer, value in values.items():
        at: Any = whole
        *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        at[last] = value
    return whole


@pytest.fixture(scope="module")
def samples(project: Any) -> list[dict[str, Any]]:
    return list(applications(project / "examples" / "sba-7a-sample.csv", 40))


def test_no_personal_value_is_left_in_clear(samples: list[dict[str, Any]]) -> None:
    for application in samples:
        clear, token = sealed(application, KEY)
        assert token is not None
        owner = application["owners"][0]
        for value in (owner["ssn"], owner["lastName"], owner["email"], owner["birthDate"], owner["address"]["line1"]):
            assert value not in json.dumps(clear)
        assert clear["requestedFinance"]["amount"] == application["requestedFinance"]["amount"]


def test_the_receiver_gets_back_exactly_what_was_sealed(samples: list[dict[str, Any]]) -> None:
    for application in samples:
        clear, token = sealed(application, KEY)
        assert put_back(clear, opened(token or "")) == application


def test_nothing_personal_means_no_token() -> None:
    assert sealed({"mode": "test"}, KEY) == ({"mode": "test"}, None)


@given(st.text(min_size=1), st.text())
def test_any_metadata_name_survives_its_pointer(name: str, value: str) -> None:
    clear, token = sealed({"metadata": {name: value}}, KEY)
    assert clear == {"metadata": {}}
    assert put_back(clear, opened(token or "")) == {"metadata": {name: value}}


def test_values_of_a_wrong_type_are_sealed_too() -> None:
    clear, token = sealed({"owners": [{"ssn": 900000001}]}, KEY)
    assert clear == {"owners": [{}]}
    assert opened(token or "") == {"/owners/0/ssn": 900000001}
