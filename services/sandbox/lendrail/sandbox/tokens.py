"""Bearer tokens that need no storage, so they stay good over a restart: user, expiry and a MAC under the secret."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from pydantic import SecretStr


def issue(user: str, secret: SecretStr, expires_at: float) -> str:
    """A token that ends at `expires_at` (seconds since 1970)."""
    claims = f"{int(expires_at)}:{secrets.token_hex(8)}:{user}".encode()
    return _text(claims) + "." + _text(_mac(secret, claims))


def bearer(token: str, users: Mapping[str, SecretStr], now: float) -> str | None:
    """The name of the user whose valid token this is; None for foreign, altered and expired ones."""
    try:
        claims, mac = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
        expires_at, _, name = claims.decode().split(":", 2)
        if hmac.compare_digest(_mac(users[name], claims), mac) and now < int(expires_at):
            return name
    except (ValueError, KeyError, binascii.Error):
        pass
    return None


def _mac(secret: SecretStr, claims: bytes) -> bytes:
    return hmac.digest(secret.get_secret_value().encode(), claims, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
