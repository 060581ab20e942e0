"""Two versions side by side: the halves hand over at every step, and the earlier services run the earlier code.

The run itself starts a whole stack and has its own command: `python -m proofs.mixed`.
"""

import re
import subprocess
from pathlib import Path

import pytest
from proofs.mixed import HALVES, LIVES, PROJECT, Copy
from tests.flow.stack import SERVICES

from lendrail.contracts.topics import TOPICS

HISTORY = pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="there is no history here to take a commit from")


def test_each_service_is_in_one_half() -> None:
    assert sorted(HALVES[0] + HALVES[1]) == sorted(SERVICES)


def test_every_service_reads_the_other_version() -> None:
    """From where it gets its events; status and gateway read what each half says."""
    of = {service: number for number, half in enumerate(HALVES) for service in half}
    heard = {service: set[int]() for service in SERVICES}
    for topic in TOPICS:
        for reader in topic.consumers:
            heard[reader] |= {of[writer] for writer in topic.producers}
    assert all(1 - of[service] in heard[service] for service in SERVICES)


def test_lives_end_in_three_ways() -> None:
    assert {life.last for life in LIVES} == {"approved", "accepted", "withdrawn"}
    assert all(life.first != life.last for life in LIVES)


@HISTORY
def test_a_copy_runs_its_own_code(tmp_path: Path) -> None:
    copy = Copy("HEAD", tmp_path)
    assert copy.serves("gateway")
    assert re.fullmatch(r"[0-9a-f]+ of \d{4}-\d\d-\d\d", copy.commit)
    copy.path = ""
    assert not copy.serves("gateway"), "without it today's code is what runs"


@HISTORY
def test_there_must_be_such_a_commit(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        Copy("no-such-commit", tmp_path)
