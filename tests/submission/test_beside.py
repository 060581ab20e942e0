"""What a person's word to send a correction anew comes to, and how the new one stands to the one before. Pure."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests.submission.amended import (
    NOW,
    SOAP_LENDER,
    accept,
    corrected,
    decided,
    desk_of,
    first_of,
    heard,
    intended,
    key_of,
    named,
    taken,
    with_create,
    withdraw,
)
from tests.submission.others import MONETAGO, REFERENCE
from tests.submission.test_intents import LATER, came, told
from tests.submission.test_old_papers import registration

from lendrail.contracts.submit import Submit
from lendrail.contracts.terms import Status
from lendrail.partners.exchange import Accepted, Rejected, Unknown
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State, reference
from lendrail.submission.attempts.beside import still_kept
from lendrail.submission.attempts.turns import due_now, undecided
from lendrail.submission.planning.anew import Refused, already_there, anew
from lendrail.submission.planning.desk import Desk
from lendrail.submission.planning.lenders import old_papers
from lendrail.submission.planning.planned import Plan
from lendrail.submission.registries import gates

GATE = uuid.UUID("00000000-0000-4000-8000-00000000000b")
UNABLE = desk_of(REFERENCE, update=None)
SOAP_UNABLE = desk_of(SOAP_LENDER, update=None)


def same_business(first: Submit, revision: int = 2, amount: str = "50002") -> Submit:
    """A correction that no registry has to look at."""
    business = REFERENCE.application(next(iter(REFERENCE.amounts.values())), "1")["business"]
    finance = {"amount": {"amount": amount, "currency": "USD"}}
    return corrected(first, REFERENCE, revision, business=business, requestedFinance=finance)


def refused(first: Submit, second: Submit, desk: Desk = UNABLE) -> Opportunity:
    """The partner has the first, and takes no correction."""
    opportunity = heard(None, first, desk).opportunity
    if opportunity.gate is not None:
        opened = gates.spoken(opportunity, Status.APPROVED, (), NOW)
        assert opened is not None
        opportunity = opened[0]
    made = heard(taken(opportunity), second, desk)
    assert told(made.acks) == [("update", "rejected", "not-updatable")]
    assert list(made.kept.values()) == [second]
    return made.opportunity


def resent(opportunity: Opportunity, submit: Submit, desk: Desk = UNABLE) -> Plan:
    return anew(opportunity, submit, desk, key_of(submit), NOW)


def code(opportunity: Opportunity, submit: Submit | None, any_event: Submit, desk: Desk = UNABLE) -> str:
    with pytest.raises(Refused) as why:
        anew(opportunity, submit, desk, key_of(any_event), NOW)
    assert why.value.detail
    return why.value.code


def created(opportunity: Opportunity) -> Attempt:
    assert opportunity.create is not None
    return opportunity.create


def test_the_newest_revision_goes_under_a_reference_of_its_own() -> None:
    first = first_of()
    second = corrected(first)
    made = resent(refused(first, second), second)
    create = created(made.opportunity)
    assert (create.generation, create.state, create.beside, create.due) == (2, State.PREPARED, True, None)
    assert reference(create) == create.id != named(made.opportunity, "create")[0].id
    assert b"Fake Bakery 2 LLC" in made.requests[create.id][0].content
    assert due_now(made.opportunity, NOW, 1) == (create,)
    there, _ = came(made.opportunity, create, Accepted(partner_id="app-2"))
    assert (there.partner_id, len(already_there(there))) == ("app-2", 2)
    assert still_kept(there) == set()
    assert code(there, None, second) == "nothing-newer"


def test_papers_that_the_registry_cleared_go_anew_and_no_others() -> None:
    first = first_of(gate=GATE)
    same, other = same_business(first), corrected(first)
    assert resent(refused(first, same), same).opportunity.gate == refused(first, same).gate
    assert code(refused(first, other), other, other) == "registry-bound"
    alarmed = gates.spoken(refused(first, same), Status.DUPLICATE, (), NOW)
    assert alarmed is not None
    assert code(alarmed[0], same, same) == "registry-bound"
    ungated = first_of()
    added = same_business(ungated).model_copy(update={"gate": GATE})
    assert code(refused(ungated, added), added, added) == "registry-bound", "papers came with the correction"


def test_a_registration_never_stands_beside_another_one() -> None:
    desk, first = desk_of(MONETAGO), registration("A-1")
    opportunity = taken(heard(None, first, desk).opportunity)
    bound = heard(opportunity, registration("A-2", before=first), replace(desk, lenders=(refused_lender(),)))
    assert told(bound.acks) == [("update", "rejected", "not-updatable")]
    assert bound.kept == {}
    assert code(bound.opportunity, None, first, desk) == "registry"


def refused_lender() -> Opportunity:
    first = first_of()
    return refused(first, corrected(first))


def test_a_lender_that_has_it_twice_keeps_its_registration() -> None:
    first = first_of(gate=GATE)
    second = same_business(first)
    open_one = resent(refused(first, second), second).opportunity
    assert created(open_one).never_taken
    assert old_papers([open_one], 3) == "old", "the older one has them"
    there, _ = came(open_one, created(open_one), Accepted(partner_id="app-2"))
    assert old_papers([there], 3) == "old"


def test_a_newer_revision_goes_instead_unless_it_needs_other_papers() -> None:
    first = first_of(gate=GATE)
    second = same_business(first)
    opportunity = resent(refused(first, second), second).opportunity
    third = same_business(first, 3, "50003")
    instead = heard(opportunity, third, UNABLE)
    assert (created(instead.opportunity).generation, created(instead.opportunity).beside) == (3, True)
    assert (instead.acks, list(instead.kept.values())) == ((), [third])
    assert still_kept(instead.opportunity) == set(instead.kept)
    other = corrected(first, revision=3)
    stays = heard(opportunity, other, UNABLE)
    assert (created(stays.opportunity).generation, created(stays.opportunity).state) == (1, State.ACKED)
    assert told(stays.acks) == [("update", "rejected", "not-updatable")]


@pytest.mark.parametrize("outcome", [Accepted(partner_id="app-2"), Rejected(()), Unknown("no-answer")])
def test_a_newer_revision_while_it_is_on_its_way_waits_for_its_outcome(outcome: Any) -> None:
    first = first_of()
    second, third = corrected(first), corrected(first, revision=3)
    opportunity = resent(refused(first, second), second).opportunity
    sent = moves.begin(opportunity, (created(opportunity),), "digest", NOW)
    waits = heard(sent, third, UNABLE)
    (_, held) = named(waits.opportunity, "update")
    assert (held.state, list(waits.kept)) == (State.PLANNED, [held.id])
    assert code(waits.opportunity, third, third) == "under-way"
    back = waits.opportunity.put(created(opportunity))
    after, _ = came(back, created(back), outcome)
    if isinstance(outcome, Unknown):
        assert undecided(after) is None
        return
    assert undecided(after) == held
    came_to = decided(after, held, waits.kept[held.id], UNABLE, first)
    assert told(came_to.acks) == [("update", "rejected", "not-updatable")]
    more = resent(came_to.opportunity, third)
    assert created(more.opportunity).generation == 3


def test_a_withdrawal_takes_back_what_waits_and_ends_what_is_there() -> None:
    first = first_of(SOAP_LENDER)
    second = corrected(first, SOAP_LENDER)
    opportunity = resent(refused(first, second, SOAP_UNABLE), second, SOAP_UNABLE).opportunity
    made = heard(opportunity, intended(first, withdraw(), 3), SOAP_UNABLE)
    assert [each.state for each in named(made.opportunity, "create")] == [State.ACKED, State.CANCELLED]
    (withdrawal,) = named(made.opportunity, "withdraw")
    assert (withdrawal.state, made.opportunity.partner_id) == (State.PREPARED, "app-1")
    assert due_now(made.opportunity, NOW, 1) == (withdrawal,)
    assert code(made.opportunity, second, second, SOAP_UNABLE) == "withdrawn"


def test_a_person_who_says_that_the_new_one_is_not_there_has_it_sent_again_beside_the_old_one() -> None:
    first = first_of()
    second = corrected(first)
    opportunity = resent(refused(first, second), second).opportunity
    doubtful = with_create(opportunity, state=State.PARKED, tries=1, unknowns=1, reason="outcome-unknown")
    assert code(doubtful, second, second) == "unsettled"
    again, _ = resolved.send_again(doubtful, created(doubtful), LATER, NOW)
    assert (created(again).generation, created(again).beside) == (3, True)
    assert len(already_there(again)) == 1, "by that word"
    back, _ = came(again, created(again), Rejected(()))
    assert (created(back).generation, back.partner_id) == (1, "app-1")


def test_what_the_partner_itself_refused_to_correct_can_go_anew() -> None:
    first, desk = first_of(), desk_of(REFERENCE)
    second = corrected(first)
    made = heard(taken(heard(None, first, desk).opportunity), second, desk)
    (update,) = named(made.opportunity, "update")
    assert (list(made.kept), code(made.opportunity, second, second, desk)) == ([update.id], "under-way")
    no, _ = came(made.opportunity, update, Rejected(()))
    assert still_kept(no) == {update.id}
    assert created(resent(no, second, desk).opportunity).generation == 2
    yes, _ = came(made.opportunity, update, Accepted())
    assert still_kept(yes) == set()
    assert code(yes, None, second, desk) == "nothing-newer"


def test_only_the_newest_revision_is_kept_and_only_that_is_sent() -> None:
    first = first_of()
    second, third = corrected(first), corrected(first, revision=3)
    newer = heard(refused(first, second), third, UNABLE)
    assert still_kept(newer.opportunity) == set(newer.kept)
    assert code(newer.opportunity, second, second) == "not-kept"
    assert code(newer.opportunity, None, second) == "not-kept"
    assert created(resent(newer.opportunity, third).opportunity).generation == 2


def test_an_offer_that_is_about_to_be_accepted_comes_first() -> None:
    first = first_of()
    second = corrected(first)
    accepting = heard(refused(first, second), intended(first, accept(), 3), UNABLE).opportunity
    assert code(accepting, second, second) == "already-accepted"
    (attempt,) = named(accepting, "accept")
    over, _ = came(accepting, attempt, Accepted())
    assert still_kept(over) == set()
