"""Short forms of the model tests; `python -m proofs.models` runs them for as long as one likes."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from proofs.models.attempts import MACHINES, Attempts
from proofs.models.doors import Doors
from proofs.models.histories import Histories
from proofs.models.leases import Life

HISTORIES = 800


def test_any_order_and_any_repetition_of_what_was_heard_fold_to_one_state() -> None:
    histories = Histories(seed=6)
    assert [fault for number in range(HISTORIES) if (fault := histories.check(number))] == []


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_a_partner_of_any_class_never_gets_an_application_twice(machine: type[Attempts]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None))


@pytest.mark.parametrize("seed", range(4))
def test_due_work_is_done_and_never_held_by_two(seed: int) -> None:
    told = Life(seed).run()
    assert told.faults == []
    assert told.effects >= 12
    assert told.given_up > 0, "nothing was frozen for longer than its lease: that proves nothing"


def test_once_by_key_at_both_doors(mongo: str) -> None:
    Doors.mongo = mongo
    limits = settings(
        max_examples=6, stateful_step_count=10, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(Doors, settings=limits)
