"""What letters and notices say of changes: withdrawn, accepted, corrected, delivered, refused; what is to be sent."""

import json
import uuid
from typing import Any

import pytest
from tests.make import NOW

from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.status_updated import Cause, Hop, StatusUpdated
from lendrail.contracts.terms import FieldProblem, Offer, OfferForms, Status, Wanted
from lendrail.notifications.letter import letter
from lendrail.notifications.news import remarks
from lendrail.notifications.notice import webhook_body
from lendrail.notifications.notify import is_told
from lendrail.notifications.outcome import outcome_of

from .conftest import updated

OFFER = Offer(id="base", action_link=Sensitive("https://lender.example.test/fake-link"))
HOP = Hop(begins="received", ends="heard", milliseconds=7)
API = "https://api.example.test"
UNABLE = FieldProblem(pointer="", code="not-withdrawable", message="takes no withdrawal", phase="partner")
FAULT = FieldProblem(pointer="/business/taxId", code="format", message="must have nine digits")


def texts(update: StatusUpdated) -> tuple[str, str, str]:
    parts = json.loads(letter(update, API))
    return parts["subject"], parts["text"], parts["html"]


CASES: list[tuple[dict[str, Any], str]] = [
    ({"status": Status.WITHDRAWN, "source": "ack"}, "The partner took the withdrawal."),
    ({"status": Status.WITHDRAWN, "source": "fetch"}, "The partner says that it was withdrawn."),
    (
        {"status": Status.WITHDRAWN, "source": "ack", "flags": ("not-sent-yet",)},
        "It was withdrawn before it was sent: the partner never had it.",
    ),
    (
        {"status": Status.WITHDRAWN, "source": "ack", "flags": ("draft-left",)},
        "It was withdrawn while it was being sent: the partner has no more than an unfinished draft.",
    ),
    ({"status": Status.ACCEPTED, "source": "ack"}, "The partner took the acceptance of the offer."),
    ({"status": Status.ACCEPTED, "source": "poll"}, "The partner says that its offer was accepted."),
    (
        {"status": Status.ACCEPTED, "source": "person", "flags": ("accepted-reported",)},
        "A person reported that the offer was accepted; the partner has not confirmed it yet.",
    ),
    ({"flags": ("updated:1",)}, "The partner took the correction."),
    ({"flags": ("updated:3",)}, "The partner took 3 corrections."),
    ({"documents_sent": ("a.pdf",)}, "The partner has one document."),
    ({"documents_sent": ("a.pdf", "b.pdf")}, "The partner has 2 documents."),
    ({"flags": ("update-rejected",)}, "The partner did not take the correction."),
    ({"flags": ("update-rejected",)}, "It still has the application as it was."),
    ({"flags": ("withdraw-rejected",)}, "The application is still there."),
    ({"flags": ("withdraw-unknown",)}, "Nobody knows yet whether the partner took the withdrawal."),
    (
        {"flags": ("withdraw-parked",)},
        "Nobody knows whether the partner took the withdrawal; a person decides.",
    ),
    ({"flags": ("document-not-sent",)}, "Not sent: a document."),
    ({"flags": ("resend-rejected",)}, "The partner did not take the corrected application as a new one."),
    (
        {"flags": ("older-application:declined",)},
        "Of the application that was sent there before this one the partner says declined.",
    ),
    ({"flags": ("alarm:approved-after-withdrawn",)}, "The partner says approved, although it took the withdrawal."),
    (
        {"status": Status.FUNDED, "flags": ("alarm:funded-after-declined",)},
        "Alarm: the partner says funded, although it was declined before. Please look into it.",
    ),
    (
        {"source": "person", "flags": ("corrected",)},
        "An operator set this status; it holds until the partner says something else.",
    ),
    ({"source": "person", "flags": ("pinned",)}, "An operator holds this status, whatever the partner says."),
    ({"source": "person", "flags": ("partner-disagrees:funded",)}, "The words of the partner alone say funded."),
]


@pytest.mark.parametrize(("said", "sentence"), CASES)
def test_what_came_of_a_change_is_said_in_a_sentence(said: dict[str, Any], sentence: str) -> None:
    event = updated(**{"status": Status.APPROVED} | said)
    _, text, html = texts(event)
    assert sentence in text
    assert sentence in html
    assert remarks(event).count(sentence) == 1


def test_an_alarm_is_called_one_where_it_rings_and_by_every_channel() -> None:
    rings = updated(status=Status.FUNDED, flags=("alarm:funded-after-declined",))
    assert texts(rings)[0].startswith("alarm, funded at ")
    later = updated(status=Status.FUNDED, flags=("alarm:approved-after-declined",))
    assert texts(later)[0].startswith("funded at ")
    assert "alarm:funded-after-declined" in json.loads(webhook_body(rings))["data"]["flags"]
    assert "alarm:funded-after-declined" in outcome_of(rings, API).flags
    assert is_told(rings)


def test_what_a_person_set_is_not_called_the_partners_word() -> None:
    for status in (Status.WITHDRAWN, Status.ACCEPTED):
        assert not [line for line in remarks(updated(status=status, source="person")) if "partner" in line]


def test_whose_word_it_is_and_its_way_are_told() -> None:
    told: dict[str, Any] = {
        "partner_status": Status.DECLINED,
        "partner_time": NOW,
        "status_received_at": NOW,
        "cause": Cause(channel="fetch", event="e-1", partner_event="p-1", hops=(HOP,)),
        "offer_history": (OfferForms(original=OFFER, original_at=NOW, latest=OFFER, latest_at=NOW),),
    }
    event = updated(status=Status.APPROVED, **told)
    data, outcome = (
        json.loads(webhook_body(event))["data"],
        outcome_of(event, API).model_dump(mode="json", by_alias=True),
    )
    for said in (data, outcome):
        assert said["cause"]["hops"] == [{"from": "received", "to": "heard", "milliseconds": 7}]
        assert (said["cause"]["partnerEvent"], said["partnerStatus"]) == ("p-1", "declined")
        assert said["statusReceivedAt"] == said["partnerTime"]
        assert said["offerHistory"][0]["original"]["id"] == "base"
        assert "fake-link" not in json.dumps(said)


def test_an_update_without_changes_says_none() -> None:
    plain = ("unmapped-words", "partner:unknown-stage", "not-sent", "refused", "contradicted:x-after-y")
    assert remarks(updated(flags=plain)) == []


def test_a_refused_change_is_named_and_nothing_else_is_said_to_have_changed() -> None:
    event = updated(
        status=Status.RECEIVED,
        opportunity_id=None,
        partner=None,
        credential=None,
        offers=(),
        flags=("amendment-refused:2",),
        problems=(FAULT,),
    )
    subject, text, _ = texts(event)
    assert is_told(event)
    assert subject == "change refused: DEAL-1"
    assert "Your change (revision 2) was refused. Nothing changed at any partner." in text
    assert "To be corrected:\n  - /business/taxId (format)" in text
    assert not is_told(event.model_copy(update={"flags": (), "problems": ()}))


def test_a_reason_that_no_field_could_mend_is_not_called_a_correction() -> None:
    _, text, html = texts(updated(flags=("withdraw-rejected",), problems=(UNABLE,)))
    for each in (text, html):
        assert "Refused because of: not-withdrawable" in each
        assert "To be corrected" not in each


def test_what_the_partner_waits_for_is_listed_with_the_way_to_send_it() -> None:
    words = SensitiveText("of Zelda Fakename")
    items = (Wanted(kind="bank-statement", words=words), Wanted(words=words))
    event = updated(status=Status.INFO_REQUIRED, wanted=items)
    here = f"/v1/applications/{event.application_id}"
    data = json.loads(webhook_body(event))["data"]
    assert data["toDo"] == {
        "items": [{"kind": "bank-statement", "words": "of Zelda Fakename"}, {"words": "of Zelda Fakename"}],
        "ways": [
            {"what": "document", "method": "POST", "path": f"{here}/documents"},
            {"what": "correction", "method": "PUT", "path": here},
        ],
    }
    for text in texts(event)[1:]:
        assert "bank-statement" in text
        assert f"A document: POST {API}{here}/documents" in text
        assert f"A correction: PUT {API}{here}" in text
        assert "Zelda" not in text
    assert "toDo" not in json.loads(webhook_body(updated(status=Status.APPROVED)))["data"]


def test_documents_that_the_partner_has_are_in_the_notice() -> None:
    name = f"quote-{uuid.uuid4().hex[:8]}.pdf"
    assert json.loads(webhook_body(updated(documents_sent=(name,))))["data"]["documentsSent"] == [name]
