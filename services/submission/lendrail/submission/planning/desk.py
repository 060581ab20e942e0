"""What is configured for an opportunity, and why it may keep anything from being sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from lendrail.contracts.submit import Send
from lendrail.contracts.terms import Mode
from lendrail.partners.partner import Fetched, Partner
from lendrail.runtime.directory import Credential, PartnerAccount
from lendrail.submission.attempts.attempt import Opportunity


@dataclass(frozen=True, slots=True)
class Beside:
    """What is configured for the mail that goes beside an API; None for what is not."""

    partner: Partner | None
    account: PartnerAccount | None
    credential: Credential | None


@dataclass(frozen=True, slots=True)
class Desk:
    """What is configured for the opportunity; None for what is not."""

    partner: Partner | None
    account: PartnerAccount | None
    credential: Credential | None
    supplement: Beside | None = None
    """Where the account wants a mail beside the API."""
    lists: Fetched = field(default_factory=dict)
    """The partner's own lists, as far as they were fetched."""
    lenders: tuple[Opportunity, ...] = ()
    """Of a registration: the lenders' opportunities that it clears."""


def why_not(opportunity: Opportunity, intent: Send, desk: Desk) -> str | None:
    """Why the application may not be sent at all, as a stable code; None when it may."""
    if intent.unmade:
        return "document-not-made"
    if (closed := why_closed(opportunity, desk)) is not None:
        return closed
    assert desk.partner is not None
    if intent.application.mode != opportunity.mode:
        return "mode-crossing"
    if desk.partner.kind == "lender" and not intent.application.consents_to(opportunity.partner):
        return "no-consent"  # what is checked at a registry goes to a lender that has consent
    return None


def why_closed(opportunity: Opportunity, desk: Desk) -> str | None:
    """Why nothing at all may be sent there, as a stable code; None when it may."""
    account, credential = desk.account, desk.credential
    if desk.partner is None or account is None or credential is None:
        return "not-configured"
    if (account.partner, credential.partner) != (opportunity.partner, opportunity.partner):
        return "not-configured"
    if credential.tenant != opportunity.tenant:
        return "foreign-credential"
    if not account.enabled:
        return "partner-disabled"
    if {account.mode, credential.mode} != {opportunity.mode}:
        return "mode-crossing"
    return "plain-http" if _plain(credential) else None


def why_no_mail(opportunity: Opportunity, beside: Beside) -> str | None:
    """As `why_not`; whose consent is needed is the partner whom it tells of its own application."""
    partner, account, credential = beside.partner, beside.account, beside.credential
    if partner is None or account is None or credential is None or credential.partner != partner.name:
        return "not-configured"
    if credential.tenant != opportunity.tenant:
        return "foreign-credential"
    if not account.enabled:
        return "partner-disabled"
    return "mode-crossing" if {account.mode, credential.mode} != {opportunity.mode} else None


def crossing(credential: Credential, mode: Mode) -> bool:
    """Whether what was planned for `mode` must not go through this credential."""
    return credential.mode != mode or _plain(credential)


def _plain(credential: Credential) -> bool:
    """Live data over plain http."""
    token_url = credential.auth.get("tokenUrl", SecretStr("https://"))
    addresses = (credential.base_url, token_url.get_secret_value())
    return credential.mode == "live" and any(urlsplit(each).scheme == "http" for each in addresses)
