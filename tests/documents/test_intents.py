"""What partners are asked to do: the whole application with its uploads, or the one thing that was changed."""

import hashlib
import uuid
from typing import Any

import pytest
from tests import make
from tests.documents.bench import FF, PUBLIC, Bench, Validated, intent, pdf, submit, validated

from lendrail.contracts.application_amended import (
    Amendment,
    Corrected,
    DocumentAdded,
    OfferAccepted,
    PartnerAdded,
    Withdrawn,
)
from lendrail.contracts.event import decode, envelope_of
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.submit import AcceptOffer, AddDocument, Send, Submit, Withdraw
from lendrail.contracts.terms import DocumentRef
from lendrail.partners import PARTNERS
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import Key

SOAP = "soap-lender"


def amended(key: Key, amendment: Amendment | None, partners: tuple[str, ...] = (FF,), **changes: Any) -> Validated:
    """Revision 2 of the application of this key, unless said otherwise."""
    given: dict[str, Any] = {"application_id": uuid.UUID(key.id), "revision": 2, "amendment": amendment}
    event = validated(partners, **(given | changes))
    return Delivery(event, envelope_of(event, "validation", make.NOW), key)


async def uploaded(bench: Bench, key: Key, kind: str = "bank-statement", content: bytes | None = None) -> DocumentRef:
    reply = await bench.upload(key.id, content or pdf(), kind)
    assert reply.status_code == 201
    return DocumentRef.model_validate(reply.json())


def listed(*refs: DocumentRef, **changes: Any) -> list[dict[str, Any]]:
    """Entries of `uploads`."""
    return [{"id": ref.id, "kind": ref.kind, "sha256": ref.sha256} | changes for ref in refs]


async def sent(bench: Bench, delivery: Validated) -> Send:
    [record] = await bench.hear([delivery])
    return submit(record, delivery)[1]


@pytest.mark.parametrize("kind", ["corrected", "partner-added"])
async def test_a_correction_and_a_new_partner_bring_the_whole_application(bench: Bench, kind: str) -> None:
    key, application = await bench.key(), make.application(uploads=[])
    amendment: Amendment = Corrected(application=application) if kind == "corrected" else PartnerAdded(partners=(FF,))
    delivery = amended(key, amendment)
    send = await sent(bench, delivery)
    assert send.application == delivery.event.application
    assert [ref.kind for ref in send.documents] == ["application-summary"]
    assert bench.renderer.drawn == 1


async def test_a_withdrawal_and_an_acceptance_are_passed_on_and_draw_nothing(bench: Bench) -> None:
    key = await bench.key()
    withdrawn = amended(key, Withdrawn(reason=SensitiveText("Testa found money")), (FF, SOAP))
    records = await bench.hear([withdrawn])
    assert [intent(record, withdrawn) for record in records] == [
        Withdraw(reason=SensitiveText("Testa found money"))
    ] * 2
    assert b"Testa" not in b"".join(record.value for record in records)
    [event, _] = [decode(Submit, record.value, key) for record in records]
    assert (event.revision, event.opportunity_id) == (2, withdrawn.event.eligible[0].opportunity_id)

    opportunity = withdrawn.event.eligible[0].opportunity_id
    accepted = amended(await bench.key(), OfferAccepted(opportunity_id=opportunity, offer_id="o1", variant="long"))
    [record] = await bench.hear([accepted])
    assert intent(record, accepted) == AcceptOffer(offer_id="o1", variant="long")
    assert bench.renderer.drawn == 0
    assert await bench.counts() == (0, 0)


async def test_what_a_person_did_at_the_partner_is_not_done_again(bench: Bench) -> None:
    amendment = OfferAccepted(opportunity_id=make.new_id(), offer_id="o1", reported=True)
    delivery = amended(await bench.key(), amendment)
    assert await bench.hear([delivery]) == []
    assert await bench.database["packages"].count_documents({}) == 1


@pytest.mark.parametrize("way", ["raw", "url"])
async def test_a_late_document(bench: Bench, way: str) -> None:
    bench.attachments(way)
    key, content = await bench.key(), pdf()
    ref = await uploaded(bench, key, content=content)
    delivery = amended(key, DocumentAdded(document=ref))
    [record] = await bench.hear([delivery])
    added = intent(record, delivery)
    assert isinstance(added, AddDocument)
    assert added.document.model_copy(update={"link": None}) == ref
    assert bench.renderer.drawn == 0
    if way == "raw":
        assert added.document.link is None
    else:
        assert added.document.link is not None
        reply = await bench.fetch(added.document.link.reveal())
        assert (reply.content, reply.headers["content-type"]) == (content, "application/pdf")
        assert reply.headers["content-disposition"] == f'attachment; filename="{ref.name}"'
        assert await bench.hear([delivery]) == [record]
        assert await bench.database["links"].count_documents({}) == 1


async def test_a_document_for_everybody_goes_to_whom_takes_its_kind(bench: Bench) -> None:
    key = await bench.key()
    ref = await uploaded(bench, key, "quote")
    for_all = amended(key, DocumentAdded(document=ref), (FF, SOAP))
    assert [decode(Submit, record.value, key).partner for record in await bench.hear([for_all])] == [SOAP]
    named = for_all.event.eligible[0].opportunity_id
    for_one = amended(key, DocumentAdded(document=ref, opportunity_id=named), revision=3)
    assert [decode(Submit, record.value, key).partner for record in await bench.hear([for_one])] == [FF]


async def test_nobody_is_given_a_link_to_another_applications_document(bench: Bench) -> None:
    bench.attachments("url")
    theirs = await uploaded(bench, await bench.key())
    key = await bench.key()
    added = amended(key, DocumentAdded(document=theirs))
    [record] = await bench.hear([added])
    found = intent(record, added)
    assert isinstance(found, AddDocument)
    assert found.document.link is None
    application = make.application(uploads=listed(theirs))
    send = await sent(bench, amended(key, None, application=application, revision=3))
    assert [problem.pointer for problem in send.unmade] == ["/uploads/0/id"]
    assert [ref.kind for ref in send.documents] == ["application-summary"]
    links = [link["document"] async for link in bench.database["links"].find({})]
    assert theirs.id not in links


async def test_the_uploads_go_with_the_application_to_whom_takes_their_kind(bench: Bench) -> None:
    key = await bench.key()
    refs = [await uploaded(bench, key, kind) for kind in ("bank-statement", "quote", "drivers-license", "invoice")]
    application = make.application(uploads=listed(*refs))
    delivery = amended(key, None, (FF, SOAP, "other-partner"), application=application)
    sends = {event.partner: send for event, send in (submit(r, delivery) for r in await bench.hear([delivery]))}
    for name in (FF, SOAP):
        summary, *uploads = sends[name].documents
        assert summary.kind == "application-summary"
        assert uploads == [ref for ref in refs if ref.kind in PARTNERS[name].facts.documents]
        assert uploads
    assert [ref.kind for ref in sends["other-partner"].documents] == ["application-summary"]
    assert {send.unmade for send in sends.values()} == {()}


async def test_an_upload_is_of_the_kind_that_the_application_says(bench: Bench) -> None:
    key, content = await bench.key(), pdf()
    ref = await uploaded(bench, key, "other", content)
    send = await sent(bench, amended(key, None, application=make.application(uploads=listed(ref, kind="voided-check"))))
    [_, upload] = send.documents
    assert (upload.id, upload.kind) == (ref.id, "voided-check")
    assert upload.name == f"voided-check-{hashlib.sha256(content).hexdigest()[:8]}.pdf"


async def test_each_document_has_a_link_of_its_own(bench: Bench) -> None:
    bench.attachments("bulk")
    key, content = await bench.key(), pdf()
    ref = await uploaded(bench, key, content=content)
    send = await sent(bench, amended(key, None, application=make.application(uploads=listed(ref))))
    found = [link.reveal() for link in (each.link for each in send.documents) if link]
    assert len(set(found)) == 2
    assert all(link.startswith(f"{PUBLIC}/d/") for link in found)
    bodies = [(await bench.fetch(link)).content for link in found]
    assert [hashlib.sha256(body).hexdigest() for body in bodies] == [each.sha256 for each in send.documents]


@pytest.mark.parametrize(
    ("changes", "here"), [({"id": "never-uploaded"}, False), ({"sha256": "0" * 64}, False), ({}, True)]
)
async def test_an_upload_that_is_not_here_is_named(bench: Bench, changes: dict[str, str], here: bool) -> None:
    key = await bench.key()
    ref = await uploaded(bench, key)
    unasked = {"id": "not-here", "kind": "quote", "sha256": "1" * 64}
    uploads = [unasked, *listed(ref, **changes)]
    send = await sent(bench, amended(key, None, application=make.application(uploads=uploads)))
    told = [(problem.pointer, problem.code) for problem in send.unmade]
    assert told == ([] if here else [("/uploads/1/id", "upload-missing")])
