"""The registry's list of all that happened. No I/O."""

import datetime as dt
import json
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.monetago.making import (
    NOW,
    REQUEST_ID,
    reply,
)

from lendrail.partners.exchange import (
    Hint,
    Page,
    Reply,
    Request,
)
from lendrail.partners.monetago import mapping, profile, results


def test_activity_calls() -> None:
    first = mapping.activity(None, NOW)
    assert first.query == (("limit", "1000"), ("offset", "0"))
    later = mapping.activity("2030-01-02T03:04:05.006Z 1000", NOW)
    assert later.query == (("after", "2030-01-02T03:04:05.006Z"), *first.query)
    assert mapping.activity("2030-01-02T03:04:05.006Z 2000", NOW).query[1] == ("limit", "2000")
    future = mapping.activity("2099-01-01T00:00:00.000Z", NOW)
    assert future.query[0] == ("after", "2030-01-02T02:30:00.000Z"), "an hour before our own time"
    assert all(name != "before" for name, _ in later.query)


def test_activity_page() -> None:
    page = results.page(reply("activity"))
    assert page == Page(
        (
            Hint(REQUEST_ID, "STATUS_CHANGED REDU 2030-01-02T03:05:00.000Z", "test_set_1"),
            Hint("", "STATUS_CHANGED REGU 2030-01-02T03:05:00.001Z", "test_set_2"),
        ),
        "2030-01-02T03:04:55.001Z",
    )
    assert results.page(reply("activity", {"activity": []})) == Page((), None)
    junks: list[Any] = [{}, [], {"activity": None}, {"activity": {}}, {"events": []}]
    assert [results.page(reply("activity", each)) for each in junks] == [None] * len(junks)
    assert results.page(Reply(500, {}, b'{"activity": []}')) is None


def test_full_page_that_gives_no_order_is_not_believed() -> None:
    def event(time: Any) -> dict[str, Any]:
        return {"event_time": time, "request_identification": "x"}

    times = ["2030-01-02T03:05:00.001Z", "2030-01-02T03:05:00.000Z"]
    with patch.object(profile, "PAGE", 2):
        assert results.page(reply("activity", {"activity": [event(each) for each in times]})) is None
        assert results.page(reply("activity", {"activity": [event(times[1]), event("soon")]})) is None
        assert results.page(reply("activity", {"activity": [event(each) for each in reversed(times)]})) is not None


def served(
    events: list[tuple[int, str]], inclusive: bool, clock: dt.datetime | None = None
) -> Callable[[Request], Reply]:
    """A partner with these events (milliseconds, id), whose `after` includes its own moment or does not, and whose
    replies tell its time, if it has a `clock`.
    """
    headers = {"date": format_datetime(clock, usegmt=True)} if clock else {}

    def serve(request: Request) -> Reply:
        query = dict(request.query)
        after = query.get("after", "")
        told = [
            {"event_time": results.stamp(NOW - dt.timedelta(hours=1) + dt.timedelta(milliseconds=at)), "id": name}
            for at, name in sorted(events)
        ]
        fits = [each for each in told if each["event_time"] > after or (inclusive and each["event_time"] == after)]
        start = int(query["offset"])
        shown = [each | {"request_identification": each.pop("id")} for each in fits[start:][: int(query["limit"])]]
        return Reply(200, headers, json.dumps({"activity": shown}).encode())

    return serve


@settings(max_examples=200, deadline=None)
@given(
    times=st.lists(st.integers(0, 8).map(lambda n: n * n * 700), max_size=25),
    known=st.integers(0, 25),
    size=st.integers(1, 6),
    inclusive=st.booleans(),
)
def test_feed_loses_no_event_however_pages_fall(times: list[int], known: int, size: int, inclusive: bool) -> None:
    """Some events are there at the first look, the rest come before the second: several share one moment, and a page
    may end among them.
    """
    events = [(at, f"e{place}") for place, at in enumerate(sorted(times))]
    seen, cursor = set[str](), None
    with patch.object(profile, "PAGE", size):
        for visible in (events[:known], events):
            serve = served(visible, inclusive)
            for _ in range(len(events) + 2):  # looks that are a while apart
                more = True
                while more:
                    page = results.page(serve(mapping.activity(cursor, NOW)))
                    assert page is not None
                    assert not page.more or page.cursor != cursor, "another page is another one"
                    seen |= {each.partner_id for each in page.hints}
                    cursor, more = page.cursor or cursor, page.more
    assert seen == {name for _, name in events}


BEGIN = NOW - dt.timedelta(hours=1)
"""The time of an event at 0 ms."""


def read(serve: Callable[[Request], Reply], cursor: str | None, ours: dt.datetime) -> tuple[set[str], str | None]:
    """All pages of one turn, as often as it takes."""
    seen = set[str]()
    for _ in range(12):
        more = True
        while more:
            page = results.page(serve(mapping.activity(cursor, ours)))
            assert page is not None
            seen |= {each.partner_id for each in page.hints}
            cursor, more = page.cursor or cursor, page.more and page.cursor != cursor
    return seen, cursor


@settings(max_examples=200, deadline=None)
@given(
    skew=st.sampled_from([-86_400, -3600, -600, -7, 0, 7, 600, 3600, 86_400]),
    wrong=st.sampled_from([0, 30, 3000, 10**7]),
    size=st.integers(2, 6),
    clock=st.booleans(),
    inclusive=st.booleans(),
)
def test_no_clock_hides_an_event(skew: int, wrong: int, size: int, clock: bool, inclusive: bool) -> None:
    """Ours is wrong by `skew` seconds against the partner's, and one of its events is dated `wrong` seconds ahead. Turn
    for turn there are more events, and none is missed. Only both faults, an hour of ours, and a partner that tells no
    time are too many.
    """
    if wrong and skew >= profile.LOOK_BACK_SECONDS and not clock:
        return
    events, seen, cursor = [(1000, "e0"), (1000 + wrong * 1000, "wrong")], set[str](), None
    for turn in range(1, 6):
        at = turn * 10_000
        events += [(at - 4000, f"a{turn}"), (at - 4000, f"b{turn}"), (at - 200, f"c{turn}")]
        theirs = BEGIN + dt.timedelta(milliseconds=at)
        serve = served(events, inclusive, theirs if clock else None)
        with patch.object(profile, "PAGE", size):
            found, cursor = read(serve, cursor, theirs + dt.timedelta(seconds=skew))
        seen |= found
        assert seen == {name for _, name in events}, turn
