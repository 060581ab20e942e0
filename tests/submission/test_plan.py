"""What a `submit` plans, and why it may plan nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests import make
from tests.submission.desk import CREDENTIAL, PARTNER, credential, document, submit

from lendrail.contracts.event import envelope_of
from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Choice, Request
from lendrail.partners.partner import Fetched, Lists, Options
from lendrail.runtime.directory import Credential, PartnerAccount
from lendrail.runtime.vault import Key
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State
from lendrail.submission.planning.desk import Desk, crossing
from lendrail.submission.planning.plan import plan
from lendrail.submission.planning.planned import Plan

ACCOUNT = PartnerAccount(
    partner=PARTNER, credential=CREDENTIAL, mode="test", options={"vocabulary": "current"}, webhook_path="x" * 32
)
BEFORE = Credential.model_validate(credential("https://partner.example.test/v1"))
DESK = Desk(PARTNERS[PARTNER], ACCOUNT, BEFORE)
SHEET = document(b"fake sheet")


def planned(event: Submit, known: Opportunity | None = None, desk: Desk = DESK) -> Plan:
    return plan(known, event, envelope_of(event, "test", make.NOW), desk, Key(event.key_id, b"k" * 32), make.NOW)


def send(**changes: Any) -> Send:
    return Send(**({"application": make.application(), "documents": (SHEET,)} | changes))


def states(found: Plan) -> list[State]:
    return [each.state for each in found.opportunity.attempts]


def with_create(found: Plan, **changes: Any) -> Opportunity:
    create = found.opportunity.create
    assert create is not None
    return found.opportunity.put(replace(create, **changes))


def test_bytes_are_fixed_at_once_and_documents_wait_for_the_partners_id() -> None:
    found = planned(submit(intent=send()))
    assert states(found) == [State.PREPARED, State.PLANNED]
    create = found.opportunity.attempts[0]
    assert create.id.encode() in found.requests[create.id][0].content
    assert found.acks == ()


def test_same_content_is_one_document() -> None:
    found = planned(submit(intent=send(documents=(SHEET, document(b"fake sheet", "again.xlsx")))))
    assert len(found.opportunity.attempts) == 2


def live(desk: Desk, base_url: str) -> Desk:
    assert desk.account is not None
    changed = Credential.model_validate(credential(base_url, mode="live"))
    return replace(desk, account=desk.account.model_copy(update={"mode": "live"}), credential=changed)


LIVE_APPLICATION = make.application(mode="live")
UNMADE = FieldProblem(pointer="/uploads/0", code="unreadable", message="cannot be read")
REFUSALS: dict[str, tuple[Callable[[], Submit], Desk]] = {
    "document-not-made": (lambda: submit(intent=send(unmade=(UNMADE,))), DESK),
    "not-configured": (lambda: submit(intent=send()), replace(DESK, account=None)),
    "foreign-credential": (
        lambda: submit(intent=send()),
        replace(DESK, credential=BEFORE.model_copy(update={"tenant": "another"})),
    ),
    "partner-disabled": (
        lambda: submit(intent=send()),
        replace(DESK, account=ACCOUNT.model_copy(update={"enabled": False})),
    ),
    "mode-crossing": (lambda: submit(intent=send(application=LIVE_APPLICATION)), DESK),
    "no-consent": (lambda: submit(intent=send(application=make.application(consents=[]))), DESK),
    "plain-http": (
        lambda: submit(mode="live", intent=send(application=LIVE_APPLICATION)),
        live(DESK, "http://partner.example.test"),
    ),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_nothing_is_sent_and_everybody_is_told_why(reason: str) -> None:
    make_event, desk = REFUSALS[reason]
    found = planned(make_event(), desk=desk)
    assert states(found) == [State.CANCELLED]
    assert [(each.outcome, each.reason) for each in found.acks] == [("not-sent", reason)]
    assert found.acks[0].problems == ((UNMADE,) if reason == "document-not-made" else ())
    assert found.requests == {}


@pytest.mark.parametrize(
    ("event_mode", "account_mode", "credential_mode"),
    [("live", "test", "test"), ("test", "live", "test"), ("test", "test", "live"), ("live", "live", "test")],
)
def test_modes_never_cross(event_mode: Any, account_mode: Any, credential_mode: Any) -> None:
    desk = replace(
        DESK,
        account=ACCOUNT.model_copy(update={"mode": account_mode}),
        credential=BEFORE.model_copy(update={"mode": credential_mode}),
    )
    application = make.application(mode=event_mode)
    assert (
        planned(submit(mode=event_mode, intent=send(application=application)), desk=desk).acks[0].reason
        == "mode-crossing"
    )


def test_credential_that_changed_its_mode_later_crosses_too() -> None:
    assert crossing(BEFORE.model_copy(update={"mode": "live"}), "test")
    assert not crossing(BEFORE, "test")


def test_failing_mapping_is_parked_and_stops_nobody() -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a defect")

    found = planned(submit(intent=send()), desk=replace(DESK, partner=replace(PARTNERS[PARTNER], create=broken)))
    assert [(each.outcome, each.reason) for each in found.acks] == [("parked", "mapping-failed")]


SECTORS: Fetched = {"sector": (Choice("Bakeries", "bakery"),)}
UNFIT = FieldProblem(pointer="/business/industry", code="not-supported", message="is in no list", partner=PARTNER)


def giving(into: Callable[[Options, Fetched], Options], lists: Fetched = SECTORS) -> Desk:
    """A desk at a partner that finds an industry unfit as soon as it has its lists."""
    request = Request(operation="read", method="GET", path="/")
    given = Lists(names=("sector",), lifetime=60, request=lambda _: request, read=lambda _: None, into=into)
    partner = replace(PARTNERS[PARTNER], lists=given, check=lambda _, options: [UNFIT] if "sectors" in options else [])
    return replace(DESK, partner=partner, lists=lists)


def with_sectors(options: Options, lists: Fetched) -> Options:
    return {**options, "sectors": lists["sector"]}


def test_what_the_partners_own_lists_refuse_is_told_and_nothing_is_sent() -> None:
    event = submit(intent=send())
    found = planned(event, desk=giving(with_sectors))
    assert [(each.outcome, each.reason, each.problems) for each in found.acks] == [
        ("rejected", "not-in-lists", (UNFIT,))
    ]
    assert (states(found), found.requests) == ([State.REJECTED], {})
    assert found.opportunity.attempts[0].never_taken
    assert found.opportunity.options == ACCOUNT.options, "lists are not the account's"
    mended = planned(submit(event.application_id, 2, intent=send()), found.opportunity)
    assert states(mended) == [State.REJECTED, State.PREPARED, State.PLANNED]


def test_without_lists_nothing_waits_for_them() -> None:
    assert states(planned(submit(intent=send()), desk=giving(with_sectors, {}))) == [State.PREPARED, State.PLANNED]


def test_lists_that_fit_no_options_are_parked() -> None:
    def broken(options: Options, lists: Fetched) -> Options:
        raise ValueError("a defect")

    (told,) = planned(submit(intent=send()), desk=giving(broken)).acks
    assert (told.outcome, told.reason) == ("parked", "mapping-failed")


@pytest.mark.parametrize("state", [State.PREPARED, State.REJECTED, State.CANCELLED])
def test_newer_revision_after_a_clean_no_is_a_new_generation(state: State) -> None:
    event = submit(intent=send())
    first = planned(event)
    second = planned(submit(event.application_id, 2, intent=send()), with_create(first, state=state))
    create, old = second.opportunity.create, first.opportunity.attempts[0]
    assert create is not None
    assert (create.generation, create.state) == (2, State.PREPARED)
    assert create.id != old.id
    assert second.opportunity.attempt(old.id).state in (State.CANCELLED, State.REJECTED)


HELD = [{"state": s, "tries": 1} for s in (State.SENDING, State.ACKED, State.SUBMITTED_ID_UNKNOWN)]
HELD += [{"state": s, "tries": 1, "unknowns": 1} for s in (State.UNKNOWN, State.RECONCILING, State.PARKED)]


@pytest.mark.parametrize("held", HELD, ids=lambda held: str(held["state"]))
def test_newer_revision_makes_no_second_reference_while_the_first_may_be_there(held: dict[str, Any]) -> None:
    """This partner takes no corrections: where it certainly has it, that is told at once; else nobody knows yet."""
    event = submit(intent=send())
    opportunity = with_create(planned(event), **held)
    second = planned(submit(event.application_id, 2, intent=send()), opportunity)
    assert second.opportunity.create == opportunity.create
    assert second.requests == {}
    if held["state"] in (State.ACKED, State.SUBMITTED_ID_UNKNOWN):
        (told,) = second.acks
        assert (told.operation, told.outcome, told.problems[0].code) == ("update", "rejected", "not-updatable")
    else:
        assert second.acks == ()
        assert len(second.kept) == 1


def test_older_revision_changes_nothing() -> None:
    event = submit(intent=send(), revision=3)
    first = planned(event)
    second = planned(submit(event.application_id, 2, intent=send()), first.opportunity)
    assert second.opportunity.attempts == first.opportunity.attempts
    assert len(second.opportunity.inbox) == 2


def test_never_taken_means_never_taken() -> None:
    attempt = Attempt(id="a", operation="create")
    assert replace(attempt, state=State.PARKED).never_taken
    assert not replace(attempt, state=State.PARKED, tries=1).never_taken
    assert not replace(attempt, state=State.REJECTED, unknowns=1).never_taken
    assert not replace(attempt, state=State.PREPARED, step=1, tries=1).never_taken, "it stands between two calls"
