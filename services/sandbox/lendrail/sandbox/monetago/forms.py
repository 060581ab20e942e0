"""What a registration must hold, as the partner's guide says: read into plain values, with every fault at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

INSTITUTION = re.compile(
    r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
AMOUNT = re.compile(r"[0-9]{1,3}(,[0-9]{3})*(\.[0-9]{1,6})?|[0-9]{1,15}(\.[0-9]{1,6})?")
INVOICE = "CINV"
ID_KINDS = (
    "request_identification", "pool_identification", "batch_identification", "submitter_data_set_identification"
)  # fmt: skip
Fault = dict[str, str]


@dataclass(slots=True)
class Form:
    """An object of the body at `path`; faults of all parts land in one list."""

    content: Mapping[str, Any]
    path: str = ""
    faults: list[Fault] = field(default_factory=list)

    def fault(self, name: str, code: str, text: str) -> None:
        self.faults.append({"code": code, "text": text, "path": f"{self.path}.{name}".strip(".")})

    def text(self, name: str, form: str = r"(?s).*\S.*", needed: bool = True, longest: int = 500) -> str | None:
        value = self.content.get(name)
        if value is None or value == "":
            if needed:
                self.fault(name, "MISSING_FIELD", "is required")
            return None
        if not isinstance(value, str) or len(value) > longest or not re.fullmatch(form, value):
            self.fault(name, "INVALID_FIELD", "is invalid")
            return None
        return value

    def part(self, name: str) -> "Form":
        """A required object."""
        value = self.content.get(name)
        if not isinstance(value, dict):
            self.fault(name, "MISSING_FIELD" if value is None else "INVALID_FIELD", "must be an object")
            return Form({}, f"{self.path}.{name}".strip("."))  # its own faults would say the same again
        return Form(value, f"{self.path}.{name}".strip("."), self.faults)

    def parts(self, name: str) -> list["Form"]:
        """A required list of objects with at least one."""
        value = self.content.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
            self.fault(name, "INVALID_FIELD" if value else "MISSING_FIELD", "must be a list of objects")
            return []
        at = f"{self.path}.{name}".strip(".")
        return [Form(each, f"{at}[{place}]", self.faults) for place, each in enumerate(value)]

    def amount(self, name: str) -> dict[str, str]:
        """Currency, and the amount without separators."""
        money = self.part(name)
        text, currency = money.text("amount"), money.text("currency", r"[A-Z]{3}")
        if text is not None and not AMOUNT.fullmatch(text):
            money.fault("amount", "INVALID_FIELD", "is invalid")
        plain = Decimal((text or "0").replace(",", "")) if text and AMOUNT.fullmatch(text) else Decimal(0)
        return {"currency": currency or "", "amount": f"{plain:.2f}" if round(plain, 2) == plain else f"{plain:f}"}

    def party(self, name: str) -> str:
        party = self.part(name)
        party.text("country_of_domicile", r"[A-Z]{2}", needed=False)
        return party.text("name") or ""

    def day(self, name: str) -> str:
        value = self.text(name, r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
        try:
            return date.fromisoformat(value).isoformat() if value else ""
        except ValueError:
            self.fault(name, "INVALID_FIELD", "is invalid")
            return ""


def institution(form: Form, own: str | None) -> str:
    name = "submitting_financial_institution_identification"
    given = form.text(name, INSTITUTION.pattern, longest=36) or ""
    if given and own is not None and given != own:
        form.fault(name, "INVALID_FIELD", "is not the caller's")
    return given


def registration(content: object, own: str | None) -> tuple[dict[str, Any], list[Fault]]:
    """What is registered: the institution, the pool, and every financing validation request (FVR) with its batch."""
    form = Form(content if isinstance(content, dict) else {})
    read = {"institution": institution(form, own), "pool": form.text("pool_identification", needed=False, longest=35)}
    requests = [
        _request(request, batch.content)
        for batch in form.parts("batch_collection")
        if _batch(batch)
        for request in batch.parts("financing_validation_request_details")
    ]
    names = [each["dataset"] for each in requests]
    if len(set(names)) != len(names):
        form.fault("batch_collection", "INVALID_FIELD", "two requests have the same identification")
    return read | {"requests": requests}, form.faults


def _batch(form: Form) -> bool:
    form.text("submitter_batch_identification")
    form.text("data_set_validation_service", "REGI")
    if not isinstance(form.content.get("batch_booking", False), bool):
        form.fault("batch_booking", "INVALID_FIELD", "is invalid")
    return True


def _request(form: Form, batch: Mapping[str, Any]) -> dict[str, Any]:
    documents = [_document(each) for each in form.parts("referred_documents")]
    kinds = [each["type"] for each in documents]
    if len(set(kinds)) != len(kinds):
        form.fault("referred_documents", "INVALID_FIELD", "only one document of a type may be given")
    return {
        "dataset": form.text("submitter_data_set_identification") or "",
        "batch": batch.get("submitter_batch_identification"),
        "applicant": form.party("financing_applicant"),
        "amount": form.amount("financing_request_amount"),
        "documents": documents,
    }


def _document(form: Form) -> dict[str, Any]:
    form.text("submitter_document_reference", needed=False)
    summary = form.part("document_summary")
    return {
        "type": summary.text("document_type", INVOICE) or "",  # the other codes are not known to this simulator
        "number": summary.text("invoice_number") or "",
        "date": summary.day("issue_date"),
        "seller": summary.party("seller_identification"),
        "buyer": summary.party("buyer_identification"),
        "amount": summary.amount("total_invoice_amount"),
    }


def named(content: object, wrapper: str, own: str | None) -> tuple[list[Form], str, list[Fault]]:
    """The entries of a call about registrations that exist, and the one kind of id they all have."""
    form = Form(content if isinstance(content, dict) else {})
    institution(form, own)
    entries = form.parts(wrapper)
    kinds = {kind for entry in entries for kind in ID_KINDS if kind in entry.content}
    for entry in entries:
        if sum(kind in entry.content for kind in ID_KINDS) != 1:
            form.fault(wrapper, "INVALID_FIELD", "each entry needs one identification")
    if len(kinds) > 1:
        form.fault(wrapper, "INVALID_FIELD", "all entries must have the same kind of identification")
    kind = next(iter(kinds), "")
    for entry in entries if kind else ():
        entry.text(kind)
    return entries, kind, form.faults
