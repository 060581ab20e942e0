"""JSON is read strictly: what is not plain interoperable JSON is a fault, told without the text."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lendrail.contracts.strict_json import MAX_DEPTH, BadJson, loads

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_json_writes_is_read_as_it_was(value: Any) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=True).encode()) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_fractions_are_exact(amount: Decimal) -> None:
    assert loads(f"[{amount:f}]") == [amount]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_faults(number: float) -> None:
    with pytest.raises(BadJson, match="NaN"):
        loads(json.dumps({"a": [number]}))


@given(st.text(), values, values)
def test_a_name_twice_is_a_fault(name: str, first: Any, second: Any) -> None:
    written = f'{{"x": {{{json.dumps(name)}: {json.dumps(first)}, {json.dumps(name)}: {json.dumps(second)}}}}}'
    with pytest.raises(BadJson, match="same name twice"):
        loads(written)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"Infinity")
def test_any_bytes_are_json_or_a_fault_that_quotes_nothing(data: bytes) -> None:
    fault = _fault(data)
    if fault is not None:
        assert fault.__cause__ is None
        assert fault.__suppress_context__ or fault.__context__ is None
        text, own_words = data.decode("latin-1"), "NaN and Infinity"
        assert len(text) < 8 or text not in str(fault).replace(own_words, "")


def _fault(data: bytes) -> BadJson | None:
    try:
        loads(data)
    except BadJson as fault:
        return fault
    return None


_FAULTS = [
    *(b"", b"\xff", b"\xef\xbb\xbf{}", b"{'a':1}", b"[1,]", b"{} {}", b"01", b"1e", b"\x00", b'"\x01"'),
    *("[\u0663]".encode(), b"[1_0]", b"[+1]", b"[.5]", b"[" + b"9" * 21 + b"]", b"[0." + b"9" * 40 + b"]"),
    *(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), b'{"a":' * 5000, b"[" * 200_000),
]


@pytest.mark.parametrize("data", _FAULTS, ids=lambda data: repr(data[:10]))
def test_faults(data: bytes) -> None:
    with pytest.raises(BadJson):
        loads(data)


def test_deep_enough_is_allowed() -> None:
    assert loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
