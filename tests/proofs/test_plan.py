"""The plan of a chaos run: repeatable, complete, and quiet at its end."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from proofs.chaos import plan as planning
from proofs.chaos.labels import labels
from proofs.chaos.plan import KINDS, QUIET, SERVERS, plan
from proofs.chaos.shapes import Fault, Options
from proofs.chaos.toxics import Toxic
from tests.flow.test_crashes import WINDOWS

from lendrail.local.programs import SERVICES
from lendrail.sandbox.app import PARTNERS
from lendrail.sandbox.dials import DIAL

ALL = frozenset(KINDS)
PROCESSES = ("kill", "kill-at", "freeze", "server-kill", "skew")
SEEDS = st.integers(0, 2**63)
OPTIONS = st.builds(
    Options,
    seed=SEEDS,
    seconds=st.floats(10, 4000),
    kinds=st.frozensets(st.sampled_from(KINDS)),
    every=st.floats(1, 30),
)


@given(OPTIONS)
@settings(deadline=None, max_examples=40)
def test_the_same_seed_gives_the_same_plan(options: Options) -> None:
    assert plan(options) == plan(options)


@given(OPTIONS)
@settings(deadline=None, max_examples=40)
def test_only_what_was_asked_for_in_order_and_nothing_in_the_last_fifth(options: Options) -> None:
    faults = plan(options)
    assert {fault.kind for fault in faults} <= options.kinds
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    for fault in faults:
        assert fault.at > 0
        assert fault.seconds >= 0
        assert fault.at + fault.seconds <= options.seconds * (1 - QUIET) + 0.002


@given(SEEDS)
@settings(deadline=None, max_examples=40)
def test_a_usual_run_has_each_kind_and_kills_each_service_and_server(seed: int) -> None:
    faults = plan(Options(seed=seed, kinds=ALL))
    assert {fault.kind for fault in faults} == ALL
    assert {fault.target for fault in faults if fault.kind == "kill"} == set(SERVICES)
    assert {fault.target for fault in faults if fault.kind == "server-kill"} == set(SERVERS)


@given(OPTIONS)
@settings(deadline=None, max_examples=40)
def test_a_process_suffers_one_fault_at_a_time_and_rests(options: Options) -> None:
    ends: dict[str, float] = defaultdict(float)
    for fault in plan(options):
        if fault.kind in PROCESSES:
            assert fault.at >= ends[fault.target] - 0.002
            ends[fault.target] = fault.at + fault.seconds + planning.REST


@given(SEEDS)
@settings(deadline=None, max_examples=40)
def test_every_fault_can_be_carried_out(seed: int) -> None:
    for fault in plan(Options(seed=seed, kinds=ALL, seconds=1000)):
        check(fault)


def check(fault: Fault) -> None:
    """What the program takes that will be told of it."""
    match fault.kind:
        case "kill" | "skew":
            assert fault.target in SERVICES
        case "kill-at":
            assert fault.detail["label"] in labels()[fault.target]
        case "freeze":
            assert fault.target in (*SERVICES, *SERVERS)
            assert 1 <= fault.seconds <= planning.LONGEST_FREEZE or fault.at + fault.seconds > 799
        case "server-kill":
            assert fault.target in SERVERS
        case "network":
            assert fault.target in (*PARTNERS, *SERVERS)
            Toxic(target=fault.target, **fault.detail)
        case "partner" | "webhooks":
            assert fault.target in PARTNERS
            DIAL.validate_python(fault.detail)
    if fault.kind == "skew":
        assert abs(fault.detail["skew"]) == (120 if fault.target == "gateway" else 600)


@given(SEEDS)
@settings(deadline=None, max_examples=20)
def test_a_long_run_kills_what_a_proof_needs(seed: int) -> None:
    faults = plan(Options(seed=seed, kinds=ALL, seconds=5400, every=4.0))
    kills = [fault for fault in faults if fault.kind in ("kill", "kill-at")]
    assert len(kills) >= 300
    for server in SERVERS:
        assert sum(fault.kind == "server-kill" and fault.target == server for fault in faults) >= 10


def test_the_reader_of_files_dies_at_points_of_its_own() -> None:
    faults = plan(Options(seed=1, kinds=frozenset({"kill-at"}), seconds=1000))
    drawn = {fault.detail["label"].split(".")[1] for fault in faults if fault.target == "status"}
    assert {"imports", "import_reports", "import_pieces"} & drawn


def test_the_labels_are_those_of_the_code() -> None:
    for service, label in WINDOWS:
        assert label in labels()[service]
    assert "partner.sending" in labels()["submission"]
    assert not any("partner." in label for label in labels()["documents"])
    assert not any("{" in label for found in labels().values() for label in found)
