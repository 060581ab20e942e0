"""One application as registrations: one financing validation request (FVR) for each invoice, all in one batch.

An FVR may hold only one document of a type, so several invoices are several FVRs. They travel in one call and share
its request id, which makes them one at the gate: it opens only when all of them are registered as unique. The first
carries our reference itself, so that a look for it finds the call however many there are; the n-th of m carries
`<reference>-<n>of<m>`, so that an answer which lacks some of them is seen to be incomplete. A lender does not split
the batch: what it wants to finance alone is an application of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_finance import Invoice, Party
from lendrail.contracts.application_words import RegistrationScheme, TradeDocumentKind
from lendrail.contracts.terms import FieldProblem, Money
from lendrail.partners.fields import problem
from lendrail.partners.monetago import profile
from lendrail.partners.monetago.profile import NAME, Options


def problems(application: Application, own: Options) -> Iterator[FieldProblem]:
    """Everything that cannot be registered."""
    if own.institution is None:
        message = "the tenant's account must name the lender's institution"
        yield problem(NAME, "/targetPartners", "account-misconfigured", message)
    if not application.invoices:
        yield problem(NAME, "/invoices", "missing", "the registry compares invoices: at least one is needed")
    if application.quotation_only:
        message = "a registration claims the invoice, which a mere quotation must not"
        yield problem(NAME, "/quotationOnly", "not-supported", message)
    seen: set[tuple[Any, ...]] = set()
    for place, invoice in enumerate(application.invoices):
        if (paper := _paper(invoice)) in seen:
            message = "the same invoice stands here twice, and would be registered as its own duplicate"
            yield problem(NAME, f"/invoices/{place}", "duplicate", message)
        seen.add(paper)
        if invoice.requested is None and len(application.invoices) > 1:
            message = "with several invoices each must say which part of it is to be financed"
            yield problem(NAME, f"/invoices/{place}/requested", "part-missing", message)
    yield from _other_documents(application, own)


def _other_documents(application: Application, own: Options) -> Iterator[FieldProblem]:
    known = {_same(invoice.number.reveal()) for invoice in application.invoices}
    for place, document in enumerate(application.trade_documents):
        if document.kind == TradeDocumentKind.INVOICE:
            if _same(document.number.reveal()) not in known:
                message = "an invoice must stand among the invoices to be registered"
                yield problem(NAME, f"/tradeDocuments/{place}", "not-supported", message)
        elif own.other_documents == "refuse":
            message = "only invoices can be registered"
            yield problem(NAME, f"/tradeDocuments/{place}/kind", "not-supported", message)


def _paper(invoice: Invoice) -> tuple[Any, ...]:
    """What makes two invoices the same for a registry."""
    names = (invoice.number, invoice.issuer.name, invoice.debtor.name)
    return (*(_same(name.reveal()) for name in names), invoice.amount.amount, invoice.amount.currency)


def _same(text: str) -> str:
    return " ".join(text.split()).casefold()


def body(application: Application, own: Options, reference: str) -> dict[str, Any]:
    """Of `POST /registrations`."""
    count = len(application.invoices)
    requests = [
        _request(application, invoice, data_set(reference, place, count))
        for place, invoice in enumerate(application.invoices, start=1)
    ]
    batch = {
        "submitter_batch_identification": reference,
        "data_set_validation_service": profile.SERVICE,
        "financing_validation_request_details": requests,
    }
    return {"submitting_financial_institution_identification": own.institution, "batch_collection": [batch]}


def data_set(reference: str, place: int, count: int) -> str:
    """Our id of the n-th FVR."""
    return reference if place == 1 else f"{reference}-{place}of{count}"


def parts(name: str) -> tuple[str, int]:
    """Our reference, and of how many FVRs this one tells (1 where it does not tell)."""
    derived = re.fullmatch(r"(.+)-[0-9]{1,4}of([0-9]{1,4})", name)
    return (derived[1], int(derived[2])) if derived else (name, 1)


def _request(application: Application, invoice: Invoice, name: str) -> dict[str, Any]:
    document = {
        "document_type": profile.INVOICE_TYPE,
        "issue_date": invoice.issued_on.isoformat(),
        "seller_identification": _party(invoice.issuer),
        "buyer_identification": _party(invoice.debtor),
        "invoice_number": invoice.number.reveal(),
        "total_invoice_amount": amount(invoice.amount),
    }
    return {
        "submitter_data_set_identification": name,
        "financing_applicant": _applicant(application),
        "financing_request_amount": amount(invoice.requested or application.requested_finance.amount),
        "referred_documents": [{"submitter_document_reference": f"{name}-invoice", "document_summary": document}],
    }


def _applicant(application: Application) -> dict[str, Any]:
    business = application.business
    numbers = {
        "any_bic": (RegistrationScheme.BIC, profile.BIC),
        "lei": (RegistrationScheme.LEI, r"[A-Z0-9]{20}"),
    }
    known = {
        name: found.number.reveal()
        for name, (scheme, form) in numbers.items()
        if (found := business.registration(scheme)) and re.fullmatch(form, found.number.reveal())
    }
    applicant = {"name": business.legal_name.reveal(), "country_of_domicile": business.country}
    return applicant | ({"identifications": known} if known else {})


def _party(party: Party) -> dict[str, Any]:
    return {"name": party.name.reveal()} | ({"country_of_domicile": party.country} if party.country else {})


def amount(money: Money) -> dict[str, str]:
    """With thousands separators, as all of the partner's samples send it; its answers come without."""
    return {"currency": money.currency, "amount": grouped(money.amount)}


def grouped(value: Decimal) -> str:
    """At least two places, and never fewer than the value has."""
    return f"{value:,.2f}" if round(value, 2) == value else f"{value.normalize():,f}"
