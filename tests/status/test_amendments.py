"""Changes of an application as status hears of them, on a real MongoDB: any order, any repetition."""

import datetime as dt
import itertools

import httpx
import pytest
from tests import make
from tests.status.bench import REFUSAL, Bench, Deal
from tests.status.reading import bearer

from lendrail.contracts.application_amended import (
    Amendment,
    Corrected,
    DocumentAdded,
    OfferAccepted,
    PartnerAdded,
    Withdrawn,
)
from lendrail.contracts.event import Event
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import DocumentRef, Report, Status, Wanted

NAME = "bank-statement-0badcafe.pdf"


def document_added() -> DocumentAdded:
    ref = DocumentRef(
        id="fake", kind="bank-statement", name=NAME, content_type="application/pdf", sha256="0" * 64, size=9
    )
    return DocumentAdded(document=ref)


def offer_accepted(deal: Deal, *, reported: bool) -> OfferAccepted:
    return OfferAccepted(opportunity_id=deal.id, offer_id="offer-1", reported=reported)


def asks(**changes: object) -> Report:
    return Report.model_validate({"status": "info-required", "words": "File Missing Info"} | changes)


async def test_changes_that_bring_no_new_application_tell_nothing(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack())
    changes: list[Amendment] = [
        Withdrawn(reason=SensitiveText("no longer needed")),
        offer_accepted(deal, reported=False),
        document_added(),
    ]
    for revision, change in enumerate(changes, start=2):
        await bench.deliver(deal.amended(change, revision))
    assert await bench.statuses(deal.id) == ["submitting", "submitted"]
    assert len((await bench.document(deal.id))["observations"]) == 3, "the late document is remembered"


async def test_nothing_is_made_up_for_an_application_without_partners(bench: Bench) -> None:
    deal = Deal()
    change = Withdrawn(reason=SensitiveText("no longer needed"))
    await bench.deliver(deal.validated(False, revision=2, amendment=change, ineligible=()))
    await bench.deliver(deal.validated(False, revision=3, amendment=PartnerAdded(partners=("a-b",)), ineligible=()))
    assert await bench.opportunities.count_documents({}) == 0


async def test_a_partner_that_is_added_is_known_like_the_first(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.amended(PartnerAdded(partners=("forward-financing",))))
    (told,) = await bench.told(deal.id)
    assert (told.status, told.received_at) == (Status.SUBMITTING, make.NOW)


async def test_any_order_of_a_late_document_gives_the_same_state(bench: Bench) -> None:
    deals = {order: Deal() for order in itertools.permutations(range(4))}
    lives = {order: _life(deal) for order, deal in deals.items()}
    for step in range(4):
        for order in deals:
            event = lives[order][order[step]]
            await bench.deliver(event)
            await bench.deliver(event)
    for deal in deals.values():
        last = (await bench.told(deal.id))[-1]
        assert (last.status, last.documents_sent, last.missing_info) == (Status.IN_REVIEW, (NAME,), None)
        assert (last.received_at, last.flags) == (make.NOW, ())


def _life(deal: Deal) -> list[Event]:
    first = deal.ack(report=asks(missing_info="bank statements"), occurred_at=make.NOW)
    sent = deal.answer("document", document=NAME, occurred_at=make.NOW + dt.timedelta(minutes=1))
    return [deal.validated(), first, deal.amended(document_added()), sent]


async def test_an_acceptance_by_link_is_a_persons_word(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack(report=Report(status=Status.APPROVED, words="Approval Sent")))
    change = deal.amended(offer_accepted(deal, reported=True))
    await bench.deliver(change)
    await bench.deliver(change)
    last = (await bench.told(deal.id))[-1]
    assert await bench.statuses(deal.id) == ["submitting", "approved", "accepted"]
    assert (last.source, last.flags) == ("person", ("accepted-reported",))
    document = await bench.document(deal.id)
    assert document["fetch"]["reason"] == "hint", "the partner is asked whether it is so"


async def test_a_refused_change_is_told_of_the_application_alone(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.deliver(deal.rejected(2))
    assert await bench.statuses(deal.id) == ["submitting"]
    (told,) = await bench.told(deal.application_id)
    assert (told.status, told.opportunity_id) == (Status.RECEIVED, None)
    assert (told.flags, told.problems) == (("amendment-refused:2",), (REFUSAL, REFUSAL))


async def test_a_withdrawal_makes_us_ask_only_where_the_partner_had_it(bench: Bench) -> None:
    taken, planned = Deal(), Deal()
    await bench.deliver(taken.ack(), planned.ack("not-sent"))
    await bench.deliver(taken.answer("withdraw"), planned.answer("withdraw", reason="not-sent-yet"))
    document = await bench.document(taken.id)
    assert (document["status"], document["fetch"]["reason"]) == ("withdrawn", "hint")
    assert "due" in document
    document = await bench.document(planned.id)
    assert (document["status"], "due" in document) == ("withdrawn", False)
    assert (await bench.told(planned.id))[-1].flags == ("not-sent-yet",)


async def test_a_refused_withdrawal_says_why(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    refusal = REFUSAL.model_copy(update={"pointer": "", "code": "not-withdrawable"})
    await bench.deliver(deal.answer("withdraw", "rejected", problems=(refusal,)))
    last = (await bench.told(deal.id))[-1]
    assert (last.status, last.flags, last.problems) == (Status.SUBMITTED, ("withdraw-rejected",), (refusal,))


async def test_what_is_missing_is_listed_with_the_way_to_send_it(bench: Bench, client: httpx.AsyncClient) -> None:
    listed, told, refused = Deal(), Deal(), Deal()
    items = (
        Wanted(kind="bank-statement", words=SensitiveText("of Testa Fakely")),
        Wanted(words=SensitiveText("a form")),
    )
    await bench.deliver(
        listed.ack(report=asks(wanted=items)),
        told.ack(report=asks(missing_info=SensitiveText("two statements"))),
        refused.ack("rejected", problems=(REFUSAL,)),
    )
    assert "Fakely" not in repr(await bench.document(listed.id))
    bodies = [
        (await client.get(f"/v1/opportunities/{deal.id}", headers=bearer("applications:read"))).json()
        for deal in (listed, told, refused)
    ]
    assert [body["status"] for body in bodies] == ["info-required"] * 3
    here = f"/v1/applications/{listed.application_id}"
    assert bodies[0]["toDo"] == {
        "items": [{"kind": "bank-statement", "words": "of Testa Fakely"}, {"words": "a form"}],
        "ways": [
            {"what": "document", "method": "POST", "path": f"{here}/documents"},
            {"what": "correction", "method": "PUT", "path": here},
        ],
    }
    assert bodies[1]["toDo"]["items"] == [{"words": "two statements"}]
    assert [way["what"] for way in bodies[2]["toDo"]["ways"]] == ["correction"]


@pytest.mark.parametrize("number", range(3))
async def test_a_corrected_application_takes_nothing_back(bench: Bench, number: int) -> None:
    deal = Deal()
    first = [deal.ack(), deal.ack("unknown"), deal.ack(report=Report(status=Status.DECLINED, words="No"))][number]
    await bench.deliver(deal.validated())
    await bench.deliver(first)
    before = await bench.statuses(deal.id)
    await bench.deliver(deal.amended(Corrected(application=make.application())))
    assert await bench.statuses(deal.id) == before
