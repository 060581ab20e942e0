"""A registration describes what its lenders have: it keeps the old papers while one of them does, and takes no others.
The simulated registry and the simulated lender count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests import make, support
from tests.sandbox.process import Sandbox
from tests.submission.amended import corrected, decided, desk_of, first_of, heard, named, taken
from tests.submission.desk import CREDENTIAL, PARTNER, Desk, credential, submit
from tests.submission.others import MONETAGO, REFERENCE, ledger, open_accounts, running
from tests.submission.test_intents import told
from tests.submission.test_plan import planned
from tests.submission.test_registry import word

from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import Status
from lendrail.submission.attempts.attempt import Opportunity, State
from lendrail.submission.attempts.turns import undecided
from lendrail.submission.planning.lenders import LOOKS, Papers, old_papers


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


def paper(number: str) -> dict[str, Any]:
    party = {"name": "Fake Trading GmbH", "country": "DE"}
    return {
        "number": number, "issuedOn": "2030-01-02", "issuer": party, "debtor": party,
        "amount": {"amount": "100", "currency": "EUR"}, "requested": {"amount": "80", "currency": "EUR"},
    }  # fmt: skip


def registration(*numbers: str, before: Submit | None = None) -> Submit:
    invoices = [paper(each) for each in numbers]
    if before is None:
        return first_of(MONETAGO, invoices=invoices)
    business = MONETAGO.application("100", "1")["business"]
    return corrected(before, MONETAGO, before.revision + 1, invoices=invoices, business=business)


def at_lender(registered: Submit) -> Submit:
    """The same application for a lender that takes no corrections, behind this registration."""
    assert isinstance(registered.intent, Send)
    return submit(
        registered.application_id,
        registered.revision,
        intent=Send(application=registered.intent.application),
        gate=registered.opportunity_id,
    )


# ---- on real sockets


@pytest.fixture
def both(desk: Desk) -> Desk:
    """Accounts at the registry and at the lender."""
    open_accounts(desk, MONETAGO)
    path = desk.settings.tenants_file
    tenants = json.loads(path.read_text())
    lender = {"partner": PARTNER, "credential": CREDENTIAL, "mode": "test", "webhookPath": "z" * 32}
    tenants["tenants"][0]["partners"].append(lender | {"options": {"vocabulary": "classic"}})
    path.write_text(json.dumps(tenants))
    url = desk.sandbox.url
    registry = {"id": "demo-monetago", "partner": "monetago", "auth": dict(MONETAGO.auth(url))}
    desk.credentials(credential(desk.sandbox.api), credential(url + MONETAGO.path, **registry))
    return desk


@pytest.mark.asyncio
async def test_the_lender_that_takes_no_corrections_keeps_its_papers_and_so_does_the_registration(both: Desk) -> None:
    first = registration("OLD-1")
    lender = at_lender(first)
    await both.hear(first, lender)
    async with both.lanes(gate_seconds="60"):
        before = await both.until(first, "acked")
        await word(both, lender, Status.APPROVED, 1, partner_id=before.partner_id)
        await both.until(lender, "acked", "acked")
        second = registration("NEW-1", before=first)
        await both.hear(second, at_lender(second))
        await both.until(lender, "acked", "acked", "rejected")
        after = await both.until(first, "acked", "rejected")
    assert after.partner_id == before.partner_id
    told_ = [(each.operation, each.outcome, each.reason) for each in await both.acks(first)]
    assert told_[-1] == ("update", "rejected", "not-updatable")
    taken_ = [each for each in ledger(both, "monetago")["leads"] if each["reference"] == (await both.create(first)).id]
    assert len(taken_) == 1
    (fvr,) = [each["id"] for each in taken_[0]["fvrs"]]

    async def stands() -> bool:
        decided = [each["status"] for each in ledger(both, "monetago")["decisions"] if each["fvr"] == fvr]
        return decided[-1:] == ["REGU"]

    await support.eventually(stands, 10)
    assert len(ledger(both, "monetago")["leads"]) == 1, "nothing was registered anew"


@pytest.mark.asyncio
async def test_the_registration_waits_until_it_is_known_what_the_lender_has(both: Desk) -> None:
    """The registry's part of the correction comes first; the lender's, with the answer, later."""
    first = registration("OLD-2")
    lender = at_lender(first)
    await both.hear(first, lender)
    async with both.lanes(gate_seconds="60"):
        await both.until(first, "acked")
        second = registration("NEW-2", before=first)
        await both.hear(second)
        await both.until(first, "acked", "planned")
        await both.hear(at_lender(second))
        after = await both.until(first, "acked", "cancelled", "acked", "acked")
    assert [(each.operation, each.generation) for each in after.attempts if each.state == State.ACKED] == [
        ("create", 1), ("create", 2), ("withdraw", 2),
    ]  # fmt: skip


# ---- what it comes to


def lender_now(state: State, revision: int = 1, **changes: Any) -> Opportunity:
    opportunity = planned(submit(intent=Send(application=make.application()))).opportunity
    create = opportunity.create
    assert create is not None
    opportunity = opportunity.put(replace(create, state=state, **changes))
    return replace(opportunity, revision=revision, partner_id="lead-1" if state == State.ACKED else None)


@pytest.mark.parametrize(
    ("lender", "have"),
    [
        (lender_now(State.ACKED, tries=1), "old"),
        (lender_now(State.SUBMITTED_ID_UNKNOWN, tries=2), "old"),
        (lender_now(State.REJECTED, tries=2, unknowns=1), "old"),
        (lender_now(State.UNKNOWN, 2, tries=1, unknowns=1), "awaited"),
        (lender_now(State.SENDING, tries=1), "awaited"),
        (lender_now(State.PARKED, 2, tries=1, unknowns=1), "awaited"),
        (lender_now(State.PREPARED), "awaited"),
        (lender_now(State.PREPARED, 2), "none"),
        (lender_now(State.CANCELLED), "none"),
        (lender_now(State.REJECTED, tries=1), "none"),
        (lender_now(State.PARKED), "none"),
        (replace(lender_now(State.ACKED, tries=1), ended="declined"), "none"),
        (replace(lender_now(State.ACKED, tries=1), ended="funded"), "old"),
    ],
)
def test_what_a_lender_has_binds_the_registration(lender: Opportunity, have: Papers) -> None:
    assert old_papers([lender], 2) == have
    free = lender_now(State.CANCELLED)
    assert old_papers([free, lender], 2) == have
    assert old_papers([], 2) == "none"


def test_a_lender_that_takes_corrections_binds_nothing_unless_its_own_was_refused() -> None:
    first = first_of()
    desk = desk_of(REFERENCE)
    has = taken(heard(None, first, desk).opportunity)
    assert old_papers([has], 2) == "awaited", "its own correction is still to come"
    assert old_papers([has], 2, LOOKS) == "old", "there is none for this lender"
    updating = heard(has, corrected(first), desk).opportunity
    assert old_papers([updating], 2) == "none"
    (update,) = named(updating, "update")
    assert old_papers([updating.put(replace(update, state=State.REJECTED))], 2) == "old"


DESK = desk_of(MONETAGO)


def test_while_nobody_knows_it_is_looked_at_again_and_in_the_end_stays_or_is_made_anew() -> None:
    first = registration("A-1")
    registered = taken(heard(None, first, DESK).opportunity)
    doubtful = lender_now(State.UNKNOWN, 2, tries=1, unknowns=1)
    made = heard(registered, registration("A-2", before=first), replace(DESK, lenders=(doubtful,)))
    (held,) = named(made.opportunity, "update")
    assert (held.state, held.reason, made.acks, made.requests) == (State.PLANNED, "lenders-awaited", (), {})
    assert held.due is not None
    assert undecided(made.opportunity) == held
    has, none = lender_now(State.ACKED, 2, tries=1), lender_now(State.REJECTED, 2, tries=1)
    kept = made.kept[held.id]
    still = decided(made.opportunity, held, kept, replace(DESK, lenders=(doubtful,)), first)
    again = still.opportunity.attempt(held.id)
    assert (again.state, again.delays, list(still.kept)) == (State.PLANNED, 2, [held.id])
    stays = decided(made.opportunity, held, kept, replace(DESK, lenders=(has,)), first)
    assert told(stays.acks) == [("update", "rejected", "not-updatable")]
    assert stays.requests == {}
    anew = decided(made.opportunity, held, kept, replace(DESK, lenders=(none,)), first)
    assert anew.opportunity.attempt(held.id).state == State.CANCELLED
    assert [each.generation for each in named(anew.opportunity, "create")] == [1, 2]
