"""Signatures by Standard Webhooks 1.0: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """The text that a receiver is shown once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(secret: str, notice_id: str, unix_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers by which a receiver knows that the notice is ours, unaltered and recent."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    signed = b".".join((notice_id.encode(), str(unix_seconds).encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": str(unix_seconds),
        "webhook-signature": f"v1,{signature}",
    }
