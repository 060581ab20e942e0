"""How a partner's webhook proves who sent it: declared in its profile, verified by one function for all partners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Signature:
    """An HMAC over the raw body, perhaps with a time and an id before it (`signed`, with `{timestamp}`, `{id}` and
    `{body}`). `prefix` stands before each signature in the header, `separator` between several of a rotation.
    """

    header: str
    digest: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: str = "{body}"
    prefix: str = ""
    separator: str | None = None
    timestamp_header: str | None = None
    """Seconds since 1970; needed where `signed` names it."""
    id_header: str | None = None
    tolerance: float = 300.0
    """Seconds that the sender's clock may be away from ours, both ways."""
    key_encoding: Literal["text", "base64"] = "text"
    """Of the shared secret."""


@dataclass(frozen=True)
class StaticHeader:
    """A header with the secret itself."""

    header: str
    prefix: str = ""


Proof = Signature | StaticHeader
