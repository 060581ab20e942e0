"""The breaker as a value: any history of successes, failures, tries and time."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lendrail.runtime.breaker import BUSY_SECONDS, Breaker, Rules, failed
from lendrail.runtime.standing import read_breaker

START = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
RULES = Rules()


def after(*gaps: float, rules: Rules = RULES) -> Breaker:
    """Failures with these seconds before each."""
    now, breaker = START, None
    for gap in gaps:
        now += dt.timedelta(seconds=gap)
        breaker = failed(breaker, now, rules, 0.5)
    assert breaker is not None
    return breaker


def test_opens_with_the_fifth_failure() -> None:
    assert after(0, 1, 1, 1).state(START) == "closed"
    assert after(0, 1, 1, 1, 1).until == START + dt.timedelta(seconds=4 + RULES.waits[0])


def test_opens_with_the_third_when_a_whole_window_had_nothing_else() -> None:
    assert after(0, 10, 10).until is None
    assert after(0, 10, 25).until == START + dt.timedelta(seconds=35 + RULES.waits[0])


def test_failures_of_another_day_do_not_count() -> None:
    assert after(0, 1, 1, RULES.forget + 1).failures == 1
    assert after(0, RULES.forget + 1, RULES.forget + 1, RULES.forget + 1).until is None


@given(st.floats(0, 1))
def test_waits_grow_within_their_jitter(draw: float) -> None:
    breaker, now = after(0, 0, 0, 0, 0), START
    for wait in (*RULES.waits[1:], RULES.waits[-1]):
        assert breaker.until is not None
        now = breaker.until
        breaker = failed(breaker, now, RULES, draw)
        assert breaker.until is not None
        assert 0.799 * wait <= (breaker.until - now).total_seconds() <= 1.201 * wait


def test_survives_its_own_document() -> None:
    breaker = after(0, 0, 0, 0, 0)
    for each in (after(0), breaker, breaker.probing(START + dt.timedelta(seconds=9), "me", RULES)):
        assert read_breaker(each.document() | {"stamp": "x"}) == each


class History(RuleBasedStateMachine):
    """One breaker, callers that are let through or not, and a model that is only told what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.breaker = START, None
        self.in_a_row = 0
        self.tries: dict[str, dt.datetime] = {}
        """Tries under way, and when each is taken for dead."""
        self.granted = 0

    breaker: Breaker | None

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.now += dt.timedelta(milliseconds=int(seconds * 1000))
        self.tries = {token: until for token, until in self.tries.items() if until > self.now}

    @rule()
    def a_call_is_answered(self) -> None:
        self.breaker, self.in_a_row = None, 0
        self.tries.clear()

    @rule(draw=st.floats(0, 1))
    def an_ordinary_call_fails(self, draw: float) -> None:
        before = self.breaker
        self.breaker = failed(self.breaker, self.now, RULES, draw)
        self.in_a_row += 1
        if before is not None and (before.state(self.now) == "open" or self.tries):
            assert self.breaker == before

    @precondition(lambda self: self.breaker is not None and self.breaker.state(self.now) == "half-open")
    @rule()
    def somebody_asks_for_the_try(self) -> None:
        assert self.breaker is not None
        if self.tries:
            wait = self.breaker.wait(self.now)
            assert wait is not None
            assert self.now < wait <= self.now + dt.timedelta(seconds=BUSY_SECONDS)
        else:
            assert self.breaker.wait(self.now) is None
            self.granted += 1
            token = f"try-{self.granted}"
            self.breaker = self.breaker.probing(self.now, token, RULES)
            self.tries[token] = self.now + dt.timedelta(seconds=RULES.probe)

    @precondition(lambda self: self.tries)
    @rule(draw=st.floats(0, 1))
    def the_try_fails(self, draw: float) -> None:
        (token,) = self.tries
        assert self.breaker is not None
        opened = self.breaker.opened
        self.breaker = failed(self.breaker, self.now, RULES, draw, token)
        self.in_a_row += 1
        del self.tries[token]
        assert self.breaker.state(self.now) == "open"
        assert self.breaker.opened == opened + 1

    @precondition(lambda self: self.tries)
    @rule()
    def the_try_is_given_back(self) -> None:
        (token,) = self.tries
        assert self.breaker is not None
        self.breaker = self.breaker.given_back(token).given_back("somebody else")
        self.tries.clear()
        assert self.breaker.wait(self.now) is None

    @invariant()
    def never_two_tries(self) -> None:
        assert len(self.tries) <= 1
        assert bool(self.tries) == (self.breaker is not None and self.breaker.probed(self.now))

    @invariant()
    def open_only_after_failures_and_never_for_long(self) -> None:
        if self.breaker is None:
            return
        if self.breaker.until is not None:
            assert self.in_a_row >= RULES.few
            assert (self.breaker.until - self.now).total_seconds() <= RULES.waits[-1] * (1 + RULES.jitter)
        else:
            assert self.breaker.failures < RULES.failures
        assert self.breaker.failures <= self.in_a_row


TestHistory = History.TestCase
