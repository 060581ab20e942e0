"""What a chaos run reads out of views and attempts: what waits for a person, why, and what stands beside a creation."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from proofs.chaos import books
from proofs.chaos.books import Books, Noted
from proofs.chaos.cast import AUDIT
from proofs.chaos.induced import SAME, Evidence, Send, evidence, sends_of
from proofs.chaos.ledgers import Attempt, Reader, with_lives
from proofs.chaos.shapes import Accepted, Call, Carried, Fault, Shown
from proofs.chaos.traffic import Acted
from proofs.chaos.truth import Truth

NOON = dt.datetime(2030, 1, 2, 12, 0, tzinfo=dt.UTC)
APPLICATION, MARK, SOAP = "01a1ffae-0000-7000-8000-000000000001", "ZZ000001", "soap-lender"
MAIL = "email-lender"
ACCEPTED = Accepted(
    application=APPLICATION, door="rest", at=NOON, mark=MARK, partners=(SOAP,),
    wanted={SOAP: "in-review", AUDIT: "submitted"},
)  # fmt: skip
OPPORTUNITY = books.opportunity(APPLICATION, SOAP)
KILLED = evidence(
    [Carried(fault=Fault(at=1, kind="kill", target="submission", seconds=1), began=1, ended=2)], NOON, 2.0
)
CALM = evidence([], NOON, 2.0)


def attempt(operation: str, state: str, sent: float | None = 0.5) -> Attempt:
    at = {} if sent is None else {"sent_at": (NOON + dt.timedelta(seconds=sent)).replace(tzinfo=None)}
    return {"operation": operation, "state": state, **at}


def read(
    attempts: Sequence[Attempt], found: Evidence, noted: Sequence[Noted] = (), calls: Sequence[Call] = ()
) -> Mapping[str, Shown]:
    """By the name of the partner."""
    view = {"opportunities": [{"partner": SOAP, "opportunityId": OPPORTUNITY, "status": "in-review", "partnerId": "1"}]}
    reader = Reader(Books([], list(noted)), calls, Truth(), found, {OPPORTUNITY: attempts})
    return {each.partner: each for each in reader.shown(ACCEPTED, view)}


def test_what_waits_for_a_person_is_induced_only_where_a_fault_met_a_call_of_it() -> None:
    for found, induced in ((KILLED, True), (CALM, False)):
        shown = read([attempt("create", "parked")], found)[SOAP]
        assert (shown.parked, shown.induced) == (True, induced)
    assert not read([attempt("create", "parked", sent=4)], KILLED)[SOAP].induced
    assert not read([attempt("create", "parked", sent=None)], KILLED)[SOAP].induced, "what was never sent met nothing"


def test_the_partners_own_note_is_a_reason() -> None:
    reference = books.reference(APPLICATION, SOAP, MARK)
    for whole in (True, False):
        noted = Noted(ledger=SOAP, reference=reference, at=NOON + dt.timedelta(seconds=0.6), whole=whole)
        assert read([attempt("create", "parked")], CALM, [noted])[SOAP].induced is not whole


def test_a_call_that_the_proxy_saw_answered_is_judged_by_itself() -> None:
    """Our record's time is that of the same call, so it is no second one."""
    reference = books.reference(APPLICATION, SOAP, MARK)
    at = NOON + dt.timedelta(seconds=3)
    call = Call(partner=SOAP, began=at, ended=at, outcome="answered", toxic=None, marks=(reference,))
    assert not read([attempt("create", "parked", sent=2.9)], KILLED, calls=[call])[SOAP].induced
    assert read([attempt("create", "parked", sent=0.5)], KILLED, calls=[call])[SOAP].induced, "an earlier one, unseen"


def test_what_is_parked_beside_a_creation_is_an_entry_of_its_own() -> None:
    shown = read([attempt("create", "acked"), attempt("withdraw", "parked"), attempt("document", "acked")], KILLED)
    assert not shown[SOAP].parked
    assert (shown[f"{SOAP} withdraw"].parked, shown[f"{SOAP} withdraw"].induced) == (True, True)
    assert f"{SOAP} document" not in shown


def test_the_mail_for_audit_is_followed_too() -> None:
    for state, status, parked in (
        ("acked", "submitted", False),
        ("parked", "outcome-unknown", True),
        ("cancelled", "cancelled", False),
        ("planned", "submitting", False),
    ):
        mail = read([attempt("create", "acked"), attempt("supplement", state)], CALM)[AUDIT]
        assert (mail.parked, mail.parked or mail.status == status) == (parked, True)
    waits = read([attempt("create", "parked"), attempt("supplement", "planned", sent=None)], KILLED)[AUDIT]
    assert (waits.parked, waits.induced) == (True, True), "it waits with the creation"


spans = st.tuples(st.floats(0, 100), st.floats(0, 5)).map(
    lambda it: (NOON + dt.timedelta(seconds=it[0]), NOON + dt.timedelta(seconds=it[0] + it[1]))
)


@given(st.lists(spans), st.lists(st.floats(-1, 106).map(lambda it: NOON + dt.timedelta(seconds=it)), max_size=4))
def test_calls_without_a_word_of_ours_are_found_by_their_times(
    found: list[tuple[dt.datetime, dt.datetime]], stated: list[dt.datetime]
) -> None:
    calls = [Call(partner=MAIL, began=b, ended=e, outcome="answered", toxic=None, marks=()) for b, e in found]
    near = Reader(Books([], []), calls, Truth(), CALM, {})._mute_at(MAIL, stated)
    by_hand = [each for each in calls if any(each.began - SAME <= at <= each.ended + SAME for at in stated)]
    assert {id(each) for each in by_hand} <= {id(each) for each in near}
    deadline = CALM.deadline
    assert _sends(near, stated, deadline) == _sends(calls, stated, deadline)


def _sends(calls: Sequence[Call], stated: Sequence[dt.datetime], deadline: dt.timedelta) -> list[Send]:
    return sorted(sends_of(MAIL, frozenset(), stated, calls, deadline), key=lambda each: (each.began, each.ended))


def test_versions_are_those_of_which_recipients_hear_and_those_that_were_lost() -> None:
    truth = Truth()
    for number, status in ((1, "submitting"), (2, "submitted"), (4, "approved")):
        said: dict[str, Any] = {"applicationId": APPLICATION, "opportunityId": OPPORTUNITY, "partner": SOAP}
        truth.hear(json.dumps(said | {"stateVersion": number, "status": status}).encode())
    assert truth.to_tell((APPLICATION, OPPORTUNITY)) == (2, 3, 4)


def test_a_change_that_was_taken_must_show() -> None:
    acted = Acted(mark=MARK, application=APPLICATION, partner=SOAP, life="withdraw", becomes="withdrawn")
    shown = read([attempt("create", "acked"), attempt("supplement", "cancelled")], CALM)
    (changed,) = with_lives([ACCEPTED], [acted], list(shown.values()))
    assert changed.wanted == {SOAP: "withdrawn", AUDIT: "cancelled"}
    assert changed.withheld == (AUDIT,), "a mail that was cancelled must not have left"
    waiting = replace(shown[SOAP], partner=f"{SOAP} withdraw", parked=True)
    (either,) = with_lives([ACCEPTED], [acted], [waiting])
    assert either.wanted == {SOAP: "in-review|withdrawn", AUDIT: "submitted"}
