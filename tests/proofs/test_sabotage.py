"""The sabotage suite in short: the table fits the source, a proof that proves nothing is found out, a sample is run."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from proofs.sabotage.copied import Copy, Edit, Moved, module_of
from proofs.sabotage.row import STATUS, Row
from proofs.sabotage.run import Note, Ran, judged, sabotaged, whole
from proofs.sabotage.table import ROWS

SEED = int(os.environ.get("PROOFS_SEED", "6"))
SAMPLE = random.Random(SEED).sample([row for row in ROWS if row.quick], 2)
FOLD = "tests/status/test_fold.py"
FINAL = next(row for row in ROWS if row.name == "final-states")


@pytest.fixture(scope="module")
def copy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(project, tmp_path_factory.mktemp("copy"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_fits_the_source(row: Row, project: Path) -> None:
    for edit in row.edits:
        assert (project / edit.file).read_text().count(edit.search) == 1, f"{row.name}: its protection moved"
    for proof in row.proofs:
        file, _, test = proof.partition("::")
        assert f"def {test.partition('[')[0]}(" in (project / file).read_text() if test else (project / file).exists()


def test_names_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_sample_is_reported(copy: Copy, mongo: str) -> None:
    told = {"MONGO_URL": mongo}
    before = whole(copy, SAMPLE, told)
    found = [sabotaged(copy, row, before, told) for row in SAMPLE]
    assert [(each.row.name, each.fault) for each in found] == [(row.name, "") for row in SAMPLE], f"seed {SEED}"
    assert all(each.violation and each.programs for each in found)


def test_what_proves_nothing_is_found_out(copy: Copy) -> None:
    """A proof that looks elsewhere, a copy that does not even start, a protection that moved, a proof that was red."""
    blind = replace(FINAL, proofs=(f"{FOLD}::test_nothing_heard_is_nothing_to_fold",))
    broken = replace(FINAL, edits=(replace(FINAL.edits[0], replace="        if :"),))
    moved = replace(FINAL, edits=(Edit(file=FINAL.edits[0].file, search="nobody wrote this", replace=""),))
    nowhere = replace(FINAL, proofs=(f"{FOLD}::test_that_nobody_wrote",))
    green = tuple(Note(test=each, phase="call", kind="", text="") for each in (*blind.proofs, *FINAL.proofs))
    before = Ran(notes=green, origins=(), tail="", ended=True)
    faults = [sabotaged(copy, row, before, {}).fault for row in (blind, broken, moved, nowhere)]
    beginnings = ("STAYS GREEN", "the proof did not come to its end", "moved", "not green with its protection")
    assert [fault.startswith(wanted) for fault, wanted in zip(faults, beginnings, strict=True)] == [True] * 4, faults


def test_the_copy_is_whole_again_afterwards(copy: Copy, project: Path) -> None:
    name = f"{STATUS}/folding/decided.py"
    with copy.without(FINAL.edits):
        assert (copy.root / name).read_text() != (project / name).read_text()
    assert (copy.root / name).read_text() == (project / name).read_text()
    with pytest.raises(Moved), copy.without((Edit(file="nowhere.py", search="x", replace="y"),)):
        pass


def test_only_the_right_words_of_a_report_count(tmp_path: Path) -> None:
    proof = FINAL.proofs[0]

    def verdict(kind: str, text: str, *, phase: str = "call", origin: Path = tmp_path / "x.py") -> tuple[str, str]:
        note = Note(test=f"{proof}[a]", phase=phase, kind=kind, text=text)
        return judged(FINAL, Ran(notes=(note,), origins=(str(origin),), tail="", ended=True), tmp_path)

    said = "assert (1, ()) == (2, ())\n  At index 0 diff: <Status.FUNDED: 'funded'> != <Status.DECLINED: 'declined'>"
    assert verdict("AssertionError", said) == ("", said.splitlines()[1].strip())
    assert verdict("AssertionError", "assert 1 == 2")[0].startswith("red for another reason")
    assert verdict("KeyError", said)[0].startswith("red for another reason")
    assert verdict("AssertionError", said, phase="setup")[0].startswith("red for another reason")
    assert verdict("AssertionError", said, origin=Path("/elsewhere/x.py"))[0].startswith("a program")
    assert verdict("", "")[0].startswith("STAYS GREEN")


def test_a_module_is_named_by_its_place() -> None:
    assert module_of("libs/runtime/lendrail/runtime/due.py") == "lendrail.runtime.due"
