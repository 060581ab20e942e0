"""The ledgers of a chaos run: the subscriber's file, and what the partners' own books say in our words."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from proofs.chaos import books, subscriber
from proofs.chaos.cast import AUDIT

from lendrail.notifications.signing import new_secret, signed_headers

BODY = json.dumps({"data": {"applicationId": "app", "opportunityId": "opp", "version": 3}}).encode()
WITHDRAWN = {"withdrawals": [{"at": "2", "leadId": "1"}]}
LEAD = {"leadId": "1", "applicationId": "1", "id": "1", "reference": "ref", "fvrs": [{"id": "f"}]}


def test_the_subscriber_keeps_what_is_signed_whatever_the_clock_says(tmp_path: Path) -> None:
    secret, book = tmp_path / "secret", subscriber.Book(tmp_path / "ledger", tmp_path / "secret")
    text = new_secret()
    assert book.take(signed_headers(text, "n-1", 0, BODY), BODY) == 401, "no secret is known yet"
    secret.write_text(text)
    signed = signed_headers(text, "n-1", 0, BODY)
    assert [book.take(signed, BODY), book.take(signed, BODY)] == [204, 204]
    assert book.take(signed, BODY + b" ") == 401
    notices, refused = subscriber.read(tmp_path / "ledger")
    assert ([(each.id, each.version) for each in notices], refused) == ([("n-1", 3)] * 2, 2)


def decided(**decision: Any) -> books.Ledger:
    return {"decisions": [{"at": "1", **decision}], "webhooks": []}


def cancelled(before: str) -> books.Ledger:
    return {"decisions": [{"at": "2", "fvr": "f", "status": "CANC"}, {"at": "1", "fvr": "f", "status": before}]}


@pytest.mark.parametrize(
    ("ledger", "said", "status"),
    [
        ("forward-financing", decided(leadId="1", outcome="waiting"), "info-required"),
        ("forward-financing", decided(leadId="2", outcome="approve"), "in-review"),
        ("soap-lender", decided(leadId="1", outcome="refer"), "referred"),
        ("soap-lender", decided(leadId="1", outcome="working") | WITHDRAWN, "withdrawn"),
        ("reference-partner", decided(id="1", said={"status": "approved"}), "approved"),
        ("monetago", decided(fvr="f", status="REDU"), "duplicate"),
        ("monetago", decided(fvr="another", status="REGU"), "in-review"),
        ("monetago", cancelled("REGU"), "withdrawn"),
        ("monetago", cancelled("REDU"), "duplicate"),
        ("valiant", decided(id="1", state={"unqualified_reason": None}), "submitted"),
        ("valiant", decided(id="1", state={"unqualified_reason": "too young"}), "declined"),
        ("email-lender", decided(), "submitted"),
    ],
)  # fmt: skip
def test_what_a_partner_holds_in_our_words(ledger: str, said: books.Ledger, status: str) -> None:
    assert books.HOLDS[ledger](said, LEAD) == (status, True)


def test_the_newest_word_counts_wherever_it_stands() -> None:
    ledger = decided(id="1", said={"status": "approved"})
    ledger["acceptances"] = [{"at": "2", "id": "1", "said": {"status": "accepted"}}]
    assert books.HOLDS["reference-partner"](ledger, LEAD) == ("accepted", True)


@pytest.mark.parametrize(("statuses", "told"), [([], False), ([None, 503], False), ([None, 204], True)])
def test_who_cannot_be_asked_has_told_only_what_was_answered_with_2xx(statuses: list[int | None], told: bool) -> None:
    ledger = decided(applicationId="1", decision={"outcome": "approve"})
    ledger["webhooks"] = [{"reference": "ref", "status": each} for each in statuses]
    assert books.HOLDS["finpace"](ledger, LEAD) == ("approved", told)


def test_every_seat_has_its_books() -> None:
    assert {seat.ledger for seat in books.SEATS.values()} == set(books.HOLDS)
    application = str(uuid.UUID(int=7))
    assert books.opportunity(application, AUDIT) == books.opportunity(application, "soap-lender")
    assert books.reference(application, AUDIT, "ZZ000001") != books.reference(application, "soap-lender", "ZZ000001")
    assert books.reference(application, "optimum-finance", "ZZ000001") == "ZZ000001"
