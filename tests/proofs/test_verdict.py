"""The judge of a chaos run: a good history is clean, and each violation that is planted is found under its own name."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs.chaos.filed import ZERO as OF_FILES
from proofs.chaos.shapes import Accepted, Notice, Shown, Taken, Verdict
from proofs.chaos.verdict import ZERO, Freeze, judge

NOON = dt.datetime(2030, 1, 2, 12, 0, tzinfo=dt.UTC)
PARTNERS = ("forward-financing", "finpace", "soap-lender", "email-lender")
ENDS = ("settled", "settled", "parked", "withheld", "untold-by-partner", "lost-id")


@dataclass
class History:
    """What the ledgers say after a run."""

    accepted: list[Accepted] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    freezes: list[Freeze] = field(default_factory=list)

    def judged(self) -> Verdict:
        return judge(self.accepted, self.taken, self.notices, self.shown, sent=self.sent, freezes=self.freezes)

    def add(self, number: int, ends: dict[str, str], versions: int) -> None:
        """An application that came to this end at each of these partners."""
        application, mark = f"app-{number}", f"ZZ{number:06d}"
        withheld = tuple(partner for partner, end in ends.items() if end == "withheld")
        wanted = {partner: "duplicate" if end == "withheld" else "approved|funded" for partner, end in ends.items()}
        self.sent.append(mark)
        self.accepted.append(
            Accepted(
                application=application, door="rest", at=NOON, mark=mark, partners=tuple(ends), wanted=wanted,
                withheld=withheld,
            )
        )  # fmt: skip
        for partner, end in ends.items():
            self._at(application, mark, partner, end, versions)

    def _at(self, application: str, mark: str, partner: str, end: str, versions: int) -> None:
        told, parked = end != "untold-by-partner", end in ("parked", "lost-id")
        status = {"withheld": "duplicate", "untold-by-partner": "in-review"}.get(end, "approved")
        view = Shown(
            application=application,
            opportunity=f"{application}/{partner}",
            partner=partner,
            status="outcome-unknown" if parked else status,
            partner_id=None if parked else f"id-{mark}",
            versions=tuple(range(2, versions + 2)),
            parked=parked,
            induced=parked,
        )
        self.shown.append(view)
        if end in ("settled", "untold-by-partner", "lost-id"):
            self.taken.append(
                Taken(
                    partner=partner, mark=mark, reference=f"ref-{mark}", partner_id=f"id-{mark}", status="approved",
                    at=NOON, told=told,
                )
            )  # fmt: skip
        self.notices += [notice(view, version) for version in view.versions]


def notice(view: Shown, version: int, **changes: str) -> Notice:
    name = f"{view.opportunity}/{version}"
    values = {"id": f"id-{name}", "content": f"hash-{name}"} | changes
    return Notice(application=view.application, opportunity=view.opportunity, version=version, **values)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Good ones; notices come again, and those of different opportunities in any order."""
    history = History()
    for number in range(draw(st.integers(1, 6))):
        partners = draw(st.lists(st.sampled_from(PARTNERS), min_size=1, unique=True))
        history.add(number, {each: draw(st.sampled_from(ENDS)) for each in partners}, draw(st.integers(1, 4)))
    order = draw(st.permutations([each.opportunity for each in history.notices]))
    own = {
        view.opportunity: [n for n in history.notices if n.opportunity == view.opportunity] for view in history.shown
    }
    history.notices = [own[str(name)].pop(0) for name in order]
    for place in draw(st.lists(st.integers(0, len(history.notices) - 1), max_size=3)):
        history.notices.append(history.notices[place])
    return history


def good() -> History:
    history = History()
    history.add(0, dict.fromkeys(PARTNERS[:2], "settled"), 3)
    history.add(1, {"finpace": "parked", "soap-lender": "withheld"}, 2)
    history.add(2, {"finpace": "untold-by-partner", "forward-financing": "lost-id", "email-lender": "settled"}, 2)
    return history


def broken(verdict: Verdict) -> set[str]:
    return {name for name in (*ZERO, "frozen_window") if getattr(verdict, name)}


@given(histories())
@settings(max_examples=200, deadline=None)
def test_a_good_history_is_clean(history: History) -> None:
    verdict = history.judged()
    assert broken(verdict) == set()
    assert verdict.kept
    assert verdict.accepted == len(history.accepted)
    ended = verdict.settled + verdict.withheld + verdict.never_told + verdict.parked_with_reason
    assert ended == verdict.opportunities == len(history.shown)


def test_what_is_allowed_is_counted() -> None:
    history = good()
    history.notices += history.notices[:2]
    verdict = history.judged()
    assert (verdict.repeated, verdict.parked_with_reason, verdict.withheld, verdict.never_told) == (2, 2, 1, 1)
    assert (verdict.settled, verdict.opportunities) == (3, 7)
    assert verdict.kept


Plant = Callable[[History, random.Random], None]


def settled(history: History, chance: random.Random) -> tuple[int, int]:
    """Places in `shown` and `taken` of one that is settled."""
    marks = {each.mark: each.application for each in history.accepted}
    views = {(each.application, each.partner): place for place, each in enumerate(history.shown)}
    found = [
        (views[marks[each.mark], each.partner], place)
        for place, each in enumerate(history.taken)
        if each.told and not history.shown[views[marks[each.mark], each.partner]].parked
    ]
    return chance.choice(found)


def lose(history: History, chance: random.Random) -> None:
    del history.taken[settled(history, chance)[1]]


def lose_altogether(history: History, chance: random.Random) -> None:
    """Neither the partner nor we know of it."""
    view, record = settled(history, chance)
    gone = history.shown.pop(view)
    del history.taken[record]
    history.notices = [each for each in history.notices if each.opportunity != gone.opportunity]


def lose_while_it_is_sent(history: History, chance: random.Random) -> None:
    view, record = settled(history, chance)
    history.shown[view] = replace(history.shown[view], status="submitting", partner_id=None)
    del history.taken[record]


def take_twice(history: History, chance: random.Random) -> None:
    record = history.taken[settled(history, chance)[1]]
    history.taken.append(replace(record, reference="another", partner_id="another", at=NOON + dt.timedelta(seconds=9)))


def accept_twice(history: History, chance: random.Random) -> None:
    """One application under two ids at our door, the second of which never came to any partner."""
    known = chance.choice(history.accepted)
    history.accepted.append(replace(known, application="app-twin", wanted={}, withheld=()))


def wake_and_send(history: History, chance: random.Random) -> None:
    take_twice(history, chance)
    history.freezes.append((NOON, NOON + dt.timedelta(seconds=8)))


def invent(history: History, chance: random.Random) -> None:
    history.taken.append(replace(history.taken[0], mark="ZZ999999", reference="nobody's"))


def invent_at_another_partner(history: History, chance: random.Random) -> None:
    history.taken.append(replace(history.taken[0], partner="valiant"))


def bring_what_is_withheld(history: History, chance: random.Random) -> None:
    (one,) = (each for each in history.accepted if each.withheld)
    history.taken.append(replace(history.taken[0], mark=one.mark, partner=one.withheld[0]))


def show_another_status(history: History, chance: random.Random) -> None:
    place = settled(history, chance)[0]
    history.shown[place] = replace(history.shown[place], status="declined")


def show_an_allowed_one_that_the_partner_does_not_hold(history: History, chance: random.Random) -> None:
    place = settled(history, chance)[0]
    history.shown[place] = replace(history.shown[place], status="funded")


def hold_what_was_not_meant(history: History, chance: random.Random) -> None:
    """Both agree, and the amount says otherwise: somebody else's application stands there."""
    view, record = settled(history, chance)
    history.shown[view] = replace(history.shown[view], status="declined")
    history.taken[record] = replace(history.taken[record], status="declined")


def show_what_nobody_told(history: History, chance: random.Random) -> None:
    (place,) = (place for place, each in enumerate(history.shown) if each.status == "in-review")
    history.shown[place] = replace(history.shown[place], status="declined")


def show_another_id(history: History, chance: random.Random) -> None:
    place = settled(history, chance)[0]
    history.shown[place] = replace(history.shown[place], partner_id="id-of-another")


def show_nothing(history: History, chance: random.Random) -> None:
    gone = history.shown.pop(settled(history, chance)[0])
    history.notices = [each for each in history.notices if each.opportunity != gone.opportunity]


def park(history: History, chance: random.Random) -> None:
    place = settled(history, chance)[0]
    history.shown[place] = replace(history.shown[place], parked=True)


def park_what_never_left(history: History, chance: random.Random) -> None:
    view, record = settled(history, chance)
    history.shown[view] = replace(history.shown[view], parked=True, status="outcome-unknown", partner_id=None)
    del history.taken[record]


def two_ids(history: History, chance: random.Random) -> None:
    history.notices.append(replace(chance.choice(history.notices), id="another"))


def two_contents(history: History, chance: random.Random) -> None:
    history.notices.append(replace(chance.choice(history.notices), content="another"))


def one_id_for_two_versions(history: History, chance: random.Random) -> None:
    first, second = [n for n in history.notices if n.opportunity == history.notices[0].opportunity][:2]
    place = history.notices.index(second)
    history.notices[place] = replace(second, id=first.id)


def tell_nobody(history: History, chance: random.Random) -> None:
    gone = chance.choice(history.notices)
    history.notices = [each for each in history.notices if each.id != gone.id]


def tell_the_newest_to_nobody(history: History, chance: random.Random) -> None:
    view = chance.choice(history.shown)
    gone = (view.opportunity, max(view.versions))
    history.notices = [each for each in history.notices if (each.opportunity, each.version) != gone]


def tell_in_another_order(history: History, chance: random.Random) -> None:
    first, second = history.notices[:2]
    assert first.opportunity == second.opportunity
    history.notices[:2] = [second, first]


PLANTS: list[tuple[str, Plant]] = [
    ("lost", lose),
    ("lost", lose_altogether),
    ("lost", lose_while_it_is_sent),
    ("doubled", take_twice),
    ("doubled", accept_twice),
    ("frozen_window", wake_and_send),
    ("invented", invent),
    ("invented", invent_at_another_partner),
    ("invented", bring_what_is_withheld),
    ("wrong", show_another_status),
    ("wrong", show_an_allowed_one_that_the_partner_does_not_hold),
    ("wrong", hold_what_was_not_meant),
    ("wrong", show_what_nobody_told),
    ("wrong", show_another_id),
    ("wrong", show_nothing),
    ("parked_without_reason", park),
    ("parked_without_reason", park_what_never_left),
    ("renumbered", two_ids),
    ("renumbered", two_contents),
    ("renumbered", one_id_for_two_versions),
    ("untold", tell_nobody),
    ("untold", tell_the_newest_to_nobody),
    ("disordered", tell_in_another_order),
]


@pytest.mark.parametrize(("name", "plant"), [pytest.param(*each, id=each[1].__name__) for each in PLANTS])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_planted_is_found_under_its_own_name_and_no_other(name: str, plant: Plant, seed: int) -> None:
    history = good()
    plant(history, random.Random(seed))
    verdict = history.judged()
    assert broken(verdict) == {name}
    assert len(getattr(verdict, name)) == 1
    assert verdict.kept == (name == "frozen_window"), "the stated window is counted apart"


def test_every_name_is_planted() -> None:
    """What is planted in files is in their own test."""
    assert {name for name, _ in PLANTS} == {*ZERO, "frozen_window"} - {*OF_FILES}


def test_what_was_sent_and_never_acknowledged_may_be_there_once() -> None:
    """Nobody promised anything, and a crash before the answer may leave it either way."""
    history = good()
    history.sent.append("ZZ000007")
    history.taken.append(replace(history.taken[0], mark="ZZ000007"))
    assert broken(history.judged()) == set()
    history.taken.append(replace(history.taken[-1], reference="another"))
    assert broken(history.judged()) == {"doubled"}


@pytest.mark.parametrize("seconds", [-1.0, 3.5])
def test_the_stated_window_is_no_wider_than_stated(seconds: float) -> None:
    history = good()
    take_twice(history, random.Random(0))
    end = NOON + dt.timedelta(seconds=9 - seconds)
    history.freezes.append((NOON, end))
    assert broken(history.judged()) == {"doubled"}
