"""The page of failures names tests and proofs that exist, and leaves no row without one."""

import re
from pathlib import Path

import pytest

ROWS = [f"F{number}" for number in range(1, 33)]
TEST = re.compile(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?`")
PROOF = re.compile(r"`(proofs(?:\.\w+)+)`")


def rows(project: Path) -> dict[str, str]:
    page = (project / "docs/proofs/failures.md").read_text()
    return dict(re.findall(r"^\| (F\d+) \|[^|]+\| ([^|]+) \|$", page, re.MULTILINE))


def test_every_failure_has_its_row(project: Path) -> None:
    assert list(rows(project)) == ROWS


@pytest.mark.parametrize("name", ROWS)
def test_what_a_row_names_exists(project: Path, name: str) -> None:
    said = rows(project)[name]
    tests, proofs = TEST.findall(said), PROOF.findall(said)
    for file, test in tests:
        text = (project / file).read_text()
        assert not test or re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file}::{test}"
    for proof in proofs:
        place = project / proof.replace(".", "/")
        assert (place / "__main__.py").exists() or place.with_suffix(".py").exists(), proof
    assert tests or proofs or "not built yet" in said.lower() or "does not apply" in said.lower()
