"""Bearer tokens that need no storage, so they stay good over a restart: user, expiry and a MAC under the password."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from lendrail.sandbox.settings import User


def issue(user: User, expires_at: float) -> str:
    """A token that ends at `expires_at` (seconds since 1970)."""
    claims = f"{int(expires_at)}:{secrets.token_hex(8)}:{user.user}".encode()
    return _text(claims) + "." + _text(_mac(user, claims))


def bearer(token: str, users: Mapping[str, User], now: float) -> User | None:
    """Whose valid token this is; None for foreign, altered and expired ones."""
    try:
        claims, mac = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
        expires_at, _, name = claims.decode().split(":", 2)
        user = users[name]
        if hmac.compare_digest(_mac(user, claims), mac) and now < int(expires_at):
            return user
    except (ValueError, KeyError, binascii.Error):
        pass
    return None


def _mac(user: User, claims: bytes) -> bytes:
    if user.oauth is None:
        raise KeyError("this user has no password")
    return hmac.digest(user.oauth.password.get_secret_value().encode(), claims, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
