"""What a chaos run says of lenders' files: good ones are clean, and each violation is found under its own name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest
from proofs.chaos.filed import ZERO
from proofs.chaos.shapes import Accepted, File, Filed, Row, Shown, Taken, Verdict, Word
from proofs.chaos.verdict import judge

NOON = dt.datetime(2030, 1, 2, 12, 0, tzinfo=dt.UTC)
PARTNER = "soap-lender"
TAKEN: Word = ("submittedAt", NOON)
APPROVED: Word = ("Approved", NOON + dt.timedelta(seconds=2))
STRANGER = "nobodys-1"


def row(number: int, *said: Word) -> Row:
    name = f"ZZ{number:06d}"
    return Row(mark=name, partner=PARTNER, opportunity=f"opp-{number}", names=(f"id-{number}",), said=said)


def shown(number: int, partner_id: str | None, status: str = "approved", parked: bool = False) -> Shown:
    return Shown(
        application=f"app-{number}", opportunity=f"opp-{number}", partner=PARTNER, status=status, partner_id=partner_id,
        versions=(), parked=parked, induced=parked,
    )  # fmt: skip


OLD, NEW, LOST_ID = row(1, TAKEN), row(1, TAKEN, APPROVED), row(2, APPROVED)
VIEWS = (shown(1, "id-1"), shown(2, None, "submitted", parked=True))
GOOD = Filed(
    files=(
        File(name="first", rows=(NEW, LOST_ID), strangers=(STRANGER,), ids=("one", "one"), again=1),
        File(name="old", rows=(OLD,), strangers=(), ids=("two",)),
        File(name="never acknowledged", rows=(row(3, APPROVED),), strangers=("nobodys-2",)),
    ),
    states={"one": "done", "two": "done"},
    heard={"opp-1": (TAKEN, APPROVED), "opp-2": ()},
    kept=frozenset({STRANGER, "id-2"}),
    changed=1,
)


def judged(filed: Filed, views: tuple[Shown, ...] = VIEWS) -> Verdict:
    return judge([], [], [], views, filed=filed)


def broken(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    return {name: getattr(verdict, name) for name in ZERO if getattr(verdict, name)}


def test_good_files_are_counted() -> None:
    """The row of an application whose id at the partner we never learnt is kept, as it must be."""
    verdict = judged(GOOD)
    assert (broken(verdict), verdict.kept) == ({}, True)
    assert (verdict.files, verdict.files_again, verdict.strangers) == (2, 1, 1)
    assert (verdict.rows, verdict.rows_changed) == (3, 1)


def test_what_nobody_acknowledged_may_have_been_read_or_not() -> None:
    assert broken(judged(replace(GOOD, heard={**GOOD.heard, "opp-3": (APPROVED,)}))) == {}


def lose_a_file() -> Filed:
    return replace(GOOD, states={**GOOD.states, "two": "running"})


def forget_a_file() -> Filed:
    return replace(GOOD, states={"one": "done"})


def refuse_a_file() -> Filed:
    return replace(GOOD, states={**GOOD.states, "two": "refused"})


def take_a_file_for_another() -> Filed:
    first, *others = GOOD.files
    files = (replace(first, ids=("one", "three")), *others)
    return replace(GOOD, files=files, states={**GOOD.states, "three": "done"})


def lose_a_row() -> Filed:
    return replace(GOOD, heard={**GOOD.heard, "opp-1": ()})


def lose_a_part_of_a_row() -> Filed:
    return replace(GOOD, heard={**GOOD.heard, "opp-1": (TAKEN,)})


def lose_a_row_of_nobody() -> Filed:
    return replace(GOOD, kept=frozenset({"id-2"}))


def lose_a_row_whose_id_is_not_known() -> Filed:
    return replace(GOOD, kept=frozenset({STRANGER}))


def hear_a_row_twice() -> Filed:
    return replace(GOOD, heard={**GOOD.heard, "opp-1": (TAKEN, APPROVED, APPROVED)})


def hear_what_no_file_says() -> Filed:
    return replace(GOOD, heard={**GOOD.heard, "opp-1": (TAKEN, APPROVED, ("Declined", NOON))})


def hear_it_of_another_time() -> Filed:
    return replace(GOOD, heard={**GOOD.heard, "opp-2": (("Approved", NOON),)})


PLANTS: list[tuple[str, Callable[[], Filed]]] = [
    ("files_lost", lose_a_file),
    ("files_lost", forget_a_file),
    ("files_lost", refuse_a_file),
    ("files_doubled", take_a_file_for_another),
    ("rows_lost", lose_a_row),
    ("rows_lost", lose_a_part_of_a_row),
    ("rows_lost", lose_a_row_of_nobody),
    ("rows_lost", lose_a_row_whose_id_is_not_known),
    ("rows_doubled", hear_a_row_twice),
    ("rows_invented", hear_what_no_file_says),
    ("rows_invented", hear_it_of_another_time),
]


@pytest.mark.parametrize(("name", "plant"), [pytest.param(*each, id=each[1].__name__) for each in PLANTS])
def test_what_is_planted_is_found_under_its_own_name_and_no_other(name: str, plant: Callable[[], Filed]) -> None:
    verdict = judged(plant())
    assert set(broken(verdict)) == {name}
    assert not verdict.kept


def test_every_name_is_planted() -> None:
    assert {name for name, _ in PLANTS} == set(ZERO)


def test_a_row_that_is_kept_although_its_id_is_known_is_lost() -> None:
    views = (VIEWS[0], shown(2, "id-2"))
    assert broken(judged(GOOD, views)) == {"rows_lost": ("ZZ000002 at soap-lender: Approved",)}


@pytest.mark.parametrize(("read", "wrong"), [(True, True), (False, False)])
def test_what_a_lender_told_nobody_must_be_shown_once_a_file_told_it(read: bool, wrong: bool) -> None:
    accepted = Accepted(
        application="app-1", door="rest", at=NOON, mark="ZZ000001", partners=(PARTNER,), wanted={PARTNER: "approved"}
    )
    taken = Taken(
        partner=PARTNER, mark="ZZ000001", reference="r", partner_id="id-1", status="approved", at=NOON, told=False
    )
    filed = GOOD if read else replace(GOOD, states={})
    verdicts = [
        judge([accepted], [taken], [], [shown(1, "id-1", status)], filed=filed) for status in ("submitted", "approved")
    ]
    assert [bool(each.wrong) for each in verdicts] == [wrong, False]
    assert [each.settled for each in verdicts] == [0, int(read)]
