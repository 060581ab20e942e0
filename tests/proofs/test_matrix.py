"""The cells of the matrix, and a judge that sees what is wrong."""

import copy
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from proofs.matrix import table
from proofs.matrix.bench import Result
from proofs.matrix.cells import WINDOWS, Cell, cells, chosen, passes, sample, windows
from proofs.matrix.judge import Told, ended, problems, references
from proofs.matrix.ways import ALL, CLASSES, WAYS
from proofs.points import labels

from lendrail.local.programs import SERVICES
from lendrail.runtime.faults import KINDS, Fault

APPLICATION = str(uuid.UUID(int=7))


def test_every_point_is_there_with_every_kind_and_class() -> None:
    found = set(cells())
    for service in SERVICES:
        for of in CLASSES if service == "submission" else (ALL,):
            for label in labels(service):
                assert {Cell(service, label, 1, kind, of) for kind in KINDS} <= found
    assert all(Cell.read(str(cell)) == cell and Fault.read(str(cell.fault)) == cell.fault for cell in found)
    assert all(cell.must_hold for cell in found)


def test_each_class_passes_the_calls_that_it_is_about() -> None:
    for of in CLASSES:
        assert passes(of, "submission", "partner.sending") >= 1
    assert passes("E", "submission", "mail.after") == 1
    assert passes("A", "submission", "mail.after") == 0


def test_a_sample_is_repeated_by_its_seed() -> None:
    all_of = list(cells())
    assert sample(all_of, 20, 3) == sample(all_of, 20, 3) != sample(all_of, 20, 4)
    assert all(cell.passed for cell in sample(all_of, 20, 3))
    assert {cell.service for cell in chosen(all_of, ["status/", ":hang"])} == {"status"}


def test_windows_that_are_always_tried_are_points_that_an_application_passes() -> None:
    assert WINDOWS.keys() == set(SERVICES)
    assert len(set(windows())) == 23
    assert all(cell.label in labels(cell.service) and cell.passed for cell in windows())
    assert [cell.label for cell in windows() if cell.may_be_unknown] == ["partner.after"]


@pytest.mark.parametrize("text", ["gateway/x:kill/A", "gateway/x#1:stop/A", "gateway/x#1:kill/Z", ""])
def test_what_is_no_cell(text: str) -> None:
    with pytest.raises(ValueError, match="is no cell"):
        Cell.read(text)


def story() -> tuple[dict[str, Any], dict[str, Any], list[Told]]:
    """An application by mail that went well: view, ledgers, notices."""
    (reference, *_) = references(APPLICATION, "email-lender")
    deal = {"partner": "email-lender", "opportunityId": "o-1", "status": "submitted", "flags": []}
    view = {"applicationId": APPLICATION, "opportunities": [deal], "timeline": [{"event": "a"}, {"event": "b"}]}
    told = [Told("n-1", APPLICATION, "o-1", 1, "submitting", "x"), Told("n-2", APPLICATION, "o-1", 2, "submitted", "y")]
    return view, {"email-lender": {"leads": [{"reference": reference}]}}, told


def test_what_went_well_has_no_problems() -> None:
    view, ledgers, told = story()
    assert ended(WAYS["E"], view)
    assert problems(WAYS["E"], view, ledgers, told, may_be_unknown=False) == []
    assert problems(WAYS["E"], view, ledgers, [*told, told[1]], may_be_unknown=False) == [], "a repeat is allowed"


def _parked(view: Any, ledgers: Any, told: Any) -> None:
    view["opportunities"][0] |= {"status": "outcome-unknown", "plan": "person"}
    told.append(Told("n-3", APPLICATION, "o-1", 3, "outcome-unknown", "z"))


def _twice(view: Any, ledgers: Any, told: Any) -> None:
    ledgers["email-lender"]["leads"] *= 2


def _lost(view: Any, ledgers: Any, told: Any) -> None:
    ledgers["email-lender"]["leads"].clear()


def _wrong(view: Any, ledgers: Any, told: Any) -> None:
    view["opportunities"][0]["status"] = "approved"
    told.append(Told("n-3", APPLICATION, "o-1", 3, "approved", "z"))


def _two_entries(view: Any, ledgers: Any, told: Any) -> None:
    view["timeline"].append(view["timeline"][0])


def _two_ids(view: Any, ledgers: Any, told: Any) -> None:
    told.append(Told("n-9", APPLICATION, "o-1", 2, "submitted", "y"))


def _two_contents(view: Any, ledgers: Any, told: Any) -> None:
    told.append(Told("n-2", APPLICATION, "o-1", 2, "submitted", "other"))


def _untold(view: Any, ledgers: Any, told: Any) -> None:
    told.pop()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_parked, "is shown as outcome-unknown"),
        (_twice, "has it 2 times"),
        (_lost, "has it 0 times"),
        (_wrong, "is shown as approved"),
        (_two_entries, "timeline twice"),
        (_two_ids, "two ids"),
        (_two_contents, "two contents"),
        (_untold, "nobody was told"),
    ],
)
def test_what_went_wrong_is_named(spoil: Callable[[Any, Any, Any], None], word: str) -> None:
    view, ledgers, told = copy.deepcopy(story())
    spoil(view, ledgers, told)
    (found,) = problems(WAYS["E"], view, ledgers, told, may_be_unknown=False)
    assert word in found


@pytest.mark.parametrize(("spoil", "good"), [(_lost, True), (_twice, False)])
def test_parked_is_right_only_where_a_call_may_be_struck_and_never_twice(spoil: Any, good: bool) -> None:
    view, ledgers, told = copy.deepcopy(story())
    _parked(view, ledgers, told)
    spoil(view, ledgers, told)
    assert (problems(WAYS["E"], view, ledgers, told, may_be_unknown=True) == []) == good


def paid_out() -> tuple[dict[str, Any], dict[str, Any], list[Told]]:
    """An application that the registry cleared and a lender paid out."""
    lender, registry = references(APPLICATION, "reference-partner").pop(), references(APPLICATION, "monetago").pop()
    deals: list[dict[str, Any]] = [
        {"partner": name, "opportunityId": name, "status": "funded", "flags": []}
        for name in ("reference-partner", "monetago")
    ]
    view = {"applicationId": APPLICATION, "opportunities": deals, "timeline": []}
    told = [Told(name, APPLICATION, name, 1, "funded", name) for name in ("reference-partner", "monetago")]
    leads = [{"reference": registry, "fvrs": [{"id": "f-1"}]}, {"reference": "another", "fvrs": [{"id": "f-2"}]}]
    ledgers: dict[str, Any] = {
        "reference-partner": {"leads": [{"reference": lender}]},
        "monetago": {"leads": leads, "financings": [{"fvrs": ["f-1"]}, {"fvrs": ["f-2"]}]},
    }
    return view, ledgers, told


def test_money_is_counted_by_the_papers_of_the_registration() -> None:
    view, ledgers, told = paid_out()
    assert problems(WAYS["C"], view, ledgers, told, may_be_unknown=True) == []
    ledgers["monetago"]["financings"].append({"fvrs": ["f-1"]})
    assert problems(WAYS["C"], view, ledgers, told, may_be_unknown=True) == [
        "monetago has it 2 times in its financings"
    ]


@pytest.mark.parametrize("may_be_unknown", [True, False])
def test_that_the_registry_was_told_of_the_money_may_be_unknown_where_that_call_is_struck(may_be_unknown: bool) -> None:
    view, ledgers, told = paid_out()
    view["opportunities"][1] |= {"status": "approved", "flags": ["finance-parked"]}
    told[1] = Told("n-1", APPLICATION, "monetago", 1, "approved", "x")
    ledgers["monetago"]["financings"].clear()
    assert ended(WAYS["C"], view)
    found = problems(WAYS["C"], view, ledgers, told, may_be_unknown=may_be_unknown)
    assert found == ([] if may_be_unknown else ["monetago is shown as approved, not funded"])
    view["opportunities"][1]["flags"] = []
    assert "monetago has it 0 times in its financings" in problems(WAYS["C"], view, ledgers, told, may_be_unknown=True)


def test_unknown_is_right_only_where_a_call_can_be_struck() -> None:
    assert Cell("submission", "partner.after", 1, "kill", "E").may_be_unknown
    assert not Cell("submission", "partner.before", 1, "kill", "E").may_be_unknown
    assert not Cell("status", "partner.after", 1, "kill", ALL).may_be_unknown


def test_a_cell_that_nobody_reached_is_not_held_in_the_table() -> None:
    struck, missed, broken = [cell for cell in cells(("validation",)) if cell.passed][:3]
    results = [Result(struck, "held"), Result(missed, "not reached"), Result(broken, "broken", ("lost",))]
    text = "\n".join(table.lines(results, "a test", 10.0))
    assert "1 held, 1 broken, 1 not reached" in text
    assert f"- `{broken}`: lost" in text
    _, _, own = text.partition("## validation")
    row = next(line for line in own.splitlines() if f"`{struck.label}#{struck.nth}`" in line)
    assert row.count("held") == 1
    assert "not reached" in row
    assert "not run" in text
