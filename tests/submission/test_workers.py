"""The lanes against the real sandbox and a real MongoDB: what they send is counted in the partner's own ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.submission.amended import intended, withdraw
from tests.submission.desk import Desk, credential

from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import Open, PartnerPort

pytestmark = pytest.mark.asyncio
SHEET, LETTER = b"PK fake spreadsheet", b"%PDF-1.7 fake letter"


async def test_lead_then_documents(desk: Desk) -> None:
    event = await desk.submit(SHEET, LETTER)
    async with desk.lanes():
        opportunity = await desk.until(event, "acked", "acked", "acked")
    ledger = await desk.ledger(event)
    assert len(ledger["leads"]) == 1
    assert len(ledger["attachments"]) == 2
    acks = await desk.acks(event)
    assert [(each.operation, each.outcome) for each in acks] == [("create", "accepted")] + [
        ("document", "accepted")
    ] * 2
    assert acks[0].partner_id == opportunity.partner_id == ledger["leads"][0]["leadId"]
    assert [each.document for each in acks[1:]] == ["file0.bin", "file1.bin"]
    assert len({each.id for each in acks}) == 3


async def test_acks_are_published_and_the_lease_is_given_back(desk: Desk) -> None:
    event = await desk.submit()
    async with desk.lanes():
        await desk.until(event, "acked")
        await asyncio.sleep(0.2)
    stored = await desk.store.load(str(event.opportunity_id))
    assert [record.topic for record in desk.heard.records] == ["partner-ack"]
    assert {"lease", "due", "pending"}.isdisjoint(stored)


async def test_what_is_put_off_while_it_is_withdrawn_stays_withdrawn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who withdraws needs no lease; the lane that has it must not put its older view on top of that."""
    event = await desk.submit()
    first = True
    call = PartnerPort.call

    @asynccontextmanager
    async def away_and_withdrawn(*told: Any) -> AsyncIterator[Credential]:
        nonlocal first
        if first:
            first = False
            await desk.hear(intended(event, withdraw()))
            raise Open(utc_now())
        async with call(*told) as found:
            yield found

    monkeypatch.setattr(PartnerPort, "call", away_and_withdrawn)
    async with desk.lanes():
        await desk.until(event, "cancelled", "acked")
        await asyncio.sleep(1.5)
        assert await desk.states(event) == ["cancelled", "acked"]
    assert not first
    assert (await desk.ledger(event))["leads"] == []


async def test_many_at_once(desk: Desk) -> None:
    events = [await desk.submit(SHEET) for _ in range(30)]
    async with desk.lanes():
        for event in events:
            await desk.until(event, "acked", "acked")
    leads = desk.sandbox.ledger()["leads"]
    references = [(await desk.create(event)).id for event in events]
    assert sorted(lead["reference"] for lead in leads if lead["reference"] in references) == sorted(references)


async def test_rejected_lead_is_told_with_its_problems_and_its_documents_stay_here(desk: Desk) -> None:
    desk.credentials(credential(desk.sandbox.api, auth={"scheme": "api-key", "key": "current-test-key"}))
    desk.tenants(options={"vocabulary": "classic"})
    event = await desk.submit(SHEET)
    async with desk.lanes():
        await desk.until(event, "rejected", "cancelled")
    (ack,) = await desk.acks(event)
    assert (ack.outcome, ack.reason, bool(ack.problems)) == ("rejected", "refused", True)
    assert (await desk.ledger(event))["leads"] == []
    words = (await desk.create(event)).words
    assert words is not None
    assert "errors" in (await desk.key(event)).open(words)


async def test_reply_dropped_after_recording_is_one_lead_with_unknown_id(desk: Desk) -> None:
    desk.sandbox.dial(kind="drop_reply", operation="lead", times=1)
    event = await desk.submit(SHEET)
    async with desk.lanes():
        await desk.until(event, "submitted-id-unknown", "planned")
    ledger = await desk.ledger(event)
    assert (len(ledger["leads"]), len(ledger["duplicates"]), len(ledger["attachments"])) == (1, 1, 0)
    assert await desk.outcomes(event) == ["unknown", "accepted-id-unknown"]
    assert (await desk.acks(event))[0].next_check_at is not None


@pytest.mark.parametrize("kind", ["html", "truncated"])
async def test_unreadable_acceptance_is_unknown_then_one_lead(desk: Desk, kind: str) -> None:
    desk.sandbox.dial(kind=kind, operation="lead", times=1)
    event = await desk.submit()
    async with desk.lanes():
        await desk.until(event, "submitted-id-unknown")
    assert len((await desk.ledger(event))["leads"]) == 1


@pytest.mark.parametrize("dial", [{"kind": "refuse"}, {"kind": "empty_422"}, {"kind": "status", "status": 503}])
async def test_unknown_that_was_not_recorded_is_repeated_with_the_same_bytes(
    desk: Desk, dial: dict[str, object]
) -> None:
    desk.sandbox.dial(operation="lead", times=1, **dial)
    event = await desk.submit()
    async with desk.lanes():
        await desk.until(event, "acked")
    create = await desk.create(event)
    assert (create.tries, create.unknowns) == (2, 1)
    assert len((await desk.ledger(event))["leads"]) == 1
    assert await desk.outcomes(event) == ["unknown", "accepted"]


async def test_slow_partner_is_cut_off_and_asked_again_after_it_must_be_done(desk: Desk) -> None:
    desk.sandbox.dial(kind="delay", operation="lead", ms=1500, when="after", times=1)
    event = await desk.submit()
    async with desk.lanes(partner_processing_seconds="1"):
        await desk.until(event, "submitted-id-unknown")
    assert len((await desk.ledger(event))["leads"]) == 1


async def test_too_many_requests_wait_and_nothing_is_unknown(desk: Desk) -> None:
    desk.sandbox.dial(kind="status", operation="lead", status=429, retry_after=1, times=1)
    event = await desk.submit()
    async with desk.lanes():
        await desk.until(event, "acked")
    assert (await desk.create(event)).unknowns == 0
    assert await desk.outcomes(event) == ["accepted"]


async def test_refused_key_pauses_the_credential_and_loses_nothing(desk: Desk) -> None:
    desk.credentials(credential(desk.sandbox.api, auth={"scheme": "api-key", "key": "wrong"}))
    events = [await desk.submit(SHEET) for _ in range(3)]
    async with desk.lanes():
        await asyncio.sleep(0.7)
        before = desk.sandbox.summary()["counts"]["calls"]
        await asyncio.sleep(0.2)
        assert desk.sandbox.summary()["counts"]["calls"] == before
        assert await desk.states(events[0]) == ["prepared", "planned"]
        desk.credentials(credential(desk.sandbox.api))
        for event in events:
            await desk.until(event, "acked", "acked")
            assert await desk.outcomes(event) == ["accepted", "accepted"]


async def test_nobody_listening_is_not_sent_and_parked_in_the_end(desk: Desk) -> None:
    desk.credentials(credential("http://127.0.0.1:1/forward-financing/v1"))
    event = await desk.submit()
    async with desk.lanes():
        await desk.until(event, "parked")
    (ack,) = await desk.acks(event)
    assert (ack.outcome, ack.reason) == ("parked", "refused")
    assert (await desk.create(event)).never_taken is False


async def test_document_is_sent_at_most_twice(desk: Desk) -> None:
    desk.sandbox.dial(kind="drop_reply", operation="attachment")
    event = await desk.submit(SHEET)
    async with desk.lanes():
        await desk.until(event, "acked", "parked")
        await asyncio.sleep(0.7)
    assert len((await desk.ledger(event))["attachments"]) == 2
    assert await desk.outcomes(event) == ["accepted", "unknown", "parked"]


async def test_documents_service_away_is_waited_for(desk: Desk) -> None:
    desk.shelf.away = True
    event = await desk.submit(SHEET)
    async with desk.lanes():
        await desk.until(event, "acked", "planned")
        await asyncio.sleep(0.5)
        assert await desk.states(event) == ["acked", "planned"]
        desk.shelf.away = False
        await desk.until(event, "acked", "acked")
    attempt = (await desk.opportunity(event)).attempts[1]
    assert (attempt.tries, attempt.unknowns) == (1, 0)


@pytest.mark.parametrize(("content", "reason"), [(b"", "document-missing"), (b"other bytes", "document-damaged")])
async def test_missing_or_altered_document_is_parked(desk: Desk, content: bytes, reason: str) -> None:
    event = await desk.submit(SHEET)
    for name in desk.shelf.sealed:
        desk.shelf.sealed[name] = (await desk.key(event)).seal_bytes(content) if content else b""
    async with desk.lanes():
        await desk.until(event, "acked", "parked")
    assert (await desk.acks(event))[-1].reason == reason


async def test_erased_person_is_not_sent(desk: Desk) -> None:
    event = await desk.submit(SHEET)
    await desk.vault.erase(event.key_id)
    async with desk.lanes():
        await desk.until(event, "cancelled", "cancelled")
    assert (await desk.ledger(event))["calls"] == []


async def test_a_wait_named_in_trouble_holds_the_next_call_of_the_credential(desk: Desk) -> None:
    desk.sandbox.dial(kind="status", operation="lead", status=503, retry_after=2, times=1)
    async with desk.lanes():
        first = await desk.submit()
        await desk.until(first, "unknown")
        second = await desk.submit()
        await asyncio.sleep(1)
        assert len((await desk.ledger(second))["calls"]) == 0
        await desk.until(second, "acked")
        await desk.until(first, "acked")


async def test_a_silent_partner_is_spared_and_the_work_of_all_waits(desk: Desk) -> None:
    """Twelve applications while it is away: a few tries, no attempt pays for the others' failures, all arrive."""
    desk.credentials(credential("http://127.0.0.1:1/forward-financing/v1"))
    async with desk.lanes(breaker_failures="2", retry_seconds="[0.2, 0.2, 0.2, 0.2, 0.2, 0.2]", lanes="4"):
        events = [await desk.submit() for _ in range(12)]
        await asyncio.sleep(1.5)
        tried = sum([(await desk.create(event)).delays for event in events])
        assert 2 <= tried <= 6  # those under way together when it opened
        desk.credentials(credential(desk.sandbox.api))
        for event in events:
            await desk.until(event, "acked")
    assert sum([(await desk.create(event)).delays for event in events]) <= tried + 1
