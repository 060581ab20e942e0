"""From the `auth` of a mounted credential to what the channel asks for headers."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from lendrail.partners.channels.auth import ApiKey, Auth, OAuthPassword, TokenStore
from lendrail.partners.partner import Partner


class BadCredential(ValueError):
    """The credentials file does not fit the partner; the text names the credential's fault and no value."""


def auth_of(partner: Partner, settings: Mapping[str, SecretStr], tokens: TokenStore) -> Auth:
    """`settings` has a `scheme` of this partner and that scheme's values. Raises `BadCredential`."""
    values = {name: value.get_secret_value() for name, value in settings.items()}
    scheme = values.get("scheme", "")
    if scheme not in partner.auth:
        raise BadCredential(f"{partner.name} knows no such scheme")
    try:
        if scheme == "api-key" and partner.key_header is not None:
            return ApiKey(partner.key_header, settings["key"])
        if scheme == "oauth-password":
            return OAuthPassword(values["tokenUrl"], values["username"], settings["password"], tokens)
    except KeyError as missing:
        raise BadCredential(f"{partner.name}: auth lacks {missing.args[0]}") from None
    raise BadCredential(f"{partner.name} has no channel for this scheme")
