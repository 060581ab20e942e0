"""What becomes of changes after the first submission: corrections, documents, acceptances, withdrawals. Pure."""

import datetime as dt
import itertools
import uuid
from typing import Any

import pytest
from tests.make import NOW
from tests.status.test_fold import PROBLEM, ack, seen, state, validated

from lendrail.contracts.partner_ack import Operation, Outcome
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, Offer, Report, Status, Wanted
from lendrail.status.folding.decided import PATIENCE
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import UNSENT, AcceptReported, Amended, Observation, Reported

UNABLE = FieldProblem(pointer="", code="not-withdrawable", message="takes no withdrawal", phase="partner")
OFFER = Offer(id="offer-1")
ASKED = SensitiveText("two more statements")


def change(second: float, operation: Operation, outcome: Outcome = "accepted", **values: Any) -> Observation:
    """An answer to a change, known at the second at which it was asked."""
    number = uuid.uuid5(uuid.NAMESPACE_OID, f"{operation}-{values.pop('generation', 1)}-{values.get('document')}")
    done = NOW + dt.timedelta(seconds=values.pop("done", second))
    return ack(second, outcome, operation, attempt_id=number, done_at=done, **values)


def look(second: float, status: Status, began: float | None = None, **values: Any) -> Observation:
    """What a look brought that began at `began`; the partner's own time may be older."""
    looked_at = NOW + dt.timedelta(seconds=second if began is None else began)
    said = Reported(report=Report(status=status, words="Word", **values))
    return seen(second, said, "fetch", f"look-{second}-{began}", looked_at=looked_at)


def late(document: str, revision: int = 2) -> Observation:
    said = Amended(revision=revision, operation="document", document=document)
    return seen(1, said, "validation", f"late-{document}")


def person(second: float) -> Observation:
    return seen(second, AcceptReported(revision=2, offer_id="offer-1"), "person")


TAKEN = ack(0, "accepted", partner_id="L1")


def test_a_withdrawal_that_the_partner_took_ends_it_and_its_offers() -> None:
    folded = state(TAKEN, look(1, Status.APPROVED, offers=(OFFER,)), change(2, "withdraw"))
    assert (folded.status, folded.source, folded.offers, folded.flags) == (Status.WITHDRAWN, "ack", (), ())
    assert folded.partner_words == "Word"


@pytest.mark.parametrize("reason", UNSENT)
def test_what_was_not_sent_is_withdrawn_here(reason: str) -> None:
    first = change(2, "withdraw", reason=reason)
    folded = state(validated(), first)
    assert (folded.status, folded.flags) == (Status.WITHDRAWN, (reason,))
    again = change(9, "withdraw", reason="already-withdrawn", version=2)
    assert state(validated(), first, again).flags == (reason,)


def test_a_look_after_the_withdrawal_decides_its_race_with_an_approval() -> None:
    withdrawal = change(2, "withdraw", done=4)
    before, during = look(1, Status.APPROVED), look(3, Status.APPROVED)
    assert state(TAKEN, before, withdrawal).status is Status.WITHDRAWN
    crossed = state(TAKEN, withdrawal, during)
    assert (crossed.status, crossed.flags) == (Status.WITHDRAWN, ("contradicted:approved-after-withdrawn",))
    for after in (look(5, Status.APPROVED), look(1, Status.APPROVED, began=5)):
        won = state(TAKEN, withdrawal, after)
        assert (won.status, won.flags) == (Status.APPROVED, ("alarm:approved-after-withdrawn",))
    lost = state(TAKEN, withdrawal, look(5, Status.APPROVED), look(6, Status.WITHDRAWN))
    assert (lost.status, lost.flags) == (Status.WITHDRAWN, ())


def test_a_call_decides_the_race_only_by_a_time_of_its_own() -> None:
    withdrawal = change(2, "withdraw", done=4)
    said = Reported(report=Report(status=Status.APPROVED, words="Word"))
    old = seen(5, said, "webhook", "old")
    timed = seen(5, said, "webhook", "timed", partner_time=NOW + dt.timedelta(seconds=5))
    assert state(TAKEN, withdrawal, old).status is Status.WITHDRAWN
    assert state(TAKEN, withdrawal, timed).status is Status.APPROVED


def test_a_registry_that_cancels_is_no_race() -> None:
    assert state(TAKEN, change(2, "withdraw", at_registry=True), look(5, Status.APPROVED)).status is Status.WITHDRAWN


def test_a_partner_at_work_after_our_withdrawal_does_not_undo_it() -> None:
    folded = state(TAKEN, change(2, "withdraw"), look(5, Status.IN_REVIEW))
    assert (folded.status, folded.flags) == (Status.WITHDRAWN, ("contradicted:in-review-after-withdrawn",))


@pytest.mark.parametrize("operation", ["update", "document", "accept", "withdraw"])
def test_a_refused_change_is_told_and_changes_nothing(operation: Operation) -> None:
    folded = state(
        TAKEN, look(1, Status.APPROVED, offers=(OFFER,)), change(2, operation, "rejected", problems=(UNABLE,))
    )
    assert (folded.status, folded.offers) == (Status.APPROVED, (OFFER,))
    assert (folded.flags, folded.problems) == ((f"{operation}-rejected",), (UNABLE,))


def test_of_two_tries_the_newer_one_counts() -> None:
    refused = change(1, "update", "rejected", problems=(UNABLE,))
    again = change(2, "update", generation=2)
    folded = state(TAKEN, refused, again)
    assert (folded.flags, folded.problems) == (("updated:1",), ())
    assert state(TAKEN, refused, again, change(3, "update", generation=3)).flags == ("updated:2",)


def test_a_change_of_which_nobody_knows_has_a_plan() -> None:
    lost = change(2, "withdraw", "unknown", unknown_since=NOW, next_check_at=NOW, plan="look-up")
    folded = state(TAKEN, look(1, Status.APPROVED), lost)
    assert (folded.status, folded.flags) == (Status.APPROVED, ("withdraw-unknown",))
    assert (folded.unknown_since, folded.next_check_at, folded.plan) == (NOW, NOW, "look-up")
    ended = state(TAKEN, look(1, Status.DECLINED), lost)
    assert (ended.unknown_since, ended.plan) == (None, None)


def test_an_acceptance_stays_until_the_partner_says_something_else() -> None:
    approved, taken = look(1, Status.APPROVED, offers=(OFFER,)), change(2, "accept")
    folded = state(TAKEN, approved, taken, look(5, Status.APPROVED, offers=(OFFER,)))
    assert (folded.status, folded.source, folded.offers) == (Status.ACCEPTED, "ack", (OFFER,))
    for later in (Status.IN_REVIEW, Status.DECLINED, Status.EXPIRED, Status.FUNDED, Status.INFO_REQUIRED):
        assert state(TAKEN, approved, taken, look(5, later)).status is later


def test_an_offer_that_is_accepted_in_the_second_in_which_it_was_made() -> None:
    """Calls of one second have no order of their own, and the answer to our acceptance states that second too."""
    accepted, approved = (Report(status=each, words="Word") for each in (Status.ACCEPTED, Status.APPROVED))
    answer = change(2, "accept", report=accepted)
    for names in (("a", "b"), ("b", "a")):
        told = [
            seen(2, Reported(report=each), "webhook", name)
            for each, name in zip((accepted, approved), names, strict=True)
        ]
        for heard in itertools.permutations((answer, *told)):
            assert state(TAKEN, *heard).status is Status.ACCEPTED
        assert state(TAKEN, answer, *told, look(3, Status.FUNDED)).status is Status.FUNDED
        assert state(TAKEN, answer, *told, look(3, Status.APPROVED)).status is Status.APPROVED


def test_an_acceptance_that_a_person_reports() -> None:
    approved = look(1, Status.APPROVED, offers=(OFFER,))
    told = state(TAKEN, approved, person(2))
    assert (told.status, told.source, told.flags) == (Status.ACCEPTED, "person", ("accepted-reported",))
    assert told.offers == (OFFER,)
    assert state(TAKEN, approved, person(2), look(3, Status.APPROVED)).flags == ("accepted-reported",)
    confirmed = state(TAKEN, approved, person(2), look(3, Status.ACCEPTED))
    assert (confirmed.status, confirmed.source, confirmed.flags) == (Status.ACCEPTED, "fetch", ())
    assert state(TAKEN, look(1, Status.ACCEPTED), person(2)).flags == ()
    assert state(TAKEN, person(2), change(3, "accept")).flags == ()


@pytest.mark.parametrize("ended", [Status.DECLINED, Status.EXPIRED, Status.FUNDED, Status.WITHDRAWN])
def test_a_person_reopens_nothing(ended: Status) -> None:
    folded = state(TAKEN, look(1, ended), person(2))
    assert (folded.status, folded.flags) == (ended, (f"contradicted:accepted-after-{ended}",))


@pytest.mark.parametrize("answer", [change(3, "document", document="late.pdf"), change(3, "update")])
def test_what_was_asked_for_and_sent_puts_the_partner_to_work(answer: Observation) -> None:
    wanted = (Wanted(kind="bank-statement"),)
    asked = look(1, Status.INFO_REQUIRED, missing_info=ASKED, wanted=wanted)
    assert state(TAKEN, asked).wanted == wanted
    sent = [TAKEN, asked, late("late.pdf"), answer]
    folded = state(*sent)
    assert (folded.status, folded.source) == (Status.IN_REVIEW, "ack")
    assert (folded.missing_info, folded.wanted) == (None, ())
    same = look(5, Status.INFO_REQUIRED, missing_info=ASKED, wanted=wanted, notes=SensitiveText("read soon"))
    assert state(*sent, same).status is Status.IN_REVIEW
    other = look(5, Status.INFO_REQUIRED, missing_info=SensitiveText("the last page"))
    assert (state(*sent, other).status, state(*sent, other).missing_info) == (
        Status.INFO_REQUIRED,
        other.said.report.missing_info if isinstance(other.said, Reported) else None,
    )
    assert state(*sent, look(5, Status.APPROVED)).status is Status.APPROVED


def test_a_question_that_stands_a_day_later_is_asked_again() -> None:
    sent = [TAKEN, look(1, Status.INFO_REQUIRED), late("late.pdf"), change(3, "document", document="late.pdf")]
    seconds = PATIENCE.total_seconds()
    assert state(*sent, look(1, Status.INFO_REQUIRED, began=seconds)).status is Status.IN_REVIEW
    again = [*sent, look(1, Status.INFO_REQUIRED, began=seconds + 4)]
    assert state(*again).status is Status.INFO_REQUIRED
    more = [late("more.pdf"), change(seconds + 9, "document", document="more.pdf")]
    assert state(*again, *more).status is Status.IN_REVIEW


def test_a_document_of_the_first_submission_answers_nothing() -> None:
    early = change(3, "document", document="summary.xlsx")
    assert state(TAKEN, look(1, Status.INFO_REQUIRED), late("late.pdf"), early).status is Status.INFO_REQUIRED


def test_a_correction_never_takes_back_what_was_taken() -> None:
    corrected = validated(9, revision=2)
    assert state(validated(), TAKEN, corrected).status is Status.SUBMITTED
    assert state(validated(), ack(1, "unknown"), corrected).status is Status.OUTCOME_UNKNOWN
    assert state(validated(), TAKEN, look(1, Status.DECLINED), corrected).status is Status.DECLINED
    assert state(validated(), TAKEN, validated(9, Status.INELIGIBLE, revision=2)).status is Status.SUBMITTED


def test_a_correction_after_a_clean_refusal_is_on_its_way_again() -> None:
    refused = [validated(), ack(1, "rejected", problems=(PROBLEM,))]
    assert state(*refused).status is Status.INFO_REQUIRED
    corrected = state(*refused, validated(9, revision=2))
    assert (corrected.status, corrected.problems, corrected.flags) == (Status.SUBMITTING, (), ())
    unfit = state(*refused, validated(9, Status.INELIGIBLE, revision=2))
    assert (unfit.status, unfit.problems) == (Status.INELIGIBLE, (PROBLEM,))
    second = ack(12, "rejected", attempt_id=uuid.UUID(int=7))
    assert state(*refused, validated(9, revision=2), second).status is Status.FAILED


def test_a_refused_change_of_an_application_is_told_and_no_more() -> None:
    refused = validated(5, Status.INVALID, revision=2)
    alone = state(refused)
    assert (alone.status, alone.flags, alone.problems) == (Status.RECEIVED, ("amendment-refused:2",), (PROBLEM,))
    nobody = state(validated(0, Status.INELIGIBLE), refused)
    assert (nobody.status, nobody.flags) == (Status.INELIGIBLE, ("amendment-refused:2",))
    assert state(validated(0, Status.INVALID)).flags == ()
    newer = validated(9, Status.INELIGIBLE, revision=3)
    assert state(refused, newer).flags == ()


def test_what_validation_refuses_of_a_change_is_told_with_its_reasons() -> None:
    said = Amended(revision=2, operation="document", problems=(UNABLE,))
    folded = state(TAKEN, seen(2, said, "validation"))
    assert (folded.status, folded.flags, folded.problems) == (Status.SUBMITTED, ("document-rejected",), (UNABLE,))


def test_every_order_of_one_life_gives_the_same_state() -> None:
    life = [
        validated(),
        TAKEN,
        late("late.pdf"),
        change(3, "document", document="late.pdf"),
        look(2, Status.INFO_REQUIRED),
        change(5, "withdraw", done=6),
        look(4, Status.APPROVED, began=7),
    ]
    first = fold(life)
    assert (first.status, first.documents_sent) == (Status.APPROVED, ("late.pdf",))
    assert all(fold([*order, order[0]]) == first for order in itertools.permutations(life))
