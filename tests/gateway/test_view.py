"""The read model as a pure fold: any order, any repetition, same answer; never back to an older version."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import make

from lendrail.contracts.application_validated import Check, Eligible, Ineligible
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.status_updated import Cause, Hop, Pin, StatusUpdated
from lendrail.contracts.terms import Contact, FieldProblem, Match, Money, Offer, OfferForms, Status, Wanted
from lendrail.gateway.shapes import AmendmentView
from lendrail.gateway.view import ADVANCE, Fact, Received, Rejected, Validated, erased, view
from lendrail.partners import PARTNERS

APPLICATION, FIRST, SECOND = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
RECEIVED = Received(APPLICATION, "test", "rest", "demo-upstream", make.NOW, ())
NOW = make.NOW + dt.timedelta(hours=1)
PROBLEM = FieldProblem(pointer="/x", code="too-small", message="is too small")


def at(seconds: int) -> dt.datetime:
    return make.NOW + dt.timedelta(seconds=seconds)


def validated(*, second: bool = True) -> Fact:
    eligible = Eligible(partner="forward-financing", credential="demo-ff", opportunity_id=FIRST)
    ineligible = Ineligible(partner="other", opportunity_id=SECOND, reasons=(PROBLEM,))
    said = Validated(revision=1, eligible=(eligible,), ineligible=(ineligible,) if second else ())
    return Fact("validated", "application-validated", "validation", at(1), said)


def update(version: int, status: Status, opportunity: uuid.UUID | None = FIRST, seconds: int | None = None) -> Fact:
    event = StatusUpdated(
        tenant_id="demo",
        mode="test",
        application_id=APPLICATION,
        opportunity_id=opportunity,
        partner="forward-financing" if opportunity else None,
        credential="demo-ff" if opportunity else None,
        state_version=version,
        status=status,
        source="ack",
        observed_at=at(seconds if seconds is not None else 10 * version),
        partner_id=f"id-{version}",
    )
    return Fact(event.id, "status-updated", "status", event.observed_at, event)


statuses = st.lists(
    st.sampled_from([Status.SUBMITTING, Status.SUBMITTED, Status.IN_REVIEW, Status.APPROVED]), max_size=6
)


@given(statuses, st.data())
def test_order_and_repetition_do_not_matter(told: list[Status], data: st.DataObject) -> None:
    facts = [validated(), *(update(n, status) for n, status in enumerate(told, start=1))]
    expected = view(RECEIVED, facts, NOW)
    shuffled = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts), max_size=8))))
    assert view(RECEIVED, shuffled, NOW) == expected
    assert len(expected.timeline) == 1 + len(facts)
    if told:
        (first,) = (each for each in expected.opportunities if each.opportunity_id == FIRST)
        assert (first.status, first.partner_id) == (told[-1], f"id-{len(told)}")


@given(st.permutations([1, 2, 3]))
def test_the_newest_version_wins_even_when_its_clock_is_behind(order: list[int]) -> None:
    facts = {1: update(1, Status.SUBMITTED, seconds=50), 2: update(2, Status.DECLINED, seconds=40), 3: validated()}
    shown = view(RECEIVED, [facts[each] for each in order], NOW)
    assert shown.opportunities[0].status == Status.DECLINED


def test_a_status_is_as_old_as_what_was_last_heard_of_it() -> None:
    """Since when it stands so is another question."""
    facts = [update(1, Status.SUBMITTED), update(2, Status.IN_REVIEW), update(3, Status.IN_REVIEW)]
    (shown,) = view(RECEIVED, facts, NOW).opportunities
    assert (shown.status_since, shown.observed_at) == (at(20), at(30))
    assert shown.age_seconds == 3600 - 30
    (named,) = view(RECEIVED, [validated(second=False)], NOW).opportunities
    assert (named.observed_at, named.age_seconds) == (at(1), 3600 - 1)
    assert view(RECEIVED, facts, at(29)).opportunities[0].age_seconds == 0, (
        "whose clock was ahead is no news from later"
    )


def test_ineligible_partners_are_shown_with_their_reasons() -> None:
    shown = view(RECEIVED, [validated()], NOW)
    assert [(each.partner, each.status) for each in shown.opportunities] == [
        ("forward-financing", Status.SUBMITTING),
        ("other", Status.INELIGIBLE),
    ]
    assert shown.opportunities[1].reasons == (PROBLEM,)
    assert shown.status == Status.SUBMITTING


def test_the_application_is_where_its_best_opportunity_is() -> None:
    facts = [validated(), update(1, Status.DECLINED), update(1, Status.IN_REVIEW, SECOND)]
    assert view(RECEIVED, facts, NOW).status == Status.IN_REVIEW
    assert set(ADVANCE) == set(Status)


def test_a_registry_approves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the paper is unique says nothing about the money."""
    registry = replace(PARTNERS["forward-financing"], name="fake-registry", kind="registry")
    monkeypatch.setitem(PARTNERS, "fake-registry", registry)
    check, declined = update(2, Status.APPROVED, SECOND), update(2, Status.DECLINED)
    assert isinstance(check.said, StatusUpdated)
    cleared = replace(check, said=check.said.model_copy(update={"partner": "fake-registry"}))
    for lender, overall in ((update(1, Status.SUBMITTED), Status.SUBMITTED), (declined, Status.DECLINED)):
        shown = view(RECEIVED, [validated(second=False), lender, cleared], NOW)
        assert shown.status == overall
        assert {each.partner: each.kind for each in shown.opportunities} == {
            "forward-financing": "lender",
            "fake-registry": "registry",
        }
    assert view(RECEIVED, [cleared], NOW).status == Status.RECEIVED


def test_all_that_a_partner_told_is_shown() -> None:
    told = {
        "contact": Contact(name=SensitiveText("Testa Fakely")),
        "close_chance": Decimal("62.5"),
        "closes_on": dt.date(2026, 4, 1),
        "commission": Money(amount=Decimal("250.00"), currency="GBP"),
        "matches": (Match(id="FAKE-1", kind="EXCT"),),
        "unknown_since": at(3),
        "next_check_at": at(9),
        "plan": "look-up",
        "partner_status": Status.APPROVED,
        "status_received_at": at(4),
        "pin": Pin(since=at(2), until_partner_says=(Status.FUNDED,)),
        "cause": Cause(channel="person", event="e", hops=(Hop(begins="heard", ends="told", milliseconds=1),)),
    }
    fact = update(1, Status.IN_REVIEW)
    assert isinstance(fact.said, StatusUpdated)
    (shown,) = view(RECEIVED, [replace(fact, said=fact.said.model_copy(update=told))], NOW).opportunities
    assert {name: getattr(shown, name) for name in told} == told


def test_the_first_and_the_newest_form_of_an_offer_are_shown_without_links() -> None:
    first, newest = (Offer(id="a", amount=Money(amount=Decimal(n), currency="USD")) for n in (1, 2))
    forms = OfferForms(original=first, original_at=at(1), latest=newest, latest_at=at(2))
    fact = update(1, Status.DECLINED)
    assert isinstance(fact.said, StatusUpdated)
    said = fact.said.model_copy(update={"offer_history": (forms,)})
    (shown,) = view(RECEIVED, [replace(fact, said=said)], NOW).opportunities
    assert shown.offers == ()
    (seen,) = shown.offer_history
    assert (seen.original.amount, seen.latest.amount) == (first.amount, newest.amount)
    assert "Link" not in shown.model_dump_json(by_alias=True, exclude_none=True)


def test_what_is_missing_is_listed_with_the_way_to_send_it() -> None:
    said = update(1, Status.INFO_REQUIRED).said
    assert isinstance(said, StatusUpdated)
    wanted = (Wanted(kind="bank-statement"),)
    fact = replace(update(1, Status.INFO_REQUIRED), said=said.model_copy(update={"wanted": wanted}))
    (seen,) = view(RECEIVED, [fact], NOW).opportunities
    assert seen.to_do is not None
    assert seen.to_do.items == wanted
    assert [way.path for way in seen.to_do.ways] == [
        f"/v1/applications/{APPLICATION}/documents",
        f"/v1/applications/{APPLICATION}",
    ]
    (seen,) = view(RECEIVED, [update(1, Status.APPROVED)], NOW).opportunities
    assert seen.to_do is None


def test_a_rejected_application_says_why() -> None:
    rejected = Fact("r", "application-rejected", "validation", at(1), Rejected(revision=1, problems=(PROBLEM,)))
    for facts in ([rejected], [update(1, Status.INVALID, None), rejected]):
        shown = view(RECEIVED, facts, NOW)
        assert (shown.status, shown.problems) == (Status.INVALID, (PROBLEM,))


def test_a_refused_amendment_changes_no_opportunity() -> None:
    refused = Fact("r", "application-rejected", "validation", at(9), Rejected(revision=2, problems=(PROBLEM,)))
    shown = view(RECEIVED, [validated(second=False), update(1, Status.SUBMITTED), refused], NOW)
    assert (shown.status, shown.problems) == (Status.SUBMITTED, ())


def test_a_change_that_nobody_judges_says_since_when_it_waits() -> None:
    asked = AmendmentView(revision=2, kind="withdrawn", at=at(60), by="demo-upstream", state="received")
    refused = AmendmentView(kind="withdrawn", at=at(60), by="demo-upstream", state="refused")
    received = replace(RECEIVED, revision=2, amendments=(asked, refused))

    def waits(*facts: Fact, seconds: int) -> list[dt.datetime | None]:
        return [each.waiting_since for each in view(received, facts, at(seconds)).amendments]

    assert waits(seconds=120) == [None, None]
    assert waits(seconds=121) == [at(60), None]
    said = Fact("r", "application-rejected", "validation", at(61), Rejected(revision=2, problems=(PROBLEM,)))
    assert waits(said, seconds=86_400) == [None, None]


def test_nothing_but_its_existence_is_left_of_an_erased_one() -> None:
    shown = erased(RECEIVED)
    assert (shown.status, shown.references, shown.timeline, shown.opportunities) == (Status.ERASED, (), (), ())


def test_checks_are_those_of_the_newest_revision() -> None:
    first, second = (
        Fact(
            f"validated-{revision}",
            "application-validated",
            "validation",
            at(revision),
            Validated(
                revision=revision, checks=(Check(name="abn", result=result, code=code, checked_at=at(revision)),)
            ),
        )
        for revision, result, code in ((1, "failed", "name-differs"), (2, "passed", "matches"))
    )
    for facts in ([first, second], [second, first]):
        assert [each.code for each in view(RECEIVED, facts, NOW).checks] == ["matches"]
    assert view(RECEIVED, [], NOW).checks == ()
