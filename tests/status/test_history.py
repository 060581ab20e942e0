"""What we knew at a time is exactly the version that had been told by then; what was true is told apart from it."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.make import NOW
from tests.status.test_fold import histories, report, seen, validated

from lendrail.contracts.event import decode
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Status
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key
from lendrail.status.folding.cause import cause
from lendrail.status.folding.fold import fold
from lendrail.status.folding.history import Moments, heard_by, moments, shown_at, state_of
from lendrail.status.folding.observation import Observation, State
from lendrail.status.folding.written import Heard, Subject, cause_of, read, stored, together, told_at, written
from lendrail.status.polling.fetch import asked_for

APPLICATION = "0198d3c5-8f00-7000-8000-000000000001"
KEY = Key(APPLICATION, b"k" * 32)
SUBJECT = Subject("0198d3c5-8f00-5000-8000-000000000002", APPLICATION, "tenant", "test")
EVENT = cause_of({"id": "e", "correlation_id": "c", "traceparent": None})
STEP = dt.timedelta(milliseconds=1)


def as_stored(document: Document | None, heard: list[Observation], now: dt.datetime) -> Document | None:
    """What the store holds after a write at `now`."""
    told = [Heard(SUBJECT, each, KEY, EVENT) for each in heard]
    known, fresh = together(document, told)
    change = written(document, known, fresh, told[-1], now)
    if change is None:
        return document
    before = document["observations"] if document else []
    return change.after | {"observations": [*before, *(stored(each) for each in change.fresh)]}


WRITES = st.lists(st.tuples(st.integers(1, 3), st.integers(-2, 3)), min_size=8, max_size=8)


@settings(deadline=None, max_examples=150)
@given(histories(), WRITES, st.integers(-1, 30))
def test_what_we_knew_is_the_version_that_was_told_by_then(
    heard: list[Observation], writes: list[tuple[int, int]], asked: int
) -> None:
    """Several at once, one by one, again; written by clocks that go back, too."""
    document: Document | None = None
    clock, published = NOW, []
    left = list(heard)
    for size, passed in writes:
        clock += passed * STEP
        batch, left = left[:size] or heard[:1], left[size:]
        sent = len(document["outbox"]) if document else 0
        document = as_stored(document, batch, clock)
        assert document is not None
        published += document["outbox"][sent:]
    assert document is not None
    at = NOW + asked * STEP
    told = [each for each in published if told_at(each) <= at]
    wanted = decode(StatusUpdated, told[-1]["value"], KEY) if told else None
    shown = shown_at(document, KEY, at)
    assert (shown and shown.model_dump()) == (wanted and wanted.model_dump())
    assert [told_at(each) for each in published] == sorted(told_at(each) for each in published)
    then = heard_by(read(document, KEY).observations, Moments(known_at=at))
    assert bool(then) == (shown is not None)
    if shown is not None:  # the same rules come to the same from what was stored by then
        assert fold(then).looks_like(state_of(shown))
    whole = Moments(known_at=clock + dt.timedelta(days=1), as_of=NOW + dt.timedelta(days=30))
    assert fold(heard_by(read(document, KEY).observations, whole)) == fold(read(document, KEY).observations)


def test_a_clock_that_goes_back_changes_nothing_that_was_known() -> None:
    first = as_stored(None, [validated(), report(0, Status.IN_REVIEW)], NOW)
    behind = as_stored(first, [report(1, Status.APPROVED)], NOW - dt.timedelta(hours=1))
    assert first is not None
    assert behind is not None
    for ago in (NOW - STEP, NOW - dt.timedelta(minutes=30), NOW - dt.timedelta(hours=1)):
        shown = shown_at(behind, KEY, ago)
        assert shown is None, f"{shown.status} was shown and is not what was told"
    now = shown_at(behind, KEY, NOW)
    assert now is not None
    assert now.status is Status.APPROVED


def test_what_was_true_is_not_what_we_knew() -> None:
    """On the third the partner tells that it declined on the first."""
    early = report(0, Status.IN_REVIEW)
    day = 86_400
    late = seen(day, report(0, Status.DECLINED).said, "csv", "late", received_at=NOW + dt.timedelta(days=3))
    document = as_stored(None, [validated(), early], NOW)
    document = as_stored(document, [late], NOW + dt.timedelta(days=3))
    assert document is not None
    second = NOW + dt.timedelta(days=2)
    known, shown = read(document, KEY).observations, shown_at(document, KEY, second)
    assert shown is not None
    assert shown.status is Status.IN_REVIEW
    assert fold(heard_by(known, Moments(as_of=second))).status is Status.DECLINED
    assert fold(heard_by(known, Moments(as_of=second, known_at=second))).status is Status.IN_REVIEW
    assert heard_by(known, Moments(as_of=NOW - STEP)) == []
    assert shown_at(document, KEY, NOW - STEP) is None


def test_what_is_stored_of_an_older_release_was_known_when_it_was_received() -> None:
    old = seen(5, report(0, Status.APPROVED).said)
    assert heard_by([old], Moments(known_at=old.received_at)) == [old]
    assert heard_by([old], Moments(known_at=old.received_at - STEP)) == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-02T11:00:00Z", dt.datetime(2026, 3, 2, 11, tzinfo=dt.UTC)),
        ("2026-03-02t11:00:00.5z", dt.datetime(2026, 3, 2, 11, 0, 0, 500_000, tzinfo=dt.UTC)),
        ("2026-03-02T12:00:00+01:00", dt.datetime(2026, 3, 2, 11, tzinfo=dt.UTC)),
        ("2026-03-02T11:00:00.123456789-00:00", dt.datetime(2026, 3, 2, 11, 0, 0, 123_456, tzinfo=dt.UTC)),
    ],
)
def test_times_are_those_of_rfc_3339(text: str, at: dt.datetime) -> None:
    now = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    assert moments([("asOf", text)], now) == Moments(as_of=at)
    assert moments([("knownAt", text)], now) == Moments(known_at=at)
    assert moments([], now).are_now


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "Testa", "2026-03-02", "2026-03-02T11:00:00", "2026-03-02T11:00Z", "20260302T110000Z", "1772449200",
        "2026-03-02T12:00:00 01:00", "2026-02-30T11:00:00Z", "2026-03-02T24:30:00Z", "2026-03-02T11:00:60Z",
        "2026-W10-1T11:00:00Z", "٢٠٢٦-03-02T11:00:00Z", "2026-03-02T11:00:00Z\n", "2026-03-04T00:00:00Z",
        "0001-01-01T00:00:00+23:59", "2026-03-02T11:00:00+25:00",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["asOf", "knownAt"])
def test_other_times_are_refused_with_what_to_change(name: str, text: str) -> None:
    with pytest.raises(Problem) as refused:
        moments([(name, text)], dt.datetime(2026, 3, 3, tzinfo=dt.UTC))
    assert (refused.value.status, refused.value.code) == (400, "time-invalid")
    assert name in str(refused.value.detail)
    assert "Testa" not in str(refused.value.detail)


def test_another_name_is_not_taken_for_none() -> None:
    """`asof` would show what holds now, and look as if it had held then."""
    with pytest.raises(Problem) as refused:
        moments([("asof", "2026-03-02T11:00:00Z")], dt.datetime(2026, 3, 3, tzinfo=dt.UTC))
    assert "asOf, knownAt" in refused.value.errors[0].message


def test_a_time_is_stated_once() -> None:
    text = "2026-03-02T11:00:00Z"
    with pytest.raises(Problem) as refused:
        moments([("asOf", text), ("asOf", text)], dt.datetime(2026, 3, 3, tzinfo=dt.UTC))
    assert refused.value.detail == "State asOf once."


def state_by(each: Observation) -> State:
    return fold([each])


def test_each_stretch_of_the_way_is_told() -> None:
    said = report(0, Status.APPROVED).said
    times: dict[str, Any] = {"partner_time": NOW, "reached_at": NOW + 70 * STEP, "received_at": NOW + 90 * STEP}
    pushed = seen(0, said, "webhook", "w", **times, partner_event="evt-1")
    told = cause(state_by(pushed), [pushed], NOW + 95 * STEP)
    assert told is not None
    assert (told.channel, told.event, told.partner_event) == ("webhook", "w", "evt-1")
    assert [(h.begins, h.ends, h.milliseconds) for h in told.hops] == [
        ("partner", "received", 70), ("received", "heard", 20), ("heard", "told", 5),
    ]  # fmt: skip
    looked = pushed.model_copy(update={"source": "fetch", "looked_at": NOW + 80 * STEP})
    found = cause(state_by(looked), [looked], NOW + 95 * STEP)
    assert found is not None
    assert [(h.begins, h.ends, h.milliseconds) for h in found.hops][1:3] == [
        ("received", "asked", 10), ("asked", "heard", 10),
    ]  # fmt: skip


def test_a_partners_clock_that_runs_ahead_tells_nothing() -> None:
    ahead = seen(0, report(0, Status.APPROVED).said, "webhook", "w", partner_time=NOW + dt.timedelta(hours=1))
    told = cause(state_by(ahead), [ahead], NOW - STEP)
    assert told is not None
    assert [(h.begins, h.milliseconds) for h in told.hops] == [("heard", 0)]


def test_of_several_words_the_one_that_rules_made_the_version() -> None:
    first, second, third = validated(0), report(1, Status.APPROVED), report(2, None, "Odd")
    heard = [first, second, third]
    told = cause(fold(heard), heard, NOW)
    assert told is not None
    assert told.event == second.id
    assert cause(fold(heard), [], NOW) is None
    other = cause(fold(heard), [first, third], NOW)
    assert other is not None
    assert other.event == third.id


def test_a_look_of_our_own_is_not_put_down_to_an_old_call() -> None:
    call = {"id": "c", "words": "w", "received_at": NOW, "event": "evt-1"}
    later = NOW + dt.timedelta(seconds=5)
    told = {"reached_at": NOW, "partner_event": "evt-1"}
    assert asked_for({"hints": [call]}, "hint", later) == told
    assert asked_for({"hints": [call], "fetch": {"seen_at": NOW - STEP}}, "hint", later) == told
    assert asked_for({"hints": [call], "fetch": {"seen_at": NOW + STEP}}, "hint", later) == {}
    assert asked_for({"hints": [call]}, "hint", NOW - STEP) == {}
    assert asked_for({"hints": [call]}, "poll", later) == {}
    assert asked_for({}, "hint", later) == {}
