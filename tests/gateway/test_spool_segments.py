"""The bytes of a spool file: what was written opens, whole; what was torn, moved, cut or altered does not pass."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendrail.gateway.webhooks.segments import (
    HEAD,
    LENGTH,
    LONGEST_RECORD,
    Keys,
    NoKey,
    new_head,
    opened,
    read_keys,
    sealed,
)

OLD, NEW = os.urandom(32), os.urandom(32)
KEYS = Keys([NEW])
Plains = st.lists(st.binary(max_size=300), min_size=1, max_size=6)


def parts_of(plains: list[bytes]) -> list[bytes]:
    head = new_head(KEYS)
    return [head, *(sealed(KEYS, head, number, plain) for number, plain in enumerate(plains))]


@given(Plains)
def test_what_was_written_opens(plains: list[bytes]) -> None:
    found = opened(KEYS, b"".join(parts_of(plains)))
    assert (found.records, found.damaged) == (tuple(plains), False)


@given(Plains, st.data())
def test_a_torn_end_takes_nothing_along(plains: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere: exactly the records before the cut are there, and nobody is alarmed."""
    parts = parts_of(plains)
    content = b"".join(parts)
    cut = data.draw(st.integers(0, len(content)))
    whole = sum(1 for n in range(1, len(parts)) if len(b"".join(parts[: n + 1])) <= cut)
    found = opened(KEYS, content[:cut])
    assert (found.records, found.damaged) == (tuple(plains[:whole]), False)


@given(Plains, st.binary(max_size=80))
def test_noise_behind_the_end_is_no_record(plains: list[bytes], noise: bytes) -> None:
    assert opened(KEYS, b"".join(parts_of(plains)) + noise).records == tuple(plains)


@settings(max_examples=200)
@given(Plains, st.data())
def test_one_wrong_bit_never_gives_another_record(plains: list[bytes], data: st.DataObject) -> None:
    content = bytearray(b"".join(parts_of(plains)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = opened(KEYS, bytes(content))
    except NoKey:
        return
    assert len(found.records) < len(plains)
    assert [each for each in plains if each in found.records] or not found.records
    assert set(found.records) <= set(plains)


def test_a_lost_record_with_good_ones_behind_it_is_told() -> None:
    parts = parts_of([b"one", b"two", b"three"])
    spoilt = bytearray(parts[2])
    spoilt[LENGTH + 3] ^= 1
    found = opened(KEYS, b"".join([*parts[:2], bytes(spoilt), parts[3]]))
    assert (found.records, found.damaged) == ((b"one", b"three"), True)
    assert opened(KEYS, b"X" * 500).damaged, "no file of ours"


def test_records_cannot_change_places_or_files() -> None:
    head, first, second = parts_of([b"one", b"two"])
    other = new_head(KEYS)
    assert opened(KEYS, head + second + first).records == ()
    assert opened(KEYS, head + second).records == ()
    assert opened(KEYS, other + first + second).records == ()


def test_keys_rotate_and_a_missing_one_is_told(tmp_path: Path) -> None:
    file = tmp_path / "spool.key"
    lines = [base64.b64encode(each).decode() for each in (NEW, OLD)]
    file.write_text("\n".join(lines) + "\n")
    both, old = read_keys(file), Keys([OLD])
    head = new_head(old)
    written = head + sealed(old, head, 0, b"earlier")
    assert opened(both, written).records == (b"earlier",)
    with pytest.raises(NoKey):
        opened(KEYS, written)
    assert new_head(both)[:16] == new_head(KEYS)[:16], "the first key seals"
    assert OLD not in written
    assert b"earlier" not in written


@pytest.mark.parametrize("content", ["", "AAAA", "not base64", "\xff", base64.b64encode(bytes(31)).decode()])
def test_a_key_file_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "spool.key").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=r"spool\.key") as caught:
        read_keys(tmp_path / "spool.key")
    assert not content or content not in str(caught.value)


def test_a_record_has_a_limit() -> None:
    head = new_head(KEYS)
    assert opened(KEYS, head + sealed(KEYS, head, 0, bytes(LONGEST_RECORD))).records == (bytes(LONGEST_RECORD),)
    with pytest.raises(ValueError):
        sealed(KEYS, head, 0, bytes(LONGEST_RECORD + 1))
    assert len(head) == HEAD
