"""A partner's offer as tenants read it: the same in the API, in notices and on a tenant's topic. Pure.

Whoever has an offer's link can act on the offer, so nobody is told the link beside all else. They are told that there
is one, and where it is handed over: to those who may accept offers, and recorded.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from urllib.parse import quote

from pydantic import Field

from lendrail.contracts.terms import DecimalString, Fee, Model, Money, Offer, OfferForms, Term, Time


class OfferTerms(Model):
    """What a partner offers. Its action link opens a person's deal, and stays out."""

    id: str
    variant: str | None = None
    amount: Money | None = None
    term: Term | None = None
    factor_rate: DecimalString | None = None
    cost_per_thousand: Money | None = None
    net_funded: Money | None = None
    fees: tuple[Fee, ...] = ()
    details: dict[str, str] = Field(default_factory=dict)
    """Further terms under the partner's own names, in its own words."""
    conditions: tuple[str, ...] = ()
    expires_at: Time | None = None
    link_path: str | None = None
    """Where the partner has a link for it: the path of the API that hands the link to those who may accept offers."""


class OfferHistory(Model):
    """One offer as it was first told and as it was told last, also where it holds no more."""

    original: OfferTerms
    original_at: Time
    latest: OfferTerms
    latest_at: Time
    """Since when it has these terms."""


def offered(offers: Iterable[Offer], opportunity: uuid.UUID | str | None) -> tuple[OfferTerms, ...]:
    """The offers of one opportunity, without their links."""
    return tuple(_terms(offer, opportunity) for offer in offers)


def history(forms: Iterable[OfferForms], opportunity: uuid.UUID | str | None) -> tuple[OfferHistory, ...]:
    return tuple(
        OfferHistory(
            original=_terms(each.original, opportunity),
            original_at=each.original_at,
            latest=_terms(each.latest, opportunity),
            latest_at=each.latest_at,
        )
        for each in forms
    )


def _terms(offer: Offer, opportunity: uuid.UUID | str | None) -> OfferTerms:
    same = {name: getattr(offer, name) for name in OfferTerms.model_fields if name != "link_path"}
    linked = offer.action_link is not None and opportunity is not None
    return OfferTerms(link_path=_link_path(offer, str(opportunity)) if linked else None, **same)


def _link_path(offer: Offer, opportunity: str) -> str:
    path = f"/v1/opportunities/{opportunity}/offers/{quote(offer.id, safe='')}/link"
    return path if offer.variant is None else f"{path}?variant={quote(offer.variant, safe='')}"
