"""Proven calls that report by themselves: stored as the truth at once, or when their opportunity becomes known."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.status.bench import PARTNER, Bench, Deal

from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.sensitive import Document as Body
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Hint
from lendrail.partners.partner import Partner, Webhook
from lendrail.partners.polling import Polling
from lendrail.partners.signatures import STANDARD_WEBHOOKS
from lendrail.runtime.clock import utc_now

CANARY = "Testa Fakely owes"
STATUSES = {"yes": Status.APPROVED, "no": Status.DECLINED, "paid": Status.FUNDED}


def hint(body: bytes, path_id: str | None) -> Hint | None:
    return None


def report(body: bytes) -> Report | None:
    """What the partner of these tests says: `{"word", "at", "notes"}`; raises where the word is `crash`."""
    told = json.loads(body) if body.startswith(b"{") else {}
    if "word" not in told:
        return None
    return Report(
        status={**STATUSES, "hm": None}[told["word"]],
        words=told["word"],
        partner_time=dt.datetime.fromisoformat(told["at"]) if "at" in told else None,
        notes=SensitiveText(told["notes"]) if "notes" in told else None,
    )


def partner(**changes: Any) -> Partner:
    webhook = Webhook(proof=STANDARD_WEBHOOKS, hint=hint, report=report)
    return replace(
        PARTNERS[PARTNER], **({"webhook": webhook, "read": None, "report": None, "poll": Polling()} | changes)
    )


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A partner that calls and cannot be asked; called again, one with these changes."""

    def use(**changes: Any) -> None:
        monkeypatch.setitem(PARTNERS, PARTNER, partner(**changes))

    use()
    return use


def said(deal: Deal, word: str, *, verified: bool = True, **more: Any) -> PartnerWebhook:
    told = {name: more.pop(name) for name in ("at", "notes") if name in more}
    body = Body(json.dumps({"word": word, **told}))
    return deal.webhook(body=body, verification="verified" if verified else "hint", **more)


def at(seconds: float) -> str:
    return (utc_now() + dt.timedelta(seconds=seconds)).isoformat()


async def test_a_proven_report_is_the_truth_at_once(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    call = said(deal, "yes", at=at(-60), notes=CANARY)
    await bench.deliver(call)
    last = (await bench.told(deal.id))[-1]
    assert (last.status, last.source, last.partner_words, last.notes) == (
        Status.APPROVED,
        "webhook",
        "yes",
        SensitiveText(CANARY),
    )
    assert last.partner_time == last.observed_at < call.received_at
    document = await bench.document(deal.id)
    assert CANARY not in repr(document)
    kept = document["observations"][-1]
    key = await bench.service.vault.get(str(deal.application_id))
    assert json.loads(key.open_bytes(kept["raw"]))["notes"] == CANARY, "its bytes rest under the application's key"
    assert "due" not in document, "a partner that cannot be asked is never due"
    assert await bench.parts.orphans.count_documents({}) == 0


async def test_what_made_a_version_is_named_with_its_way(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    received = utc_now() - dt.timedelta(milliseconds=400)
    await bench.deliver(said(deal, "yes", at=at(-60), received_at=received, event_id="evt-1"))
    last = (await bench.told(deal.id))[-1]
    assert last.cause is not None
    assert (last.cause.channel, last.cause.partner_event) == ("webhook", "evt-1")
    assert last.cause.event == (await bench.document(deal.id))["observations"][-1]["id"]
    assert [(each.begins, each.ends) for each in last.cause.hops] == [
        ("partner", "received"),
        ("received", "heard"),
        ("heard", "told"),
    ]
    assert last.cause.hops[0].milliseconds >= 59_000
    assert last.cause.hops[1].milliseconds >= 400
    assert last.status_received_at == received


async def test_what_is_not_proven_reports_nothing(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(said(deal, "yes", verified=False))
    assert await bench.statuses(deal.id) == ["submitted"]
    document = await bench.document(deal.id)
    assert "due" not in document
    assert [each["words"] for each in document["hints"]] == ["Approved"], "it is noted all the same"


async def test_a_report_before_its_answer_waits_for_it(bench: Bench) -> None:
    deal, named = Deal(), Deal()
    early = said(deal, "yes", received_at=utc_now() - dt.timedelta(seconds=5), notes=CANARY)
    by_reference = said(named, "no", foreign_id="unknown-here", reference=str(named.attempt))
    await bench.deliver(early, by_reference)
    orphans = await bench.parts.orphans.find().to_list()
    assert len(orphans) == 2
    assert CANARY not in repr(orphans)
    await bench.deliver(deal.ack(), named.ack("accepted-id-unknown", reason="no-id"))
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED
    assert (await bench.told(named.id))[-1].status is Status.DECLINED, "matched by the reference that we gave"
    assert (await bench.told(deal.id))[-1].observed_at == early.received_at
    assert await bench.parts.orphans.count_documents({}) == 0
    await bench.deliver(early, by_reference)
    assert await bench.statuses(deal.id) == ["submitted", "approved"], "redelivered, it changes nothing"


async def test_references_belong_to_their_credential(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack("accepted-id-unknown"))
    await bench.deliver(said(deal, "yes", foreign_id="x", reference=str(deal.attempt), credential="somebody-else"))
    assert await bench.statuses(deal.id) == ["submitted"]
    await bench.deliver(said(deal, "yes", foreign_id="x", reference=str(deal.attempt)))
    assert await bench.statuses(deal.id) == ["submitted", "approved"]


async def test_the_partners_time_orders_its_words_and_is_never_in_the_future(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(said(deal, "yes", at=at(-5)))
    await bench.deliver(said(deal, "hm", at=at(-3600)))
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED, "an older word changes nothing"
    future = said(deal, "paid", at=at(3600))
    await bench.deliver(future)
    last = (await bench.told(deal.id))[-1]
    assert (last.status, last.observed_at) == (Status.FUNDED, future.received_at)


async def test_the_same_word_of_the_same_time_is_one_also_when_replayed(bench: Bench) -> None:
    deal, when = Deal(), at(-5)
    await bench.deliver(deal.ack())
    for word in ("yes", "no", "yes"):
        await bench.deliver(said(deal, word, at=when if word == "yes" else at(-1)))
    assert len((await bench.document(deal.id))["observations"]) == 3
    assert (await bench.told(deal.id))[-1].status is Status.DECLINED


async def test_two_replicas_store_it_once(make_bench: Callable[..., Any]) -> None:
    one, two = await make_bench(), await make_bench()
    deal = Deal()
    await one.deliver(deal.ack())
    call = said(deal, "yes")
    await one.deliver(call)
    await two.deliver(call)
    assert len((await one.document(deal.id))["observations"]) == 2


@pytest.mark.parametrize("body", ["", "<html>", '{"word": "crash"}', '{"other": 1}'])
async def test_a_report_that_cannot_be_read_is_a_hint(bench: Bench, silent: Callable[..., None], body: str) -> None:
    real = PARTNERS[PARTNER]
    silent(read=FORWARD.read, report=FORWARD.report)
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook(body=Body(body), verification="verified"))
    document = await bench.document(deal.id)
    assert (document["fetch"]["reason"], document["status"]) == ("hint", "submitted")
    assert real.read is None


async def test_an_older_report_than_our_last_look_leads_to_one_more(bench: Bench, silent: Callable[..., None]) -> None:
    silent(read=FORWARD.read, report=FORWARD.report)
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {"fetch.seen_at": utc_now()}})
    await bench.deliver(said(deal, "yes", at=at(-600)))
    document = await bench.document(deal.id)
    assert document["due"] <= utc_now() + dt.timedelta(seconds=2)


async def test_after_the_intake_key_is_destroyed_a_call_says_nothing(bench: Bench) -> None:
    deal = Deal()
    call = said(deal, "yes", intake_key=f"intake-{uuid.uuid4().hex[:8]}")
    await bench.deliver(call)
    await bench.service.vault._keys.delete_one({"_id": call.intake_key})
    bench.service.vault._known.clear()
    await bench.deliver(deal.ack())
    assert await bench.statuses(deal.id) == ["submitted"]


async def test_of_an_erased_person_nothing_is_stored(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.service.vault.erase(str(deal.application_id))
    before = await bench.document(deal.id)
    await bench.deliver(said(deal, "yes", notes=CANARY))
    assert (await bench.document(deal.id))["observations"] == before["observations"]


FORWARD = PARTNERS[PARTNER]
