"""The wait that a refusal names, in every form that partners send it."""

import datetime as dt
import json
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendrail.partners.exchange import Rejected, Reply, RetryLater, Unknown
from lendrail.partners.refusals import Refusal, refused, retry_after

NOON = "Mon, 05 Jan 2026 12:00:00 GMT"
TABLE = (Refusal(429, "retry-later"),)


def reply(told: str | None, date: str | None = NOON, status: int = 429) -> Reply:
    named = {"retry-after": told, "date": date}
    return Reply(status, {name: value for name, value in named.items() if value is not None}, b"")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        (" 30 ", 30),
        ("3600", 3600),
        ("86400", 3600),
        ("999999999", 3600),
        ("Mon, 05 Jan 2026 12:00:45 GMT", 45),
        ("Mon, 05 Jan 2026 11:00:00 GMT", 1),
        ("Mon, 05 Jan 2037 12:00:00 GMT", 3600),
    ],
)
def test_named_wait(told: str, seconds: float) -> None:
    assert retry_after(reply(told)) == seconds


@pytest.mark.parametrize(
    "told",
    [
        None, "", "-1", "1.5", "1e3", "+5", "1_0", "٣٠", "soon", "7 s", "9999999999",
        "Monday, 05-Jan-26 12:00:45 GMT", "Mon Jan  5 12:00:45 2026", "Mon, 05 Jan 2026 12:00:45 +0100",
        "Mon, 45 Jan 2026 12:00:45 GMT", "Mon, 05 Jan 2026 25:00:45 GMT",
    ],
)  # fmt: skip
def test_what_names_no_wait(told: str | None) -> None:
    assert retry_after(reply(told)) is None
    assert refused("create", reply(told), TABLE, "fake", {}, 2.0) == RetryLater(2.0)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Jan 2026 12:00:00 GMT"])
def test_a_date_alone_tells_no_wait(date: str | None) -> None:
    assert retry_after(reply("Mon, 05 Jan 2026 12:00:45 GMT", date)) is None


def test_the_partners_clock_is_compared_with_itself() -> None:
    assert retry_after(reply("Sat, 01 Jan 2000 00:00:20 GMT", "Sat, 01 Jan 2000 00:00:00 GMT")) == 20


@pytest.mark.parametrize("texts", [None, "words", 7, [None], [["nested"]], {"more": []}])
def test_field_errors_that_cannot_be_read_name_no_field(texts: object) -> None:
    """A refusal stays one; what it says of fields is left out rather than guessed."""
    said = Reply(422, {}, json.dumps({"errors": {"name": texts}}).encode())
    came = refused("create", said, (Refusal(422, "rejected"),), "acme", {"name": "/business/legalName"}, 1)
    assert isinstance(came, Rejected)
    assert [(each.pointer, each.code) for each in came.problems] == [("", "refused")]


def test_trouble_is_no_refusal_whatever_wait_it_names() -> None:
    said = reply("30", status=503)
    assert refused("create", said, TABLE, "fake", {}, 2.0) == Unknown("status-503")
    assert retry_after(said) == 30


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT", fullmatch=True))
def test_no_text_breaks_it(told: str) -> None:
    seconds = retry_after(reply(told))
    assert seconds is None or 1 <= seconds <= 3600


@given(st.integers(1, 3600), st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2099, 1, 1)))
def test_dates_count_whole_seconds(seconds: int, sent: dt.datetime) -> None:
    sent = sent.replace(microsecond=0, tzinfo=dt.UTC)
    until = format_datetime(sent + dt.timedelta(seconds=seconds), usegmt=True)
    assert retry_after(reply(until, format_datetime(sent, usegmt=True))) == seconds
