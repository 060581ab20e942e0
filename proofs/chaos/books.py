"""The partners' own ledgers, read after a run: what each of them took, what it holds in the end, and what it answered.

Our reference at a partner follows from the application and the account, so a record is ours by it. A record under a
reference that nobody can have sent is known by the mark in its body, or by none.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from lendrail.contracts.terms import attempt_id, opportunity_id
from lendrail.local.accounts import ACCOUNTS, AUDIT_MAIL, Account
from proofs.chaos.cast import AUDIT, MARK
from proofs.chaos.shapes import Accepted, Taken

Ledger = dict[str, Any]
Item = dict[str, Any]
Holds = Callable[[Ledger, Item], tuple[str | None, bool]]
"""(ledger, what was taken) → what the partner holds in the end in our words, and whether it told anybody."""
SOAP, OPTIMUM = "soap-lender", "optimum-finance"
DECIDED = {
    "approve": "approved",
    "decline": "declined",
    "refer": "referred",
    "missing": "info-required",
    "waiting": "info-required",
    "working": "in-review",
    "fund": "funded",
}
REGISTERED = {
    "PNDG": "in-review",
    "REGU": "approved",
    "REDU": "duplicate",
    "DFIN": "duplicate",
    "FNCD": "funded",
    "CANC": "withdrawn",
}


@dataclass(frozen=True)
class Seat:
    """One of our accounts: under which name we count it, in which ledger it stands, and as which user."""

    partner: str
    credential: str
    ledger: str
    operation: str = "create"

    @property
    def at(self) -> str:
        """The partner whose opportunity brings it there."""
        return SOAP if self.partner == AUDIT else self.partner


def _seat(account: Account) -> Seat:
    if account.credential == AUDIT_MAIL:
        return Seat(AUDIT, AUDIT_MAIL, account.partner, "supplement")
    return Seat(account.partner, account.credential, account.played_by or account.partner)


SEATS = {seat.partner: seat for seat in map(_seat, ACCOUNTS)}


def opportunity(application: str, partner: str) -> str:
    """Its id there; of the audit mail that of the lender beside whom it goes."""
    at = SEATS[SEATS[partner].at]
    return str(opportunity_id(uuid.UUID(application), at.partner, at.credential))


def reference(application: str, partner: str, mark: str) -> str:
    """What the partner's ledger files it under."""
    if partner == OPTIMUM:
        return mark
    seat = SEATS[partner]
    return str(attempt_id(uuid.UUID(opportunity(application, partner)), seat.operation, "", 1))


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One call in a partner's ledger."""

    ledger: str
    reference: str
    at: dt.datetime
    whole: bool
    """Whether it answered as it should."""


@dataclass(frozen=True)
class Books:
    taken: list[Taken]
    calls: list[Noted]


async def read(sandbox: str, accepted: Iterable[Accepted]) -> Books:
    """All ledgers, and whose each record is."""
    marks = {reference(each.application, partner, each.mark): each.mark for each in accepted for partner in each.wanted}
    books = Books([], [])
    async with httpx.AsyncClient(base_url=f"{sandbox}/_ledger", trust_env=False, timeout=300) as client:
        for name in sorted({seat.ledger for seat in SEATS.values()}):
            ledger = (await client.get(f"/{name}", params={"bodies": "false"})).raise_for_status().json()
            books.calls.extend(_calls(name, ledger))
            for seat in (seat for seat in SEATS.values() if seat.ledger == name):
                for item in ledger["leads"]:
                    if item["user"] == seat.credential:
                        mark = marks.get(item["reference"]) or await _mark(client, name, item["reference"])
                        books.taken.append(_taken(seat, ledger, item, mark))
    return books


async def _mark(client: httpx.AsyncClient, ledger: str, known_as: str) -> str:
    """Out of the bodies of what stands under this reference; empty where there is none."""
    found = (await client.get(f"/{ledger}", params={"reference": known_as})).raise_for_status().json()
    match = re.search(MARK, json.dumps(found))
    return match.group() if match else ""


def _taken(seat: Seat, ledger: Ledger, item: Item, mark: str) -> Taken:
    status, told = HOLDS[seat.ledger](ledger, item)
    names = ("id", "leadId", "applicationId", "requestId")
    partner_id = next((str(item[name]) for name in names if item.get(name)), None)
    at = dt.datetime.fromisoformat(item["at"])
    return Taken(
        partner=seat.partner,
        mark=mark,
        reference=item["reference"],
        partner_id=partner_id,
        status=status,
        at=at,
        told=told,
    )


def _calls(name: str, ledger: Ledger) -> Iterator[Noted]:
    for call in ledger["calls"]:
        if call.get("reference"):
            at = dt.datetime.fromisoformat(call["at"])
            yield Noted(ledger=name, reference=call["reference"], at=at, whole=call["reply"] == "sent")


def _last(items: Iterable[Item], **of: Any) -> Item | None:
    """The newest of those with these values."""
    own = [each for each in items if all(each.get(name) == value for name, value in of.items())]
    return max(own, key=lambda each: str(each["at"]), default=None)


def _forward_financing(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    decision = _last(ledger["decisions"], leadId=lead["leadId"])
    return DECIDED[decision["outcome"]] if decision else "in-review", True


def _finpace(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    """It cannot be asked: what its webhook did not bring, nobody knows."""
    decision = _last(ledger["decisions"], applicationId=lead["applicationId"])
    if decision is None:
        return "in-review", True
    told = [each for each in ledger["webhooks"] if each["reference"] == lead["reference"]]
    return DECIDED[decision["decision"]["outcome"]], any(200 <= (each["status"] or 0) < 300 for each in told)


def _soap_lender(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    if _last(ledger.get("withdrawals", ()), leadId=lead["leadId"]):
        return "withdrawn", True
    decision = _last(ledger["decisions"], leadId=lead["leadId"])
    return DECIDED[decision["outcome"]] if decision else None, True


def _reference_partner(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    said = [each for name in ("decisions", "acceptances") for each in ledger.get(name, ())]
    newest = _last(said, id=lead["id"])
    return str(newest["said"]["status"]) if newest else None, True


def _monetago(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    """A duplicate stays one, also when we have its registration cancelled since no lender may have it."""
    (fvr,) = lead["fvrs"]
    said = sorted((each["at"], each["status"]) for each in ledger["decisions"] if each["fvr"] == fvr["id"])
    words = [REGISTERED[status] for _, status in said]
    return "duplicate" if "duplicate" in words else (words or ["in-review"])[-1], True


def _optimum_finance(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    return str(lead["decision"]["decision"]), True


def _valiant(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    """It has one word for all that it took, and a reason where it did not want it."""
    news = _last(ledger["decisions"], id=lead["id"])
    return "declined" if news and news["state"]["unqualified_reason"] else "submitted", True


def _submitted(ledger: Ledger, lead: Item) -> tuple[str | None, bool]:
    return "submitted", True


HOLDS: Mapping[str, Holds] = {
    "forward-financing": _forward_financing,
    "finpace": _finpace,
    SOAP: _soap_lender,
    "reference-partner": _reference_partner,
    "monetago": _monetago,
    OPTIMUM: _optimum_finance,
    "valiant": _valiant,
    "email-lender": _submitted,
}
