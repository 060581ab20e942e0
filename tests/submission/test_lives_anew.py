"""The later life of an application at a partner that takes no corrections, where a person may have one sent anew at any
time: in every order the partner has as many applications as somebody asked for, and the last of them is followed.
"""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import invariant, precondition, rule
from tests.submission.amended import key_of
from tests.submission.test_lives import FIRST, Lives

from lendrail.partners.exchange import Accepted
from lendrail.submission.attempts import resolved
from lendrail.submission.attempts.attempt import Attempt, State
from lendrail.submission.attempts.beside import still_kept, untaken
from lendrail.submission.attempts.classify import Event
from lendrail.submission.planning.anew import Refused, anew


class Anew(Lives):
    can = {"accept": lambda *_: None, "update": None}

    def __init__(self) -> None:
        super().__init__()
        self.words = 0
        """How often a person asked for it with success."""
        self.ids: dict[int, str] = {}
        """What the partner took, by generation."""

    def _partner(self, attempt: Attempt, reply: str) -> Event | None:
        event = super()._partner(attempt, reply)
        named = isinstance(event, Accepted) and attempt.operation == "create"
        return Accepted(f"app-{attempt.generation}") if named else event

    def _does(self, attempt: Attempt) -> None:
        assert attempt.operation != "update"
        if attempt.operation == "create":
            self.ids[attempt.generation] = attempt.id
            self.holds = 1

    @precondition(lambda self: self.opportunity is not None)
    @rule()
    def a_person_has_it_sent_anew(self) -> None:
        assert self.opportunity is not None
        correction = untaken(self.opportunity)
        submit = self.kept.get(correction.id) if correction is not None else None
        try:
            made = anew(self.opportunity, submit, self.desk, key_of(FIRST), self.now)
        except Refused:
            return
        assert correction is not None
        assert correction.id in still_kept(self.opportunity)
        assert self.ids, "the partner has one"
        self.words += 1
        self._take((made.opportunity, made.acks))

    @precondition(lambda self: self.opportunity is not None and any(a.in_doubt for a in self.opportunity.attempts))
    @rule()
    def a_person_finds_it_there(self) -> None:
        assert self.opportunity is not None
        attempt = next(each for each in self.opportunity.attempts if each.in_doubt)
        if attempt.id not in self.told or attempt.state != State.PARKED:
            return
        if attempt.operation == "create":
            self._take(resolved.bind(self.opportunity, attempt, f"app-{attempt.generation}", self.now))
        else:
            self._take(resolved.settle(self.opportunity, attempt, self.now))

    @invariant()
    def each_takes_effect_once(self) -> None:
        done = list(self.told.values())
        assert done.count("create") <= 1 + self.words, "an application that nobody asked for"
        assert all(done.count(each) <= 1 for each in ("accept", "withdraw"))
        assert done.count("document") <= 2 * (1 + self.words)

    @invariant()
    def the_last_one_that_the_partner_confirmed_is_followed(self) -> None:
        create = self.opportunity.create if self.opportunity is not None else None
        if self.opportunity is not None and create is not None and create.state == State.ACKED:
            assert self.opportunity.partner_id == f"app-{create.generation}"
            assert create.generation in self.ids
            confirmed = [
                each.generation
                for each in self.opportunity.attempts
                if each.operation == "create" and each.state == State.ACKED
            ]
            assert create.generation == max(confirmed)

    @invariant()
    def what_the_partner_did_not_take_is_kept(self) -> None:
        correction = untaken(self.opportunity) if self.opportunity is not None else None
        assert correction is None or correction.state != State.REJECTED or correction.id in self.kept


Anew.TestCase.settings = hypothesis_settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnew = Anew.TestCase
