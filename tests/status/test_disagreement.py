"""When two channels disagree: pure rules."""

import datetime as dt
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.make import NOW
from tests.status.test_fold import ack, histories, seen, validated

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Report, Status
from lendrail.status.folding.disagreement import CHANNELS, TOLERANCE, Word, disagreements, explained, leads_to, newest
from lendrail.status.folding.fold import disagreeing, fold
from lendrail.status.folding.observation import AcceptReported, Corrected, Observation, Pinned, Reported

MINUTE = 60
LATER = TOLERANCE.total_seconds() + 1


def said(second: float, status: Status | None, source: str, **times: Any) -> Observation:
    return seen(second, Reported(report=Report(status=status, words=f"{status}")), source, **times)


def flags(*heard: Observation) -> list[str]:
    return [each for each in fold(heard).flags if each.startswith("channels-disagree")]


def test_a_push_that_the_partners_own_data_contradicts_for_long() -> None:
    push, look = said(0, Status.APPROVED, "webhook"), said(LATER, Status.IN_REVIEW, "poll")
    assert flags(push, look) == ["channels-disagree:look-in-review:webhook-approved"]
    (found,) = disagreeing([look, push])
    assert [(each.channel, each.status) for each in found.sides] == [
        ("webhook", Status.APPROVED),
        ("look", Status.IN_REVIEW),
    ]
    assert (found.sides[0].since, found.since) == (push.at, look.received_at)
    assert flags(push, look, said(LATER + 60, Status.APPROVED, "fetch")) == [], "the look says it too by now"


def test_what_a_lag_or_the_order_in_time_explains() -> None:
    push = said(0, Status.APPROVED, "webhook")
    assert flags(push, said(30, Status.IN_REVIEW, "fetch")) == [], "its own data may lag behind its call"
    assert flags(said(0, Status.IN_REVIEW, "poll"), said(2, Status.APPROVED, "webhook")) == [], "that is the usual way"
    assert flags(push, said(86_400, Status.INFO_REQUIRED, "poll")) == [], "a question may come at any time"
    assert flags(push, said(86_400, Status.DECLINED, "csv")) == []
    assert flags(said(0, Status.FUNDED, "csv"), said(86_400, Status.APPROVED, "poll")) != [], "what ended goes not back"
    assert flags(said(0, Status.DECLINED, "csv"), said(86_400, Status.FUNDED, "poll")) == [], "a listed exception"


def test_a_look_holds_until_it_was_made() -> None:
    """It shows that the partner still says what it stated long ago, although a call came in between."""
    push = said(3600, Status.APPROVED, "webhook")
    old = said(0, Status.IN_REVIEW, "poll", partner_time=NOW, looked_at=NOW + dt.timedelta(hours=2))
    old = old.model_copy(update={"received_at": NOW + dt.timedelta(hours=2)})
    assert flags(push, old) != []
    same = said(0, Status.IN_REVIEW, "csv", partner_time=NOW)
    assert flags(push, same) == [], "of a file the old word is old"


def test_a_person_is_a_channel_and_validation_is_none() -> None:
    accepted = seen(0, AcceptReported(revision=2, offer_id="offer-1"), "person")
    assert flags(validated(0), accepted, said(LATER, Status.IN_REVIEW, "poll")) != []
    assert flags(validated(0), accepted, said(LATER, Status.APPROVED, "poll")) == [], "that takes nothing back"
    assert flags(validated(0), said(LATER, Status.DECLINED, "poll")) == []


def test_what_an_operator_set_is_told_apart_otherwise() -> None:
    why = SensitiveText("told by phone")
    fixed = seen(0, Corrected(status=Status.DECLINED, by="operator", why=why), "person", "corrected")
    pin = seen(1, Pinned(status=Status.DECLINED, by="operator", why=why), "person", "pinned")
    look = said(LATER, Status.IN_REVIEW, "poll")
    assert flags(fixed, look) == [], "the partner's later word overrode it"
    assert flags(fixed, pin, look) == []
    assert "partner-disagrees:in-review" in fold([fixed, pin, look]).flags


def test_an_answer_without_a_report_says_nothing_of_the_deal() -> None:
    assert flags(ack(0, "accepted"), said(LATER, Status.DECLINED, "poll")) == []
    told = ack(0, "accepted", report=Report(status=Status.DECLINED, words="No"))
    assert flags(told, said(LATER, Status.IN_REVIEW, "webhook")) != []


MOMENTS = st.integers(0, 3 * int(LATER)).map(lambda s: NOW + dt.timedelta(seconds=s))
WORDS = st.builds(
    lambda channel, status, since, more: Word(channel, status, since, since + dt.timedelta(seconds=more), since),
    st.sampled_from(sorted(set(CHANNELS.values()))),
    st.sampled_from(list(Status)),
    MOMENTS,
    st.integers(0, 900),
)


@given(WORDS, WORDS)
def test_it_has_no_sides(one: Word, other: Word) -> None:
    assert explained(one, other) == explained(other, one)
    assert explained(one, one)


@given(WORDS, WORDS, st.integers(0, 7200))
def test_more_patience_never_finds_more(one: Word, other: Word, seconds: int) -> None:
    if explained(one, other):
        assert explained(one, other, TOLERANCE + dt.timedelta(seconds=seconds))


@given(WORDS, WORDS)
def test_with_endless_patience_only_what_goes_neither_way_is_left(one: Word, other: Word) -> None:
    either = leads_to(one.status, other.status) or leads_to(other.status, one.status) or one.status == other.status
    assert explained(one, other, dt.timedelta(days=365)) == either


@given(histories(), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter_and_flags_tell_of_each(
    heard: list[Observation], chance: random.Random
) -> None:
    again = heard + chance.choices(heard, k=3)
    chance.shuffle(again)
    found = disagreeing(again)
    assert found == disagreeing(heard)
    told = {each for each in fold(heard).flags if each.startswith("channels-disagree")}
    assert told == {each.flag for each in found}


@pytest.mark.parametrize("source", sorted(CHANNELS))
def test_one_voice_never_disagrees_with_itself(source: str) -> None:
    heard = [said(n * LATER, status, source) for n, status in enumerate((Status.FUNDED, Status.IN_REVIEW))]
    assert disagreements(heard) == ()
    assert len(newest(heard)) == 1
