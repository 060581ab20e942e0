"""Which leads are taken, and what is said about the others: `{"errors": {<group or field>: [<text>, ...]}}`. Pure.

What the documentation does not require is not required here of a classic user; a current user is held to the lists and
required fields of the newer revision. Texts never repeat what was sent.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from lendrail.sandbox.forward_financing import vocabulary

Vocabulary = Literal["classic", "current"]
Errors = dict[str, list[str]]
BLANK, INVALID, UNLISTED = "can't be blank", "is invalid", "is not included in the list"
_DATE, _NINE_DIGITS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), re.compile(r"[0-9]{9}")
_AMOUNT = re.compile(r"\$?[0-9][0-9,]{0,14}(\.[0-9]{1,2})?")
CURRENT_CONTACT = ("first_name", "last_name", "ssn")
CURRENT_ADDRESS = ("street1", "state", "zip")
CURRENT_ACCOUNT = ("entity_type", "name", "started_on", "phone", "industry_name")


def reference_of(lead: object) -> str | None:
    """The customer's own id, when the body holds one at all."""
    reference = _group(_group(lead, "lead"), "application_attributes").get("reference_id")
    return reference if isinstance(reference, str) and reference else None


def dollars(lead: object) -> int:
    """Whole dollars asked for; 0 when absent. Only for leads without errors."""
    text = _group(_group(lead, "lead"), "application_attributes").get("capital_needed") or "0"
    return int(Decimal(str(text).replace("$", "").replace(",", "")))


def errors_in(content: object, words: Vocabulary, today: date) -> Errors:
    """Every fault of a lead at once; empty when it is taken."""
    errors: Errors = {}
    lead = content.get("lead") if isinstance(content, dict) else None
    if not isinstance(lead, dict):
        return {"lead": [BLANK]}
    _contacts(lead.get("contacts_attributes"), words, today, errors)
    _account(lead.get("account_attributes"), words, today, errors)
    _typed(_optional_group(lead, "loan_attributes", errors), _LOAN, errors)
    application = lead.get("application_attributes")
    if not isinstance(application, dict):
        _add(errors, "application_attributes", BLANK if application is None else INVALID)
    else:
        _required(application, ("reference_id",), errors)
        _typed(application, _APPLICATION, errors)
        _listed(application, ("loan_use",), words, errors)
    return errors


def _contacts(contacts: object, words: Vocabulary, today: date, errors: Errors) -> None:
    if not isinstance(contacts, list) or not contacts:
        _add(errors, "contacts_attributes", INVALID if contacts else BLANK)
        return
    for contact in contacts:
        if not isinstance(contact, dict):
            _add(errors, "contacts_attributes", INVALID)
            continue
        _required(contact, CURRENT_CONTACT if words == "current" else (), errors)
        _typed(contact, _CONTACT, errors)
        _address(contact, "contacts_attributes", words, errors, required=True)
        if _is_date(contact.get("born_on")) and date.fromisoformat(contact["born_on"]) >= today:
            _add(errors, "born_on", "must be in the past")


def _account(account: object, words: Vocabulary, today: date, errors: Errors) -> None:
    if not isinstance(account, dict):
        _add(errors, "account_attributes", BLANK if account is None else INVALID)
        return
    _required(account, CURRENT_ACCOUNT if words == "current" else ("name",), errors)
    _typed(account, _ACCOUNT, errors)
    _listed(account, ("entity_type", "monthly_revenue", "industry_name"), words, errors)
    _address(account, "account_attributes", words, errors, required=False)
    if _is_date(account.get("started_on")) and date.fromisoformat(account["started_on"]) > today:
        _add(errors, "started_on", "can't be in the future")


def _address(owner: Mapping[str, Any], group: str, words: Vocabulary, errors: Errors, *, required: bool) -> None:
    address = owner.get("current_address_attributes")
    if not address and required:
        _add(errors, group, "Must provide address")
    elif address is not None and not isinstance(address, dict):
        _add(errors, group, "Must provide address" if required else INVALID)
    elif isinstance(address, dict):
        _required(address, CURRENT_ADDRESS if words == "current" and required else (), errors)
        _typed(address, _ADDRESS, errors)


def _required(group: Mapping[str, Any], names: tuple[str, ...], errors: Errors) -> None:
    for name in names:
        if group.get(name) in (None, ""):
            _add(errors, name, BLANK)


def _typed(group: Mapping[str, Any], rules: Mapping[str, Callable[[Any], bool]], errors: Errors) -> None:
    for name, good in rules.items():
        if group.get(name) not in (None, "") and not good(group[name]):
            _add(errors, name, INVALID)


def _listed(group: Mapping[str, Any], names: tuple[str, ...], words: Vocabulary, errors: Errors) -> None:
    for name in names:
        value = group.get(name)
        if words == "current" and isinstance(value, str) and value and value not in vocabulary.LISTS[name]:
            _add(errors, name, UNLISTED)


def _optional_group(lead: Mapping[str, Any], name: str, errors: Errors) -> Mapping[str, Any]:
    if lead.get(name) is not None and not isinstance(lead[name], dict):
        _add(errors, name, INVALID)
    return _group(lead, name)


def _group(of: object, name: str) -> Mapping[str, Any]:
    group = of.get(name) if isinstance(of, Mapping) else None
    return group if isinstance(group, dict) else {}


def _add(errors: Errors, name: str, text: str) -> None:
    texts = errors.setdefault(name, [])
    if text not in texts:
        texts.append(text)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_nine_digits(value: object) -> bool:
    return isinstance(value, str) and _NINE_DIGITS.fullmatch(value) is not None


def _is_amount(value: object) -> bool:
    return isinstance(value, str) and _AMOUNT.fullmatch(value) is not None


def _text(names: str) -> dict[str, Callable[[Any], bool]]:
    return dict.fromkeys(names.split(), _is_text)


_ADDRESS = _text("street1 street2 city state zip")
_CONTACT = _text("first_name last_name email title home_phone cell_phone") | {
    "born_on": _is_date, "ownership_date": _is_date, "ssn": _is_nine_digits,
}  # fmt: skip
_ACCOUNT = _text("entity_type name legal_name phone email website monthly_revenue industry_name") | {
    "started_on": _is_date, "fein": _is_nine_digits,
}  # fmt: skip
_LOAN = _text("company_name") | {"daily_payment_amount": _is_number, "balance": _is_number}
_APPLICATION = _text("loan_use reference_id notes") | {
    "has_current_loan": _is_flag, "applicant_is_owner": _is_flag, "capital_needed": _is_amount,
    "owner_1_percent_ownership": _is_number, "owner_2_percent_ownership": _is_number,
}  # fmt: skip
