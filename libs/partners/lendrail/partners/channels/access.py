"""From the `auth` of a mounted credential to what the channel asks for headers."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from lendrail.partners.channels.auth import Auth, TokenStore
from lendrail.partners.partner import Partner


class BadCredential(ValueError):
    """The credentials file does not fit the partner; the text names the credential's fault and no value."""


def auth_of(partner: Partner, settings: Mapping[str, SecretStr], tokens: TokenStore) -> Auth:
    """`settings` has a `scheme` of this partner and that scheme's values. Raises `BadCredential`."""
    scheme = partner.auth.get(settings["scheme"].get_secret_value()) if "scheme" in settings else None
    if scheme is None:
        raise BadCredential(f"{partner.name}: the scheme must be one of {', '.join(sorted(partner.auth))}")
    try:
        return scheme(settings, tokens)
    except KeyError as missing:
        raise BadCredential(f"{partner.name}: auth lacks {missing.args[0]}") from None
