"""The partner's pure rules."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.sandbox.process import lead

from lendrail.sandbox import tokens
from lendrail.sandbox.dials import DIAL, Dials, Outcome
from lendrail.sandbox.forward_financing import decide
from lendrail.sandbox.forward_financing.lead import Vocabulary, dollars, errors_in
from lendrail.sandbox.limiter import Limiter
from lendrail.sandbox.outbound import is_web_url
from lendrail.sandbox.settings import RateLimit

TODAY = date(2026, 1, 1)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    ANY_JSON,
    st.sampled_from(["contacts_attributes", "account_attributes", "loan_attributes", "application_attributes"]),
)
def test_any_json_is_judged_without_an_exception(value: Any, group: str) -> None:
    content = lead("r")
    content["lead"][group] = value
    for words in ("classic", "current"):
        errors = errors_in(content, words, TODAY)
        if not errors:
            assert dollars(content) >= 0
    assert errors_in(value, "classic", TODAY)


@pytest.mark.parametrize(("group", "name", "value", "words"), [
    ("contact", "ssn", "900-00-0001", "classic"), ("contact", "ssn", 900000001, "classic"),
    ("contact", "ssn", "٩٠٠٠٠٠٠٠١", "classic"), ("contact", "born_on", "2026-01-01", "classic"),
    ("contact", "born_on", "2015-02-30", "classic"), ("contact", "born_on", "20150101", "classic"),
    ("contact", "ssn", None, "current"), ("contact", "last_name", "", "current"),
    ("account", "fein", "99-0000001", "classic"), ("account", "name", None, "classic"),
    ("account", "started_on", "2026-01-02", "classic"), ("account", "phone", None, "current"),
    ("account", "monthly_revenue", "lots", "current"), ("account", "industry_name", 7, "classic"),
    ("application", "capital_needed", 50000, "classic"), ("application", "capital_needed", "-1", "classic"),
    ("application", "reference_id", None, "classic"), ("application", "reference_id", 7, "classic"),
    ("application", "has_current_loan", "yes", "classic"), ("application", "loan_use", "Fun", "current"),
    ("loan", "balance", "15000", "classic"), ("loan", "balance", True, "classic"),
])  # fmt: skip
def test_one_wrong_field_is_named(group: str, name: str, value: object, words: Vocabulary) -> None:
    content = lead("r")
    inner = content["lead"]
    groups = {"contact": inner["contacts_attributes"][0], "account": inner["account_attributes"],
              "application": inner["application_attributes"], "loan": inner["loan_attributes"]}  # fmt: skip
    groups[group][name] = value
    assert list(errors_in(content, words, TODAY)) == [name]


def test_all_faults_are_told_at_once_and_never_what_was_sent() -> None:
    content = lead("r")
    content["lead"]["contacts_attributes"][0] |= {"ssn": "900-00-0001", "born_on": "yesterday"}
    content["lead"]["account_attributes"] = None
    errors = errors_in(content, "current", TODAY)
    assert set(errors) == {"ssn", "born_on", "account_attributes"}
    assert "900" not in str(errors)


@given(st.integers(0, 10**9), st.sampled_from(["classic", "current"]))
def test_every_amount_has_one_answer(amount: int, revision: decide.Revision) -> None:
    outcome = decide.outcome_of(amount, None, None)
    assert outcome == {1: "decline", 2: "missing", 3: "working", 4: "waiting"}.get(amount % 1000, "approve")
    body = decide.status_body(outcome, amount, revision, "lead", None)
    assert body == decide.status_body(outcome, amount, revision, "lead", None)
    if outcome == "approve":
        assert body["max_approval"] >= 5000


@given(
    st.sampled_from(["missing", "waiting"]), st.sampled_from(["approve", "decline", "missing", "waiting", "working"])
)
def test_what_was_sent_does_not_go_missing_again(previous: Any, then: Any) -> None:
    assert decide.outcome_of(50002, None, previous) == "approve"
    dial = Outcome(kind="outcome", outcome="missing", then=then)
    assert decide.outcome_of(50000, dial, previous) == then


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_lead_ids_are_opaque_and_differ(user: str, reference: str, other: str) -> None:
    made = decide.lead_id("salt", user, reference)
    assert len(made) == 61
    assert made == decide.lead_id("salt", user, reference)
    if other != reference:
        assert made != decide.lead_id("salt", user, other)
    assert made != decide.lead_id("another salt", user, reference)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=40), st.integers(1, 4))
def test_accepted_calls_never_exceed_the_limit(gaps: list[float], requests: int) -> None:
    limiter, limit, now, accepted = (
        Limiter(),
        RateLimit(requests=requests, seconds=1, tolerance_ms=0),
        0.0,
        list[float](),
    )
    for gap in gaps:
        now += gap
        if not limiter.too_soon("u", limit, now):
            limiter.accept("u", limit, now)
            accepted.append(now)
    for first, later in zip(accepted, accepted[requests:], strict=False):
        assert later - first >= 1


def test_tokens_are_good_for_their_user_and_time_only() -> None:
    users = {"a:b": SecretStr("p"), "c": SecretStr("p")}
    token = tokens.issue("a:b", users["a:b"], 1000)
    assert tokens.bearer(token, users, 999) == "a:b"
    assert tokens.bearer(token, users, 1000) is None
    assert tokens.bearer(token, users | {"a:b": SecretStr("changed")}, 999) is None
    claims, mac = token.split(".")
    foreign = tokens.issue("c", users["c"], 1000).split(".")[0]
    for bad in ("", ".", "a.b", claims, f"{foreign}.{mac}", f"{claims}.{mac[:-3]}AAA", "é.é", f"{token}.x"):
        assert tokens.bearer(bad, users, 0) is None


@given(st.integers(1, 5), st.integers(0, 8))
def test_a_dial_is_spent_after_its_times_live_and_replayed(times: int, calls: int) -> None:
    stored = {"id": "d", "kind": "refuse", "times": times}
    live, replayed = Dials(), Dials()
    live.add(DIAL.validate_python(stored))
    replayed.replay({"type": "dials", "added": [stored], "removed": []})
    taken = 0
    for _ in range(calls):
        used: list[str] = []
        taken += live.take("refuse", "lead", None, used) is not None
        replayed.replay({"type": "call", "dials": used})
    assert taken == min(times, calls)
    assert live.listed() == replayed.listed()


@given(st.text())
def test_any_text_is_judged_as_an_address(text: str) -> None:
    assert not is_web_url(text) or text.startswith(("http://", "https://"))
