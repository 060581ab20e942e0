"""What benchmarks say of themselves: a target that was missed, or was not looked at, is never called kept."""

import uuid
from collections.abc import Sequence
from pathlib import Path

from benchmarks import mixed_load, recoveries
from benchmarks.groups import GROUPS
from benchmarks.recoveries import AWAY, BACK, BROKER, DATABASE, Recovery
from benchmarks.waits import Phase, Waits, tables, wanted, yardstick
from proofs.page import Ran, Table, write

GOOD = {BACK: 4.0, AWAY: 17.0, BROKER: 2.0, DATABASE: 4.5}


def found(**changed: float) -> list[Recovery]:
    """Of each service once; `changed` by service."""
    seen = []
    for how, seconds in GOOD.items():
        seen += [Recovery(how, service, changed.get(service, seconds)) for service in GROUPS]
    return seen


def test_recoveries_are_judged_by_their_targets() -> None:
    assert [check.kept for check in recoveries.checks(found(), 1)] == [True] * 4
    slow = recoveries.checks(found(status=5.5), 1)
    assert {check.what.split(":")[0]: check.kept for check in slow} == {
        BACK: False, AWAY: True, BROKER: False, DATABASE: False,
    }  # fmt: skip


def test_what_was_not_seen_is_not_kept() -> None:
    assert [check.kept for check in recoveries.checks(found(), 2)] == [False] * 4, "half of them are not there"
    assert [check.kept for check in recoveries.checks([], 0)] == [False] * 4
    never = recoveries.checks(found(gateway=float("inf")), 1)
    assert not any(check.kept for check in never)


def test_one_slow_start_in_a_hundred_does_not_miss_the_percentile() -> None:
    many = [Recovery(BACK, "status", 6.0)] + [Recovery(BACK, service, 4.0) for service in GROUPS for _ in range(20)]
    (back, *_) = recoveries.checks(many[:-1], 20)
    assert back.kept


def phase(name: str, waits: float, hang: float | None = None, waiting: int = 0) -> Phase:
    made = Phase(name, hang, mixed_load.OTHERS if hang is None else (*mixed_load.OTHERS, mixed_load.DEAD))
    made.sent = {uuid.UUID(int=number): 0.0 for number in range(50)}
    made.waits = {each: Waits([waits] * 50, [waits / 2] * 50) for each in made.lenders}
    made.waiting = waiting
    if hang is not None:
        made.crowd, made.crowded = {uuid.UUID(int=1000): 0.0}, mixed_load.HEAVY
    return made


def phases(waits: float = 0.1, waiting: int = 9) -> list[Phase]:
    return [phase("without 1", 0.1), phase("with both", waits, 90.0, waiting), phase("without 2", 0.1)]


def kept(of: Sequence[Phase], lost: int = 0, twice: int = 0) -> list[bool]:
    return [check.kept for check in mixed_load.checks(of, {"finpace": (lost, twice), "soap-lender": (0, 0)})]


def test_a_mixed_load_is_compared_with_the_phases_beside_it() -> None:
    assert kept(phases()) == [True] * 5
    assert kept(phases(waits=0.12)) == [True, True, True, False, False]
    assert kept(phases(waiting=0)) == [True, True, False, True, True], "a dead one that has everything was not dead"
    assert kept(phases(), lost=1, twice=1)[:2] == [False, False]


def test_phases_know_who_gets_what() -> None:
    first, both, last = phases()
    assert yardstick([first, both, last], both) == [first, last]
    assert yardstick([first, both, last], first) == [last]
    assert (len(wanted(both, mixed_load.DEAD)), len(wanted(both, mixed_load.HEAVY))) == (50, 1)
    assert wanted(first, mixed_load.DEAD) == []
    titles = [table.title for table in tables([first, both, last], mixed_load.DEAD)]
    assert len(titles) == 4
    assert all(len(row) == len(table.columns) for table in tables([first, both, last], "finpace") for row in table.rows)


def test_a_page_holds_what_the_terminal_shows(tmp_path: Path) -> None:
    page = tmp_path / "proofs" / "page.md"
    write(page, "# A run\n\nWhat it is.\n", Ran(), [Table("Seen", ("what", "times"), [("a|b", "2")])])
    text = page.read_text()
    assert text.startswith("# A run\n\nWhat it is.\n\n20")
    assert "## Seen\n\n| what | times |\n|---|---|\n| a\\|b | 2 |\n" in text
    assert ", commit " in text
