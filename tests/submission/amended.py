"""Events of an application's later life, and desks at partners that can do more or less with them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from tests import make
from tests.partners.rehearsals import Rehearsal
from tests.submission.desk import document
from tests.submission.others import REFERENCE, REHEARSALS, event
from tests.submission.test_plan import ACCOUNT, BEFORE

from lendrail.contracts.event import envelope_of
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.submit import AcceptOffer, AddDocument, Intent, Submit, Withdraw
from lendrail.partners import PARTNERS
from lendrail.runtime.vault import Key
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State
from lendrail.submission.planning.desk import Desk
from lendrail.submission.planning.plan import decide, plan
from lendrail.submission.planning.planned import Plan

NOW = make.NOW
SOAP_LENDER = REHEARSALS["soap-lender-12"]


def desk_of(case: Rehearsal, **partner: Any) -> Desk:
    """Its account; `partner`: what it has or lacks beside."""
    account = ACCOUNT.model_copy(
        update={"partner": case.partner_name, "credential": f"demo-{case.name}", "options": dict(case.options)}
    )
    credential = BEFORE.model_copy(update={"partner": case.partner_name, "id": f"demo-{case.name}"})
    return Desk(replace(PARTNERS[case.partner_name], **partner), account, credential)


def intended(first: Submit, intent: Intent, revision: int = 2) -> Submit:
    """The same opportunity, later."""
    return first.model_copy(update={"intent": intent, "revision": revision})


def late_document(content: bytes = b"fake statement") -> AddDocument:
    return AddDocument(document=document(content, "statement.pdf", kind="bank-statement"))


def accept(offer: str = "offer-1", variant: str | None = None) -> AcceptOffer:
    return AcceptOffer(offer_id=offer, variant=variant)


def withdraw() -> Withdraw:
    return Withdraw(reason=SensitiveText("changed my mind"))


def heard(known: Opportunity | None, submit: Submit, desk: Desk) -> Plan:
    return plan(known, submit, envelope_of(submit, "test", NOW), desk, key_of(submit), NOW)


def key_of(submit: Submit) -> Key:
    return Key(submit.key_id, b"k" * 32)


def decided(opportunity: Opportunity, held: Attempt, kept: Submit | None, desk: Desk, any_event: Submit) -> Plan:
    return decide(opportunity, held, kept, desk, key_of(any_event), NOW, 900.0)


def first_of(case: Rehearsal = REFERENCE, gate: uuid.UUID | None = None, **changes: Any) -> Submit:
    data = case.application(next(iter(case.amounts.values())), "1")
    made = event(case, {**data, "mode": "test"} | changes)
    return made.model_copy(update={"gate": gate})


def corrected(first: Submit, case: Rehearsal = REFERENCE, revision: int = 2, **changes: Any) -> Submit:
    data = case.application(next(iter(case.amounts.values())), "1")
    business = {**data["business"], "legalName": f"Fake Bakery {revision} LLC"}
    made = event(case, {**data, "mode": "test", "business": business} | changes, first)
    return made.model_copy(update={"gate": first.gate, "revision": revision})


def with_create(opportunity: Opportunity, partner_id: str | None = None, **changes: Any) -> Opportunity:
    create = opportunity.create
    assert create is not None
    return replace(opportunity.put(replace(create, **changes)), partner_id=partner_id or opportunity.partner_id)


def taken(opportunity: Opportunity) -> Opportunity:
    return with_create(opportunity, "app-1", state=State.ACKED, tries=1)


def named(opportunity: Opportunity, operation: str) -> list[Attempt]:
    return [each for each in opportunity.attempts if each.operation == operation]
