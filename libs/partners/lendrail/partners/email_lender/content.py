"""What of an application may stand in a mail.

Mail is read, stored and forwarded on its way, so this is a list of what goes, not of what stays. People also write
numbers into free text: those that the application itself calls an account, identity or social security number or a
person's date are swept out of every text, in the usual ways of writing them.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

from lendrail.contracts.application import Application
from lendrail.contracts.application_fields import AccountNumber, IdentityNumber, ShortText
from lendrail.contracts.sensitive import Sensitive, SensitiveDate, SensitiveText, Ssn

HIDDEN = (Ssn, SensitiveDate, AccountNumber, IdentityNumber)
WITHHELD = "[withheld]"


def _names(*lines: str) -> dict[str, Any]:
    return dict.fromkeys((name for line in lines for name in line.split()), True)


_PERSON = _names("first_name middle_name last_name title roles ownership_percent applicant guarantor")
_CONTACT = _names("email mobile_phone work_phone")
_PARTY = _names("name country")
_PARTIES = {"issuer": _PARTY, "debtor": _PARTY}
_PARTS: dict[str, Any] = {
    "requested_finance": _names(
        "product amount term purpose purpose_description repayment_frequency deposit balloon balloon_percent",
        "needed_by prefers_speed_over_rate wants_redraw",
    )
    | {"security": {"__all__": _names("kind description value existing_debt")}},
    "business": _names(
        "legal_name trading_name entity_type country industry start_date formed_on website phone email addresses",
        "employees franchise phoenix description",
    ),
    "financials": _names(
        "as_of annual_revenue expected_annual_revenue monthly_revenue monthly_card_sales monthly_cash_flow",
        "annual_profit total_assets total_liabilities receivables payables inventory credit_band customers",
        "invoices_customers cloud_accounting accounting_software taxes_up_to_date taxes_outstanding tax_payment_plan",
        "previous_default default_liability bankruptcy legal_action legal_action_description",
    ),
    "existing_loans": {
        "__all__": _names(
            "lender balance original_amount payment payment_frequency started_on ends_on in_arrears to_be_refinanced"
        )
    },
    "invoices": {"__all__": _names("issued_on due_on amount outstanding requested description") | _PARTIES},
    "trade_documents": {"__all__": _names("kind issued_on due_on amount description") | _PARTIES},
    "equipment": {
        "__all__": _names("description category make model year condition quantity price tax seller_kind hours_used")
        | {"supplier": _PARTY}
    },
    "consents": {"__all__": _names("kind given_at text_version")},
} | _names("risk_assessments metadata external_references quotation_only notes")


def content(application: Application) -> dict[str, Any]:
    """The application as it may be mailed, under its names on the wire, empty fields left out.

    Texts are one tidy line, free texts several; numbers and times are strings, words of closed lists stay such.
    """
    broom = Broom(application)
    told = application.model_dump(by_alias=True, exclude_none=True, include=_PARTS)
    told["owners"] = list(_people(application))
    swept = {name: broom.sweep(value) for name, value in told.items()}
    swept["metadata"] = {broom.text(name): value for name, value in swept["metadata"].items()}
    return {name: value for name, value in swept.items() if value not in ({}, [], False)}


def _people(application: Application) -> Iterator[dict[str, Any]]:
    """Everybody's name and part in it; how to reach them only of who applies, else of the first."""
    contact = next((each for each in application.owners if each.applicant), next(iter(application.owners), None))
    for owner in application.owners:
        fields = _PERSON | _CONTACT if owner is contact else _PERSON
        yield owner.model_dump(by_alias=True, exclude_none=True, include=fields)


def line(text: str) -> str:
    """On one line: control characters and line separators become spaces; marks that turn the direction of writing or
    cannot be seen go.
    """
    return " ".join(_UNSEEN.sub("", _CONTROL.sub(" ", text)).split())


def paragraphs(text: str) -> str:
    """The same, with its line breaks."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line(each) for each in _BREAK.split(text))).strip()


_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


class Broom:
    """Sweeps one application's numbers out of its texts."""

    def __init__(self, application: Application) -> None:
        patterns = {pattern for each in _hidden(application) for pattern in _written(each)}
        shapes = "|".join(sorted(patterns | {r"[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}"}))  # the last: any SSN at all
        self._hidden = re.compile(rf"(?<![^\W_])(?:{shapes})(?![^\W_])", re.IGNORECASE)

    def text(self, text: str) -> str:
        return self._hidden.sub(WITHHELD, text)

    def sweep(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            swept = {name: self.sweep(each) for name, each in value.items()}
            return {name: each for name, each in swept.items() if each not in ({}, [])}
        if isinstance(value, list | tuple):
            return [self.sweep(each) for each in value]
        if isinstance(value, Sensitive):
            long = isinstance(value, SensitiveText | ShortText)
            return self.text((paragraphs if long else line)(value.reveal()))
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, dt.date):  # a time is one too
            return value.isoformat()
        if isinstance(value, str) and not isinstance(value, Enum):
            return self.text(line(value))
        return value


def _hidden(part: Any) -> Iterator[Sensitive]:
    """Every value of a kind that is never mailed, wherever it stands."""
    if isinstance(part, HIDDEN):
        yield part
    elif isinstance(part, BaseModel):
        for _, value in part:
            yield from _hidden(value)
    elif isinstance(part, tuple):
        for value in part:
            yield from _hidden(value)


def _written(value: Sensitive) -> Iterator[str]:
    """Patterns of how people write it; what has fewer than four letters and digits is no number to hide."""
    if isinstance(value, SensitiveDate):
        yield from _dates(value.date())
        return
    signs = [re.escape(sign) for sign in value.reveal() if sign.isalnum()]
    if len(signs) >= 4:
        yield r"[\s./_-]{0,3}".join(signs)


def _dates(day: dt.date) -> Iterator[str]:
    year, month, number = f"{day:%Y}", f"0?{day.month}", f"0?{day.day}"
    between, name = r"[\s./-]{1,3}", rf"{calendar.month_abbr[day.month]}[a-z]*\.?"
    yield f"{day:%Y%m%d}"
    for order in ((year, month, number), (number, month, year), (month, number, year)):
        yield between.join(order)
    yield rf"{number}(?:st|nd|rd|th)?(?: of)?\s+{name},?\s+{year}"
    yield rf"{name}\s+{number}(?:st|nd|rd|th)?,?\s+{year}"
