"""What a person has sent again is sent again, whatever it is; a later revision passes the registry too; and the mail
beside an API is no more than beside it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests import make
from tests.submission.desk import TENANT, submit
from tests.submission.test_plan import ACCOUNT, DESK, planned, send

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import Credential, PartnerAccount
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State
from lendrail.submission.attempts.classify import Verdict
from lendrail.submission.attempts.moves import Result
from lendrail.submission.attempts.turns import due_now
from lendrail.submission.planning.desk import Beside, Desk
from lendrail.submission.registries import gates

NOW = make.NOW
LATER = NOW + dt.timedelta(hours=1)
GATE = uuid.UUID("00000000-0000-4000-8000-00000000000a")
ADDRESSES = {"to": "applications@lender.example.test", "from": "broker@demo.example.test"}
POST = PartnerAccount(
    partner="email-lender", credential="demo-post", mode="test", options=ADDRESSES, webhook_path="y" * 32
)
LOGIN = Credential(
    id="demo-post", tenant=TENANT, partner="email-lender", mode="test", base_url="smtp://127.0.0.1:1", auth={}
)


def beside(partner: str | None = "email-lender", account: PartnerAccount = POST, login: Any = LOGIN) -> Desk:
    return replace(DESK, supplement=Beside(PARTNERS[partner] if partner else None, account, login))


def taken(desk: Desk) -> Opportunity:
    """The partner has the application; its document and its mail may go."""
    found = planned(submit(intent=send()), desk=desk).opportunity
    assert found.create is not None
    return replace(found.put(replace(found.create, state=State.ACKED, tries=1)), partner_id="lead-1")


def parked(opportunity: Opportunity, attempt: Attempt) -> Opportunity:
    """It was sent, and nobody knows what came of it."""
    begun = moves.begin(opportunity, (attempt,), "digest", NOW)
    verdict = Verdict(State.PARKED, "parked", "outcome-unknown", unknowns=1, plan="person")
    return moves.finish(begun, [Result(attempt.id, verdict)], NOW)[0]


@pytest.mark.parametrize("operation", ["document", "supplement"])
def test_what_followed_the_application_can_be_sent_again_and_again(operation: str) -> None:
    opportunity = taken(beside())
    sent: list[str] = []
    for _ in range(3):
        (attempt,) = [each for each in due_now_all(opportunity) if each.operation == operation]
        sent.append(attempt.id)
        opportunity = parked(opportunity, attempt)
        assert operation not in [each.operation for each in due_now_all(opportunity)]
        opportunity, _ = resolved.send_again(opportunity, opportunity.attempt(attempt.id), LATER, NOW)
    assert len(set(sent)) == 3


def due_now_all(opportunity: Opportunity) -> list[Attempt]:
    """All that may go, one kind after the other."""
    found: list[Attempt] = []
    while batch := due_now(opportunity, LATER, 25):
        found += batch
        opportunity = opportunity.put(*(replace(each, state=State.ACKED) for each in batch))
    return found


def test_a_revision_after_one_that_could_not_be_sent_waits_for_the_registry() -> None:
    event = submit(intent=send(), gate=GATE)
    disabled = replace(DESK, account=ACCOUNT.model_copy(update={"enabled": False}))
    first = planned(event, desk=disabled)
    assert [each.operation for each in first.opportunity.attempts] == ["create"]
    second = planned(submit(event.application_id, 2, intent=send(), gate=GATE), first.opportunity)
    assert [(each.operation, each.outcome) for each in second.acks] == [("gate", "not-sent")]
    assert due_now(second.opportunity, LATER, 25) == ()
    third = planned(submit(event.application_id, 3, intent=send(), gate=GATE), second.opportunity)
    assert len([each for each in third.opportunity.attempts if each.operation == "gate"]) == 1


def test_a_revision_after_the_registrys_duplicate_is_told_that_it_is_stopped() -> None:
    event = submit(intent=send(), gate=GATE)
    moved = gates.spoken(planned(event).opportunity, Status.DUPLICATE, (), NOW)
    assert moved is not None
    second = planned(submit(event.application_id, 2, intent=send(), gate=GATE), moved[0])
    assert [(each.operation, each.outcome, each.reason) for each in second.acks] == [
        ("create", "not-sent", "registry-duplicate")
    ]
    assert due_now(second.opportunity, LATER, 25) == ()


@pytest.mark.parametrize(
    ("desk", "reason"),
    [
        (beside(None), "not-configured"),
        (beside(login=None), "not-configured"),
        (beside(login=LOGIN.model_copy(update={"tenant": "another"})), "foreign-credential"),
        (beside(account=POST.model_copy(update={"enabled": False})), "partner-disabled"),
        (beside(login=LOGIN.model_copy(update={"mode": "live"})), "mode-crossing"),
        (beside(account=POST.model_copy(update={"options": {}})), "mapping-failed"),
    ],
)
def test_a_mail_that_may_not_go_is_told_and_the_application_goes(desk: Desk, reason: str) -> None:
    found = planned(submit(intent=send()), desk=desk)
    create = found.opportunity.create
    assert create is not None
    assert (create.state, list(found.requests)) == (State.PREPARED, [create.id])
    assert [(each.operation, each.reason) for each in found.acks] == [("supplement", reason)]
    assert due_now_all(found.opportunity) == [create]


def test_a_mail_that_may_not_go_stays_here_when_the_application_is_sent_again() -> None:
    opportunity = planned(submit(intent=send()), desk=beside(login=None)).opportunity
    assert opportunity.create is not None
    opportunity = parked(opportunity, opportunity.create)
    assert opportunity.create is not None
    again, _ = resolved.send_again(opportunity, opportunity.create, NOW, NOW)
    assert again.create is not None
    taken_now = replace(again.put(replace(again.create, state=State.ACKED, tries=1)), partner_id="lead-1")
    assert [each.operation for each in due_now_all(taken_now)] == ["document"]
