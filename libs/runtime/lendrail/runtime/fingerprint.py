"""Fingerprints of a wish: who asks for how much of what, unreadable without our key. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import RegistrationScheme

PURPOSE = b"lendrail duplicate fingerprints"
NOT_OF_A_BUSINESS = frozenset({RegistrationScheme.BIC})
"""A BIC names the bank, which many share."""


def derive(master: bytes, purpose: bytes = PURPOSE) -> bytes:
    """The key of fingerprints, from the master key. Who keeps them for another purpose has another key, so that what
    two services keep cannot be laid side by side.
    """
    return hmac.digest(master, purpose, "sha256")


def fingerprints(key: bytes, tenant_id: str, application: Application) -> tuple[str, ...]:
    """One for each number that names the business or an owner; two applications with a common one ask for the same."""
    wish = application.requested_finance
    amount = format(wish.amount.amount.normalize(), "f")
    what = f"{amount}|{wish.amount.currency}|{wish.product or ''}"
    texts = {f"{tenant_id}|{who}|{what}" for who in _who(application)}
    return tuple(sorted(hmac.digest(key, text.encode(), "sha256").hex() for text in texts))


def _who(application: Application) -> Iterator[str]:
    for each in application.business.registrations:
        if each.scheme not in NOT_OF_A_BUSINESS:
            yield f"{each.scheme}|{each.country}|{_bare(each.number.reveal())}"
    for owner in application.owners:
        if owner.ssn is not None:
            yield f"ssn|US|{_bare(owner.ssn.reveal())}"
        elif owner.tax_number is not None:
            yield f"person|{owner.tax_country or ''}|{_bare(owner.tax_number.reveal())}"


def _bare(number: str) -> str:
    """Without what people put between the characters."""
    return re.sub(r"[^0-9A-Z]", "", number.upper())
