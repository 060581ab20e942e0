"""What is asked for, and what stands behind it: finance, security, trade documents, equipment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lendrail.contracts.application_fields import (
    Address,
    Count,
    Country,
    Day,
    Flag,
    Key,
    Label,
    Name,
    NonNegativeMoney,
    Percent,
    PositiveMoney,
    RequestedTerm,
    SerialNumber,
    ShortText,
)
from lendrail.contracts.application_parts import Registration
from lendrail.contracts.application_words import (
    CollateralKind,
    EquipmentCondition,
    Frequency,
    Product,
    Purpose,
    SellerKind,
    TradeDocumentKind,
)
from lendrail.contracts.sensitive import Email, Phone
from lendrail.contracts.terms import Model


class Collateral(Model):
    """Something given as security."""

    kind: CollateralKind
    description: ShortText | None = None
    value: NonNegativeMoney | None = None
    existing_debt: NonNegativeMoney | None = None
    address: Address | None = None
    serial_number: SerialNumber | None = None


class RequestedFinance(Model):
    """What the business wants. Where the partner has no such product or purpose, its mapping says so."""

    product: Product | None = None
    amount: PositiveMoney
    term: RequestedTerm | None = None
    purpose: Purpose | None = None
    purpose_description: ShortText | None = None
    repayment_frequency: Frequency | None = None
    security: Annotated[tuple[Collateral, ...], Field(max_length=20)] = ()
    deposit: NonNegativeMoney | None = None
    balloon: NonNegativeMoney | None = None
    balloon_percent: Percent | None = None
    needed_by: Day | None = None
    prefers_speed_over_rate: Flag | None = None
    wants_redraw: Flag | None = None


class Party(Model):
    """The issuer or debtor of a trade document."""

    name: Name
    country: Country | None = None
    registrations: Annotated[tuple[Registration, ...], Field(max_length=10)] = ()
    address: Address | None = None
    email: Email | None = None
    phone: Phone | None = None


class Invoice(Model):
    """An invoice to be financed or checked for double financing."""

    number: SerialNumber
    issuer: Party
    debtor: Party
    issued_on: Day
    due_on: Day | None = None
    amount: PositiveMoney
    outstanding: NonNegativeMoney | None = None
    requested: PositiveMoney | None = None
    """The part to be financed."""
    purchase_order: SerialNumber | None = None
    description: ShortText | None = None
    upload_id: Key | None = None


class TradeDocument(Model):
    """Another paper of the same trade, such as a bill of lading. `relates_to` is the number of its invoice."""

    kind: TradeDocumentKind
    number: SerialNumber
    issuer: Party | None = None
    debtor: Party | None = None
    issued_on: Day | None = None
    due_on: Day | None = None
    amount: PositiveMoney | None = None
    relates_to: SerialNumber | None = None
    description: ShortText | None = None
    upload_id: Key | None = None


class Equipment(Model):
    """One line of a bill of materials; `price` is for one piece without tax."""

    description: ShortText
    category: Label | None = None
    make: Label | None = None
    model: Label | None = None
    year: Annotated[int, Field(strict=True, ge=1900, le=2100)] | None = None
    condition: EquipmentCondition | None = None
    quantity: Annotated[Count, Field(ge=1)] = 1
    price: NonNegativeMoney | None = None
    tax: NonNegativeMoney | None = None
    serial_number: SerialNumber | None = None
    supplier: Party | None = None
    seller_kind: SellerKind | None = None
    hours_used: Count | None = None
    quote_number: SerialNumber | None = None
    location: Address | None = None
