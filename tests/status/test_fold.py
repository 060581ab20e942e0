"""The fold: pure rules, and the promise that order and repetition of deliveries do not matter."""

import datetime as dt
import random
import uuid
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.make import NOW

from lendrail.contracts.partner_ack import Operation, Outcome
from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.terms import DeclineReason, FieldProblem, Money, Offer, ReasonCode, Report, Status
from lendrail.status.folding.decided import FINAL, REOPENED
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import (
    AcceptReported,
    Amended,
    Answered,
    Corrected,
    Missing,
    Observation,
    Pinned,
    Reported,
    Said,
    State,
    Unpinned,
    Validated,
)

ATTEMPT = uuid.UUID(int=1)
PROBLEM = FieldProblem(pointer="/business", code="refused", message="was refused by the partner", phase="partner")


def seen(second: float, said: Said, source: str = "fetch", name: str = "", **times: Any) -> Observation:
    at = NOW + dt.timedelta(seconds=second)
    values = {"source": source, "at": at, "received_at": at} | times
    return Observation(id=name or f"{source}-{second}", said=said, **values)


def validated(second: float = 0, status: Status = Status.SUBMITTING, revision: int = 1) -> Observation:
    problems = () if status is Status.SUBMITTING else (PROBLEM,)
    said = Validated(status=status, revision=revision, received_at=NOW, problems=problems)
    return seen(second, said, "validation", f"validated-{revision}-{second}")


def ack(second: float, outcome: Outcome, operation: Operation = "create", **values: Any) -> Observation:
    values = {"attempt_id": ATTEMPT, "version": 1} | values
    name = f"{values['attempt_id']}-{values['version']}-{operation}"
    return seen(second, Answered(operation=operation, outcome=outcome, **values), "ack", name)


def report(second: float, status: Status | None, words: str = "Word", **values: Any) -> Observation:
    return seen(second, Reported(report=Report(status=status, words=words, **values)))


def state(*heard: Observation) -> State:
    return fold(heard)


def test_every_outcome_of_a_submission_has_its_status() -> None:
    retried: dict[str, Any] = {"next_check_at": NOW}
    cases: list[tuple[Observation, Status, tuple[str, ...]]] = [
        (ack(1, "accepted", partner_id="L1"), Status.SUBMITTED, ()),
        (ack(1, "accepted"), Status.SUBMITTED, ()),
        (ack(1, "accepted-id-unknown"), Status.SUBMITTED, ("partner-id-unknown",)),
        (ack(1, "id-bound", partner_id="L1"), Status.SUBMITTED, ()),
        (ack(1, "duplicate"), Status.DUPLICATE, ()),
        (ack(1, "rejected", problems=(PROBLEM,)), Status.INFO_REQUIRED, ("refused",)),
        (ack(1, "rejected", problems=(PROBLEM.model_copy(update={"pointer": ""}),)), Status.FAILED, ("refused",)),
        (ack(1, "parked", reason="no-answer"), Status.OUTCOME_UNKNOWN, ("no-answer", "parked")),
        (ack(1, "unknown", **retried), Status.OUTCOME_UNKNOWN, ()),
        (ack(1, "not-sent", **retried), Status.SUBMITTING, ("not-sent",)),
        (ack(1, "not-sent", problems=(PROBLEM,)), Status.FAILED, ("not-sent",)),
    ]
    assert {a.said.outcome for a, _, _ in cases if isinstance(a.said, Answered)} == set(get_args(Outcome))
    for answer, status, flags in cases:
        folded = state(validated(), answer)
        assert (folded.status, folded.flags) == (status, flags), answer
        assert isinstance(answer.said, Answered)
        assert folded.problems == answer.said.problems
        assert folded.next_check_at == answer.said.next_check_at


def test_the_newer_version_of_an_attempt_rules_whatever_its_clock_says() -> None:
    late_clock = ack(60, "unknown", version=1, next_check_at=NOW)
    assert state(late_clock, ack(5, "accepted", version=2, partner_id="L1")).status is Status.SUBMITTED


def test_an_acceptance_is_not_undone_by_a_later_attempt() -> None:
    other = ack(9, "rejected", attempt_id=uuid.UUID(int=2))
    assert state(ack(1, "accepted", partner_id="L1"), other).status is Status.SUBMITTED


def test_an_id_bound_by_a_person_counts() -> None:
    folded = state(ack(1, "accepted-id-unknown"), ack(2, "id-bound", version=2, partner_id="L9"))
    assert (folded.partner_id, folded.flags) == ("L9", ())


def test_a_decision_outranks_every_answer() -> None:
    for outcome in ("unknown", "parked", "rejected", "accepted"):
        assert state(report(1, Status.APPROVED), ack(5, outcome)).status is Status.APPROVED


def test_a_decision_that_came_with_the_answer() -> None:
    told = Report(
        status=Status.DECLINED, words="No", decline_reasons=(DeclineReason(code=ReasonCode.FRAUD, words="x"),)
    )
    folded = state(validated(), ack(1, "accepted", partner_id="L1", report=told))
    assert (folded.status, folded.source, folded.partner_words) == (Status.DECLINED, "ack", "No")
    assert folded.decline_reasons == told.decline_reasons


def test_what_the_partner_says_is_shown_and_replaced() -> None:
    offer = Offer(
        id="base", amount=Money(amount="30000", currency="USD"), action_link=Sensitive("https://x.example.test")
    )
    missing = report(1, Status.INFO_REQUIRED, missing_info=SensitiveText("two more statements"))
    approved = report(2, Status.APPROVED, "Approval Sent", offers=(offer,))
    assert state(missing).missing_info == SensitiveText("two more statements")
    folded = state(missing, approved)
    assert (folded.missing_info, folded.offers, folded.partner_words) == (None, (offer,), "Approval Sent")
    assert folded.observed_at == approved.at


def test_what_a_file_cannot_tell_it_does_not_take_back() -> None:
    """Its rows have no column for offers, nor for what is missing: the same status in a list is no news of them."""
    offer = Offer(id="base", amount=Money(amount="30000", currency="USD"))
    asks = SensitiveText("two more statements")

    def row(second: float, status: Status) -> Observation:
        return seen(second, Reported(report=Report(status=status, words="Word")), "csv")

    approved = report(1, Status.APPROVED, offers=(offer,))
    assert state(approved, row(2, Status.APPROVED)).offers == (offer,)
    taken = ack(2, "accepted", "accept", attempt_id=uuid.UUID(int=2))
    assert state(approved, taken, row(3, Status.APPROVED)).offers == (offer,)
    asked = state(report(1, Status.INFO_REQUIRED, missing_info=asks), row(2, Status.INFO_REQUIRED))
    assert asked.missing_info == asks
    assert state(approved, row(2, Status.DECLINED)).offers == ()
    assert state(approved, report(2, Status.APPROVED)).offers == (), "a look shows all"


def test_an_unknown_word_is_shown_and_never_guessed() -> None:
    folded = state(report(1, Status.APPROVED), report(2, None, "Underwriting Hold"))
    assert (folded.status, folded.partner_words, folded.flags) == (
        Status.APPROVED,
        "Underwriting Hold",
        ("unmapped-words",),
    )
    assert folded.observed_at == NOW + dt.timedelta(seconds=1)
    assert state(ack(0, "accepted", partner_id="L"), report(1, None)).status is Status.IN_REVIEW
    assert state(report(1, None), report(2, Status.DECLINED)).flags == ()


def test_documents_are_listed_and_their_failures_flagged() -> None:
    folded = state(
        ack(1, "accepted", partner_id="L1"),
        ack(2, "accepted", "document", attempt_id=uuid.UUID(int=2), document="summary.xlsx"),
        ack(3, "rejected", "document", attempt_id=uuid.UUID(int=3), document="photo.bmp"),
    )
    assert (folded.status, folded.documents_sent, folded.flags) == (
        Status.SUBMITTED,
        ("summary.xlsx",),
        ("document-rejected",),
    )


def test_our_withdrawal_and_acceptance_count_when_the_partner_took_them() -> None:
    approved = report(1, Status.APPROVED)
    assert state(approved, ack(2, "accepted", "accept")).status is Status.ACCEPTED
    assert state(approved, ack(2, "rejected", "accept")).status is Status.APPROVED
    assert state(approved, ack(2, "accepted", "withdraw")).status is Status.WITHDRAWN


@pytest.mark.parametrize("before", [Status.APPROVED, Status.DUPLICATE])
def test_a_registration_that_replaces_another_begins_anew(before: Status) -> None:
    first, over, second = (uuid.uuid4() for _ in range(3))
    heard = [
        ack(1, "accepted", partner_id="REG-1", at_registry=True, attempt_id=first),
        report(2, before),
        ack(3, "accepted", "withdraw", at_registry=True, attempt_id=over),
        report(4, Status.WITHDRAWN),
        ack(5, "accepted", partner_id="REG-2", at_registry=True, attempt_id=second),
    ]
    anew = state(*heard)
    assert (anew.status, anew.partner_id) == (Status.SUBMITTED, "REG-2")
    assert state(*heard, report(6, Status.APPROVED)).status == Status.APPROVED


def test_an_id_that_the_partner_forgot_is_flagged_until_it_knows_it_again() -> None:
    accepted, missing = ack(0, "accepted", partner_id="L1"), seen(1, Missing())
    assert state(accepted, missing).flags == ("unknown-at-partner",)
    assert state(accepted, missing).status is Status.SUBMITTED
    assert state(accepted, missing, report(2, Status.IN_REVIEW)).flags == ()


GATE = uuid.UUID(int=2)


def gate(second: float, outcome: Outcome, reason: str | None = None, **values: Any) -> Observation:
    return ack(second, outcome, "gate", attempt_id=GATE, version=int(second), reason=reason, **values)


def test_the_registry_holds_stops_and_alarms() -> None:
    later = NOW + dt.timedelta(seconds=900)
    pending = gate(1, "not-sent", "registry-pending", next_check_at=later)
    waiting = state(validated(), pending)
    assert (waiting.status, waiting.next_check_at) == (Status.SUBMITTING, later)
    stopped = state(validated(), pending, gate(2, "duplicate", "registry-duplicate"))
    assert (stopped.status, stopped.flags) == (Status.DUPLICATE, ("registry-duplicate",))


@pytest.mark.parametrize("status", [Status.SUBMITTED, Status.APPROVED, Status.FUNDED])
def test_a_registry_that_finds_a_duplicate_later_alarms_whatever_was_decided(status: Status) -> None:
    decided = [] if status is Status.SUBMITTED else [report(3, status)]
    found = state(gate(1, "accepted"), ack(2, "accepted"), *decided, gate(4, "duplicate", "alarm-registry-duplicate"))
    assert (found.status, found.flags) == (status, ("alarm-registry-duplicate",))


def test_a_revision_that_waits_for_the_registry_after_one_that_was_not_sent() -> None:
    before = ack(1, "not-sent", reason="partner-disabled")
    assert state(before).status == Status.FAILED
    assert state(before, gate(2, "not-sent", "registry-pending")).status == Status.SUBMITTING
    assert state(before, gate(2, "duplicate", "registry-duplicate")).status == Status.DUPLICATE


def test_the_newest_revision_rules_over_validation() -> None:
    folded = state(validated(9, Status.INELIGIBLE, revision=1), validated(1, Status.SUBMITTING, revision=2))
    assert (folded.status, folded.problems) == (Status.SUBMITTING, ())


@pytest.mark.parametrize("before", sorted(FINAL))
@pytest.mark.parametrize("after", sorted(Status))
def test_final_states_are_final_but_for_the_listed_exceptions(before: Status, after: Status) -> None:
    folded = state(report(1, before), report(2, after))
    if before == after:
        assert (folded.status, folded.flags) == (before, ())
    elif (before, after) in REOPENED:
        assert (folded.status, folded.flags) == (after, (f"alarm:{after}-after-{before}",))
    else:
        assert (folded.status, folded.flags) == (before, (f"contradicted:{after}-after-{before}",))


STATUSES = st.sampled_from(sorted(Status))


def made(model: type[Any], **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """By field names; `st.builds` would ask for the aliases too."""
    return st.fixed_dictionaries(parts).map(lambda values: model(**values))


REPORTS = made(
    Report,
    status=st.none() | STATUSES,
    words=st.text(max_size=5),
    flags=st.lists(st.sampled_from(["unknown-stage", "unreadable-offers"]), max_size=2).map(tuple),
    missing_info=st.none() | st.just(SensitiveText("more")),
)
WHY = st.just(SensitiveText("a person said so"))
MOMENTS = st.integers(-1, 5).map(lambda n: NOW + dt.timedelta(days=n))
SAID: st.SearchStrategy[Said] = st.one_of(
    made(Validated, status=STATUSES, revision=st.integers(1, 3), received_at=st.just(NOW)),
    made(
        Answered,
        attempt_id=st.integers(1, 3).map(lambda n: uuid.UUID(int=n)),
        version=st.integers(1, 3),
        operation=st.sampled_from(get_args(Operation)),
        outcome=st.sampled_from(get_args(Outcome)),
        document=st.none() | st.just("a.pdf"),
        partner_id=st.none() | st.sampled_from(["L1", "L2"]),
        report=st.none() | REPORTS,
        next_check_at=st.none() | st.just(NOW),
        unknown_since=st.none() | st.just(NOW),
        problems=st.sampled_from([(), (PROBLEM,)]),
        at_registry=st.booleans(),
        done_at=st.none() | MOMENTS,
    ),
    made(Reported, report=REPORTS),
    st.just(Missing()),
    made(
        Amended,
        revision=st.integers(2, 3),
        operation=st.sampled_from(["document", "accept", "withdraw"]),
        document=st.none() | st.just("a.pdf"),
        problems=st.sampled_from([(), (PROBLEM,)]),
    ),
    made(AcceptReported, revision=st.integers(2, 3), offer_id=st.just("offer-1")),
    made(Corrected, status=STATUSES, by=st.just("operator"), why=WHY),
    made(
        Pinned,
        status=STATUSES,
        by=st.just("operator"),
        why=WHY,
        until_partner_says=st.lists(STATUSES, max_size=2).map(tuple),
    ),
    st.just(Unpinned()),
)
SOURCE = {
    Validated: ["validation"],
    Answered: ["ack"],
    Reported: ["fetch", "poll", "webhook"],
    Missing: ["fetch", "poll"],
    Amended: ["validation"],
    AcceptReported: ["person"],
    Corrected: ["person"],
    Pinned: ["person"],
    Unpinned: ["person"],
}


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    heard = []
    for number in range(draw(st.integers(1, 8))):
        said = draw(SAID)
        source = draw(st.sampled_from(SOURCE[type(said)]))
        day = draw(st.integers(0, 4)) * 86_400
        times = {name: draw(st.none() | MOMENTS) for name in ("looked_at", "partner_time")}
        heard.append(seen(day, said, source, f"o{number}", **times))
    return heard


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_state(heard: list[Observation], chance: random.Random) -> None:
    again = heard + chance.choices(heard, k=chance.randint(0, 6))
    chance.shuffle(again)
    assert fold(again) == fold(heard)


@given(histories())
def test_a_state_is_never_final_for_want_of_words(heard: list[Observation]) -> None:
    """Total: every history folds; a status other than those that somebody stated is never made up."""
    folded = fold(heard)
    stated = {o.said.status for o in heard if isinstance(o.said, Validated)}
    reports = [o.said.report for o in heard if isinstance(o.said, Reported | Answered) and o.said.report]
    stated |= {each.status for each in reports if each.status}
    stated |= {o.said.status for o in heard if isinstance(o.said, Corrected | Pinned)}
    answered = {Status.SUBMITTED, Status.OUTCOME_UNKNOWN, Status.DUPLICATE, Status.FAILED, Status.ACCEPTED}
    ours = {Status.SUBMITTING, Status.IN_REVIEW, Status.WITHDRAWN, Status.REFERRED, Status.RECEIVED} | answered
    assert folded.status in stated | ours


def test_nothing_heard_is_nothing_to_fold() -> None:
    with pytest.raises(ValueError, match="nothing to fold"):
        fold([])


def test_a_decision_that_asks_for_review_approves_nothing_until_a_person_confirmed_it() -> None:
    flag = "review-company-name-mismatch"
    held = Report(status=Status.REFERRED, words="approved", flags=(flag,))
    answer = ack(1, "accepted", partner_id="L1", report=held)
    told = state(answer, report(2, Status.APPROVED, "Indicative Offer Sent"))
    assert (told.status, f"partner:{flag}" in told.flags) == (Status.REFERRED, True)
    assert state(answer, report(2, Status.FUNDED)).status is Status.FUNDED
    assert state(answer, report(2, None, "Contemplating")).status is Status.REFERRED
    confirmed = ack(3, "id-bound", partner_id="L1", version=2)
    assert state(answer, confirmed, report(4, Status.APPROVED)).status is Status.APPROVED
