"""What a lender's mail server says, and what that means."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.email_lender.making import (
    PARTNER,
    RECORDED,
    made,
)

from lendrail.partners.email_lender import profile
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)


def reply(name: str) -> Reply:
    return Reply(RECORDED[name]["status"], {}, RECORDED[name]["text"].encode())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_replies(name: str) -> None:
    came, status = PARTNER.outcome(made(), reply(name)), RECORDED[name]["status"]
    if status == 250:
        assert came == Accepted(), "there is no id to look up"
    elif status < 500:
        assert came == RetryLater(profile.RETRY_AFTER_SECONDS)
    elif status in (530, 534, 535, 538):
        assert came == CredentialRefused()
    else:
        assert isinstance(came, Rejected)
        ((pointer, code),) = [(each.pointer, each.code) for each in came.problems]
        assert (pointer, code) == ("", "refused")
        assert came.words is not None
        assert came.words.reveal() == RECORDED[name]["text"]
        assert "nobody@" not in came.problems[0].message


HOSTILE = [
    b"",
    b"<html>",
    b"\xff\xfe\x00",
    b"x" * 100_000,
    b"[" * 10_000,
    b"NaN",
    b"\x00\r\n250 ok",
    "ł".encode("utf-16"),
]


@settings(max_examples=200, deadline=None)
@given(st.integers(-1, 999), st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=300)))
def test_only_250_takes_a_mail_whatever_is_said_with_it(status: int, words: bytes) -> None:
    came = PARTNER.outcome(made_once(), Reply(status, {}, words))
    assert isinstance(came, Accepted) == (status == 250)
    assert isinstance(came, Unknown) == (status != 250 and not 400 <= status < 600)


_ONCE: list[Request] = []


def made_once() -> Request:
    if not _ONCE:
        _ONCE.append(made())
    return _ONCE[0]
