"""What leaves us for a partner: once, in time, to the right place, and only where it may.

The text that is replaced must be in its file exactly once: whoever moves a protection moves its row too.
"""

from __future__ import annotations

from proofs.sabotage.copied import Edit
from proofs.sabotage.row import RUNTIME, SUBMISSION, Row

BLIND = "tests/submission/test_blind.py::"

SENDING = (
    Row(
        name="sending",
        protection="*under way* is durable before the first byte",
        edits=(
            Edit(
                file=f"{SUBMISSION}/sending/workers.py",
                search=(
                    "        if not await self._writer.write(job, moves.unless_moved(current, begin), begins=True):\n"
                    "            return None\n"
                ),
                replace="        job.opportunity = begin(job.opportunity)[0]\n",
            ),
        ),
        proofs=(f"{BLIND}test_killed_at_any_point_it_has_it_once[partner.after#1]",),
        reports="the partner has it 2 times",
        judge="the partner's ledger, after kill -9",
    ),
    Row(
        name="overruled",
        protection="what was decided of an attempt is not written over what others stored since",
        edits=(
            Edit(
                file=f"{SUBMISSION}/attempts/moves.py",
                search="return move(opportunity) if all(each in opportunity.attempts for each in batch) else None",
                replace="return move(opportunity)",
            ),
        ),
        proofs=("tests/submission/test_workers.py::test_what_is_put_off_while_it_is_withdrawn_stays_withdrawn",),
        reports=r"states are \['prepared'|assert \['prepared', 'acked'\] ==",
        judge="the state of a withdrawn deal, after a lane had put it off",
    ),
    Row(
        name="lease-token",
        protection="lease: whoever begins a send holds it by its token",
        edits=(
            Edit(
                file=f"{SUBMISSION}/store.py",
                search='            where["lease.token"] = begins.token',
                replace="            pass",
            ),
        ),
        proofs=(f"{BLIND}test_whoever_lost_the_lease_sends_nothing",),
        reports="sent by one whose lease is another's",
        judge="the partner's ledger",
        quick=True,
    ),
    Row(
        name="version",
        protection="lease: every write compares the version",
        edits=(
            Edit(
                file=f"{SUBMISSION}/store.py",
                search='        where: Document = {"_id": opportunity.id, "version": opportunity.version}',
                replace='        where: Document = {"_id": opportunity.id}',
            ),
        ),
        proofs=(f"{BLIND}test_two_who_begin_at_the_same_time_send_it_once",),
        reports="the partner has it 2 times",
        judge="the partner's ledger",
        quick=True,
    ),
    Row(
        name="losers",
        protection="lease: of writes that go together each is told whether it was its own that counted",
        edits=(
            Edit(
                file=f"{RUNTIME}/mongo.py",
                search="        stamps = None if all_matched else await self._stamps(batch)",
                replace="        stamps = None",
            ),
        ),
        proofs=(f"{BLIND}test_two_who_begin_at_the_same_time_send_it_once",),
        reports="the partner has it 2 times",
        judge="the partner's ledger",
        quick=True,
    ),
    Row(
        name="lease-deadline",
        protection="lease: the deadline is looked at once more before the first byte",
        edits=(
            Edit(
                file=f"{SUBMISSION}/sending/workers.py",
                search="lambda: job.lease.seconds_left() >= deadline",
                replace="lambda: True",
            ),
        ),
        proofs=("tests/submission/test_crashes.py::test_lease_that_ends_before_the_first_byte_sends_nothing",),
        reports="withheld",
        judge="the attempt's state (the ledger is looked at next)",
        quick=True,
    ),
    Row(
        name="lease-claim",
        protection="lease: what is claimed is nobody else's to claim",
        edits=(
            Edit(
                file=f"{RUNTIME}/due.py",
                search='{"$lte": [{"$ifNull": ["$lease.until", "$$NOW"]}, "$$NOW"]}',
                replace="True",
            ),
        ),
        proofs=("tests/runtime/test_due.py::test_a_document_is_claimed_by_one",),
        reports=r"assert (\d+ == \d+|\[)",
        judge="claims that were handed out",
        quick=True,
    ),
    Row(
        name="rate",
        protection="rate limiter: starts keep their distance, whoever asks",
        edits=(
            Edit(
                file=f"{RUNTIME}/budget.py",
                search='"next": {"$cond": ["$_granted", _later(rate.interval), "$next"]},',
                replace='"next": {"$cond": ["$_granted", "$$NOW", "$next"]},',
            ),
        ),
        proofs=("tests/submission/test_crashes.py::test_two_processes_share_one_request_a_second",),
        reports="tooSoon: the partner counts",
        judge="the partner's ledger",
    ),
    Row(
        name="blind",
        protection="class E: what may have arrived is never sent again",
        edits=(
            Edit(
                file=f"{SUBMISSION}/attempts/classify.py",
                search="    if attempt.unknowns + 1 > repeats:",
                replace="    if attempt.unknowns + 1 > max(repeats, 1):",
            ),
        ),
        proofs=(f"{BLIND}test_a_lost_answer_is_followed_by_nothing",),
        reports="the partner has it 2 times",
        judge="the partner's ledger",
        quick=True,
    ),
    Row(
        name="no-answer",
        protection="from the first byte on, no answer is never *not sent*",
        edits=(
            Edit(
                file="libs/partners/lendrail/partners/channels/rest.py",
                search="            return NoAnswer(_why_no_answer(error)) if began else NotSent(_why_not_sent(error))",
                replace="            return NotSent(_why_not_sent(error))",
            ),
        ),
        proofs=(f"{BLIND}test_a_lost_answer_is_followed_by_nothing",),
        reports="the partner has it 2 times",
        judge="the partner's ledger",
        quick=True,
    ),
    Row(
        name="mode",
        protection="mode: nothing planned as live goes through a test account",
        edits=(
            Edit(
                file=f"{SUBMISSION}/planning/desk.py",
                search="    return credential.mode != mode or _plain(credential)",
                replace="    return False",
            ),
        ),
        proofs=(f"{BLIND}test_what_was_planned_as_live_never_goes_through_a_test_account",),
        reports="crossed to the other mode",
        judge="the partner's ledger",
        quick=True,
    ),
    Row(
        name="consent",
        protection="consent: without it nothing goes to a lender",
        edits=(
            Edit(
                file=f"{SUBMISSION}/planning/desk.py",
                search="not intent.application.consents_to(opportunity.partner):",
                replace="not opportunity.partner:",
            ),
        ),
        proofs=("tests/submission/test_plan.py::test_nothing_is_sent_and_everybody_is_told_why[no-consent]",),
        reports="PREPARED",
        judge="what is planned",
        quick=True,
    ),
)
