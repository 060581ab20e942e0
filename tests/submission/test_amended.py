"""An application's later life through the lanes, at simulated partners that count what they took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.submission.amended import SOAP_LENDER, accept, corrected, first_of, intended, named, withdraw
from tests.submission.desk import Desk, document
from tests.submission.others import MONETAGO, REFERENCE, dial, ledger, open_accounts, running, undial

from lendrail.contracts.submit import AddDocument, Submit
from lendrail.submission.attempts.attempt import Attempt

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def accounts(desk: Desk) -> Iterator[None]:
    open_accounts(desk, REFERENCE, SOAP_LENDER, MONETAGO)
    yield
    for partner in ("reference-partner", "soap-lender"):
        undial(desk, partner)


async def shelved(desk: Desk, first: Submit, content: bytes, revision: int) -> Submit:
    ref = document(content, "statement.pdf", kind="bank-statement")
    desk.shelf.sealed[ref.id] = (await desk.key(first)).seal_bytes(content)
    return intended(first, AddDocument(document=ref), revision)


async def attempt(desk: Desk, event: Submit, operation: str) -> Attempt:
    found = [each for each in (await desk.opportunity(event)).attempts if each.operation == operation]
    return found[-1]


def held(desk: Desk, partner: str, kind: str, partner_id: str | None) -> list[Any]:
    """Of this kind of effect, those on this application."""
    return [each for each in ledger(desk, partner).get(kind, []) if each.get("id") == partner_id]


async def approved(desk: Desk, event: Submit) -> str:
    """The partner has decided."""
    partner_id = (await desk.opportunity(event)).partner_id
    assert partner_id is not None

    async def there() -> bool:
        return bool(held(desk, "reference-partner", "decisions", partner_id))

    await support.eventually(there, 10)
    return partner_id


async def test_corrected_accepted_and_told(desk: Desk) -> None:
    first = first_of(REFERENCE)
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        await desk.hear(corrected(first), await shelved(desk, first, b"fake statement", 3))
        await desk.until(first, "acked", "acked", "acked")
        partner_id = await approved(desk, first)
        await support.eventually(lambda: _decided_twice(desk, partner_id), 10)
        await desk.hear(intended(first, accept("offer-1"), 4), intended(first, accept("offer-1"), 4))
        await desk.until(first, "acked", "acked", "acked", "acked")
        await desk.hear(intended(first, accept("offer-2"), 5))
        await desk.until(first, "acked", "acked", "acked", "acked", "rejected")
    assert [each["offerId"] for each in held(desk, "reference-partner", "acceptances", partner_id)] == ["offer-1"]
    (update,) = held(desk, "reference-partner", "updates", partner_id)
    assert update["body"]["business"]["legalName"] == "Fake Bakery 2 LLC"
    told = [(each.operation, each.outcome) for each in await desk.acks(first)]
    assert told == [
        ("create", "accepted"),
        ("update", "accepted"),
        ("document", "accepted"),
        ("accept", "accepted"),
        ("accept", "rejected"),
    ]


async def _decided_twice(desk: Desk, partner_id: str) -> bool:
    return len(held(desk, "reference-partner", "decisions", partner_id)) >= 2


async def test_an_offer_that_is_not_there_is_a_clean_refusal(desk: Desk) -> None:
    first = first_of(REFERENCE)
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        await approved(desk, first)
        await desk.hear(intended(first, accept("offer-9")))
        await desk.until(first, "acked", "rejected")
    assert [(each.operation, each.outcome) for each in await desk.acks(first)][-1] == ("accept", "rejected")


@pytest.mark.parametrize("kind", ["drop_reply", "status"])
async def test_a_lost_answer_to_an_update_is_repeated_with_the_same_bytes(desk: Desk, kind: str) -> None:
    first = first_of(REFERENCE)
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        dial(
            desk,
            "reference-partner",
            kind=kind,
            operation="update",
            times=1,
            **({"status": 503} if kind == "status" else {}),
        )
        await desk.hear(corrected(first))
        await desk.until(first, "acked", "acked")
    update = await attempt(desk, first, "update")
    assert (update.tries, update.unknowns) == (2, 1)
    assert len(held(desk, "reference-partner", "updates", (await desk.opportunity(first)).partner_id)) == 1


async def test_a_correction_while_the_creation_is_in_doubt_waits_and_then_updates(desk: Desk) -> None:
    first = first_of(REFERENCE)
    dial(desk, "reference-partner", kind="drop_reply", operation="create", times=1)
    await desk.hear(first)
    async with desk.lanes(partner_processing_seconds="1.5"):
        await desk.until(first, "unknown")
        await desk.hear(corrected(first))
        assert await desk.states(first) == ["unknown", "planned"]
        (waits,) = named(await desk.opportunity(first), "update")
        stored = await desk.store.load(str(first.opportunity_id))
        assert list(stored["kept"]) == [waits.id]
        assert "Fake Bakery" not in repr(stored), "what is kept is sealed"
        await desk.until(first, "acked", "acked")
    stored = await desk.store.load(str(first.opportunity_id))
    assert stored["kept"] == {}, "and no longer there than it is needed"
    assert len(held(desk, "reference-partner", "updates", (await desk.opportunity(first)).partner_id)) == 1


async def test_a_correction_of_what_was_refused_is_a_new_creation(desk: Desk) -> None:
    first = first_of(REFERENCE)
    dial(desk, "reference-partner", kind="status", operation="create", status=429, times=1, retryAfter=2)
    await desk.hear(first)
    async with desk.lanes():
        await support.eventually(lambda: _put_off(desk, first), 10)
        await desk.hear(corrected(first))
        await desk.until(first, "cancelled", "acked")
    create = await desk.create(first)
    assert create.generation == 2
    (lead,) = [each for each in ledger(desk, "reference-partner")["leads"] if each["reference"] == create.id]
    assert lead["body"]["business"]["legalName"] == "Fake Bakery 2 LLC"


async def _put_off(desk: Desk, event: Submit) -> bool:
    return (await desk.create(event)).delays == 1


async def test_after_a_refused_update_the_next_revision_is_an_update_again(desk: Desk) -> None:
    """An application that the partner closed takes none: each is asked for once, and refused by itself."""
    before = closed_updates(desk)
    first = first_of(REFERENCE, requestedFinance={"amount": {"amount": "50001", "currency": "USD"}})
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        await approved(desk, first)
        await desk.hear(corrected(first))
        await desk.until(first, "acked", "rejected")
        await desk.hear(corrected(first, revision=3))
        after = await desk.until(first, "acked", "rejected", "rejected")
    updates = named(after, "update")
    assert [(each.generation, each.tries, each.reason) for each in updates] == [(2, 1, "refused"), (3, 1, "refused")]
    assert closed_updates(desk) == before + 2


def closed_updates(desk: Desk) -> int:
    """How often the partner refused one."""
    calls = ledger(desk, "reference-partner")["calls"]
    return sum((each["operation"], each["status"]) == ("update", 409) for each in calls)


async def test_withdrawn_at_the_partner_once_and_nothing_after(desk: Desk) -> None:
    first = first_of(SOAP_LENDER)
    dial(desk, "soap-lender", kind="drop_reply", operation="update", times=1)
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        await desk.hear(intended(first, withdraw(), 2), intended(first, withdraw(), 2))
        await desk.until(first, "acked", "acked")
        await desk.hear(await shelved(desk, first, b"too late", 3), corrected(first, SOAP_LENDER, 4))
        await desk.until(first, "acked", "acked", "cancelled", "cancelled")
    assert [(each.operation, each.outcome, each.reason) for each in await desk.acks(first)][-3:] == [
        ("withdraw", "accepted", None),
        ("document", "not-sent", "withdrawn"),
        ("update", "not-sent", "withdrawn"),
    ]
    assert (
        len(
            [
                each
                for each in ledger(desk, "soap-lender")["withdrawals"]
                if each["reference"] == (await desk.create(first)).id
            ]
        )
        == 1
    )


async def test_a_withdrawal_while_nobody_knows_waits_for_the_outcome(desk: Desk) -> None:
    first = first_of(SOAP_LENDER)
    dial(desk, "soap-lender", kind="drop_reply", operation="submit", times=1)
    await desk.hear(first)
    async with desk.lanes(partner_processing_seconds="1.5"):
        await desk.until(first, "unknown")
        await desk.hear(intended(first, withdraw()))
        assert await desk.states(first) == ["unknown", "planned"]
        await desk.until(first, "acked", "acked")
    assert [each.outcome for each in await desk.acks(first)] == ["unknown", "accepted", "accepted"]


async def test_a_withdrawal_of_what_waits_is_certain_at_once(desk: Desk) -> None:
    first = first_of(REFERENCE)
    await desk.hear(first, intended(first, withdraw()))
    async with desk.lanes():
        await desk.until(first, "cancelled", "acked")
    assert [(each.operation, each.outcome, each.reason) for each in await desk.acks(first)] == [
        ("withdraw", "accepted", "not-sent-yet")
    ]
    calls = ledger(desk, "reference-partner")["calls"]
    assert [each for each in calls if each["reference"] == (await desk.create(first)).id] == []


def _invoices(*numbers: str) -> list[dict[str, Any]]:
    party = {"name": "Fake Trading GmbH", "country": "DE"}
    amounts = {"amount": {"amount": "100", "currency": "EUR"}, "requested": {"amount": "80", "currency": "EUR"}}
    return [{"number": each, "issuedOn": "2030-01-02", "issuer": party, "debtor": party, **amounts} for each in numbers]


async def test_other_papers_are_registered_anew_and_are_no_duplicates_of_the_ones_before(desk: Desk) -> None:
    first = first_of(MONETAGO, invoices=_invoices("A-1", "A-2"))
    await desk.hear(first)
    async with desk.lanes():
        before = await desk.until(first, "acked")
        await desk.hear(corrected(first, MONETAGO, invoices=_invoices("A-1", "A-3")))
        after = await desk.until(first, "acked", "acked", "acked")
    assert [each.operation for each in after.attempts] == ["create", "create", "withdraw"]
    assert before.partner_id is not None
    assert after.partner_id not in (None, before.partner_id)
    old, new = ([each["id"] for each in lead["fvrs"]] for lead in ledger(desk, "monetago")["leads"])

    async def found() -> bool:
        return [_stand(desk, each) for each in (*old, *new)] == ["CANC", "CANC", "REGU", "REGU"]

    await support.eventually(found, 10)
    assert ledger(desk, "monetago")["duplicates"] == []


def _stand(desk: Desk, fvr: str) -> str | None:
    told = [each["status"] for each in ledger(desk, "monetago")["decisions"] if each["fvr"] == fvr]
    return told[-1] if told else None
