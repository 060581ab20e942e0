"""The canonical application, version 1: what an upstream system says once, for every partner.

It holds no id of ours (events carry those) and no partner's words (mappings keep those). Optional almost everywhere:
what a partner needs beyond this is a rule of that partner, told in its own phase with a pointer into these fields.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lendrail.contracts.application_fields import (
    ALL,
    Count,
    FileName,
    Flag,
    Key,
    Label,
    Moment,
    Name,
    PartnerScope,
    Sha256,
    ShortText,
    covers,
)
from lendrail.contracts.application_finance import Equipment, Invoice, RequestedFinance, TradeDocument
from lendrail.contracts.application_parts import Business, ExistingLoan, Financials, Owner
from lendrail.contracts.application_words import ConsentKind, RiskResult, UploadKind
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import DecimalString, Mode, Model, Reference


class Consent(Model):
    """A permission that a person gave. Without `share-with-partners` for a partner nothing is sent to it."""

    kind: ConsentKind
    given_by: Name
    given_at: Moment
    text_version: Label
    """Which wording the person saw."""
    partners: PartnerScope = ALL


class Upload(Model):
    """A file that was uploaded before; its bytes are known by their hash."""

    id: Key
    kind: UploadKind
    sha256: Sha256
    name: FileName | None = None
    owner: Annotated[Count, Field(le=49)] | None = None
    """Index into `owners` of the person whom it concerns."""
    invoice_number: Name | None = None


class RiskAssessment(Model):
    """One check that somebody ran; passed on to partners as context."""

    kind: Label
    result: RiskResult
    provider: Label | None = None
    score: DecimalString | None = None
    assessed_at: Moment | None = None
    details: ShortText | None = None


class Application(Model):
    """One wish for finance, in full."""

    business: Business
    owners: Annotated[tuple[Owner, ...], Field(max_length=50)] = ()
    financials: Financials | None = None
    existing_loans: Annotated[tuple[ExistingLoan, ...], Field(max_length=50)] = ()
    requested_finance: RequestedFinance
    invoices: Annotated[tuple[Invoice, ...], Field(max_length=500)] = ()
    trade_documents: Annotated[tuple[TradeDocument, ...], Field(max_length=500)] = ()
    equipment: Annotated[tuple[Equipment, ...], Field(max_length=200)] = ()
    consents: Annotated[tuple[Consent, ...], Field(max_length=50)] = ()
    uploads: Annotated[tuple[Upload, ...], Field(max_length=100)] = ()
    external_references: Annotated[tuple[Reference, ...], Field(max_length=50)] = ()
    risk_assessments: Annotated[tuple[RiskAssessment, ...], Field(max_length=200)] = ()
    metadata: Annotated[dict[Key, ShortText], Field(max_length=100)] = Field(default_factory=dict)
    target_partners: PartnerScope = ALL
    quotation_only: Flag = False
    """Ask for a price only: the partner must not start its sales process."""
    mode: Mode
    """Stated, never assumed: a test application must not reach a live partner."""
    notes: SensitiveText | None = None

    def wants(self, partner: str) -> bool:
        """Whether `partner` is among the targets."""
        return covers(self.target_partners, partner)

    def consents_to(self, partner: str) -> bool:
        """Whether a person allowed this application to be shared with `partner`."""
        given = (each for each in self.consents if each.kind == ConsentKind.SHARE_WITH_PARTNERS)
        return any(covers(each.partners, partner) for each in given)
