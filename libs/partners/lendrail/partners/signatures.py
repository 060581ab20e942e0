"""How a partner's webhook proves who sent it: declared in its profile, verified here by one function for all partners.

Header values are bytes that anybody may have written: they are read by strict grammars, never decoded or parsed
leniently, and compared in constant time. What is odd in any way is no proof; nothing here raises.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

Headers = Sequence[tuple[bytes, bytes]]
"""Names and values as they came; a header that comes twice is no proof."""
LONGEST_HEADER = 4096
MOST_SIGNATURES = 16
_PLACE = re.compile(r"\{(timestamp|id|body)\}")
_VISIBLE = re.compile(rb"[ -~]+")
_TIMESTAMP = re.compile(rb"[1-9][0-9]{0,14}")
"""Without zeros before it: one that belongs to the time could else be taken from the end of what stands before it."""
_ID = re.compile(rb"[!-~]{1,256}")
_HEX = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_WRITTEN = re.compile(r"[A-Za-z0-9+/=]")
_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_A_SECOND = {"s": 1, "ms": 1000}


def _around_id(parts: Sequence[str]) -> list[str]:
    """What divides the id from its neighbours: were it part of the id, the same bytes could be cut another way."""
    names = parts[1::2]
    if "id" not in names:
        return []
    place = 2 * names.index("id") + 1
    return [parts[at] for at in (place - 1, place + 1) if 0 < at < len(parts) - 1]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """An HMAC over the raw body, perhaps with a time and an id beside it (`signed`, with `{timestamp}`, `{id}` and
    `{body}`). `prefix` stands before each signature in the header, `separator` between several of a rotation; those
    with another prefix are other schemes, which are passed over. Raises ValueError for a declaration that proves less
    than it seems to.
    """

    header: str
    digest: Literal["sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: str = "{body}"
    prefix: str = ""
    separator: str | None = None
    timestamp_header: str | None = None
    """Where the time is, where `signed` names it."""
    timestamp_prefix: str | None = None
    """In place of a header of its own: what the time begins with as one more piece of `header`, as in `t=1,v1=f0`."""
    timestamp_unit: Literal["s", "ms"] = "s"
    """Since 1970."""
    id_header: str | None = None
    tolerance: float = 300.0
    """Seconds that the sender's clock may be away from ours, both ways."""
    key_encoding: Literal["text", "hex", "base64"] = "text"
    """Of the shared secret. A Base64 one may begin with `whsec_`, as Standard Webhooks writes it."""

    @property
    def dated(self) -> bool:
        return self.timestamp_header is not None or self.timestamp_prefix is not None

    def __post_init__(self) -> None:
        places = _PLACE.findall(self.signed)
        if places.count("body") != 1 or len(set(places)) != len(places):
            raise ValueError("the body must be signed, and nothing twice")
        for place, sent in (("timestamp", self.dated), ("id", self.id_header is not None)):
            if (place in places) is not sent:
                raise ValueError(f"the {place} must be both sent and signed, or neither")
        if any(not divider for divider in _around_id(_PLACE.split(self.signed))):
            raise ValueError("the id must be divided from its neighbours")
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ValueError("the tolerance must be a number of seconds")
        self._check_header()

    def _check_header(self) -> None:
        names = [name.lower() for name in (self.header, self.timestamp_header, self.id_header) if name is not None]
        if len(set(names)) != len(names) or "" in names:
            raise ValueError("each header must be named, and be another one")
        if self.separator is not None:
            taken = _WRITTEN.search(self.separator) or self.separator in self.prefix + (self.timestamp_prefix or "")
            if taken:
                raise ValueError("the separator must be something that no signature and no prefix has")
        if self.timestamp_prefix is not None:
            prefixes = sorted((self.prefix, self.timestamp_prefix))
            if self.separator is None or self.timestamp_header is not None or prefixes[1].startswith(prefixes[0]):
                raise ValueError("the time within the header must be a piece that is no signature, and the only time")


@dataclass(frozen=True)
class StaticHeader:
    """A header with the secret itself."""

    header: str
    prefix: str = ""


Proof = Signature | StaticHeader

STANDARD_WEBHOOKS = Signature(
    header="webhook-signature",
    encoding="base64",
    signed="{id}.{timestamp}.{body}",
    prefix="v1,",
    separator=" ",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    key_encoding="base64",
)
"""The symmetric scheme of standardwebhooks.com."""


def verify(proof: Proof, secrets: Sequence[SecretStr], headers: Headers, body: bytes, now: dt.datetime) -> bool:
    """Whether the call was made by somebody who knows one of `secrets`; several are valid while they rotate."""
    if isinstance(proof, StaticHeader):
        value = _value(headers, proof.header)
        expected = [proof.prefix.encode() + text for secret in secrets if (text := _text_key(secret))]
        return value is not None and _any_equal(expected, [value])
    pieces = _pieces(proof, headers)
    signed = _signed(proof, pieces, headers, body, now)
    given_signatures = _signatures(proof, pieces)
    if signed is None or not given_signatures:
        return False
    keys = [key for secret in secrets if (key := _key(proof, secret))]
    return _any_equal([hmac.digest(key, signed, proof.digest) for key in keys], given_signatures)


def _any_equal(expected: Sequence[bytes], given: Sequence[bytes]) -> bool:
    """Every pair is compared, so that the time tells nothing of which one was right."""
    found = False
    for one in expected:
        for other in given:
            found |= hmac.compare_digest(one, other)
    return found


def _value(headers: Headers, name: str) -> bytes | None:
    wanted = name.lower().encode()
    found = [value for each, value in headers if each.lower() == wanted]
    return found[0] if len(found) == 1 and len(found[0]) <= LONGEST_HEADER else None


def _pieces(proof: Signature, headers: Headers) -> list[bytes]:
    """What the header holds; nothing where any of it is odd."""
    header = _value(headers, proof.header)
    if header is None or not _VISIBLE.fullmatch(header):
        return []
    pieces = [header] if proof.separator is None else header.split(proof.separator.encode())
    return pieces if len(pieces) <= MOST_SIGNATURES and all(pieces) else []


def _after(prefix: str, pieces: Sequence[bytes]) -> list[bytes]:
    start = prefix.encode()
    return [piece[len(start) :] for piece in pieces if piece.startswith(start)]


def _signed(proof: Signature, pieces: Sequence[bytes], headers: Headers, body: bytes, now: dt.datetime) -> bytes | None:
    """The bytes that were signed; None when the time is missing or not now, or the id is missing."""
    values = {"body": body}
    if proof.dated:
        timestamp = _timestamp(proof, pieces, headers)
        if timestamp is None or not _TIMESTAMP.fullmatch(timestamp):
            return None
        if abs(now.timestamp() - int(timestamp) / _A_SECOND[proof.timestamp_unit]) > proof.tolerance:
            return None
        values["timestamp"] = timestamp
    parts = _PLACE.split(proof.signed)
    if proof.id_header is not None:
        call = _value(headers, proof.id_header)
        if call is None or not _ID.fullmatch(call) or any(each.encode() in call for each in _around_id(parts)):
            return None
        values["id"] = call
    return b"".join(values[part] if place % 2 else part.encode() for place, part in enumerate(parts))


def _timestamp(proof: Signature, pieces: Sequence[bytes], headers: Headers) -> bytes | None:
    if proof.timestamp_header is not None:
        return _value(headers, proof.timestamp_header)
    found = _after(proof.timestamp_prefix or "", pieces)
    return found[0] if len(found) == 1 else None


def _signatures(proof: Signature, pieces: Sequence[bytes]) -> list[bytes]:
    """The signatures of our scheme; none when any of them is not what it should be."""
    decoded = [_decoded(proof, piece) for piece in _after(proof.prefix, pieces)]
    return [each for each in decoded if each is not None] if None not in decoded else []


def _decoded(proof: Signature, written: bytes) -> bytes | None:
    """Strict: one way of writing a signature for each encoding, and of its length only."""
    value = (_hex(written) if proof.encoding == "hex" else _base64(written)) or b""
    return value if len(value) == _SIZES[proof.digest] else None


def _hex(written: bytes) -> bytes | None:
    return bytes.fromhex(written.decode()) if _HEX.fullmatch(written) and len(written) % 2 == 0 else None


def _base64(written: bytes) -> bytes | None:
    if not _BASE64.fullmatch(written) or len(written) % 4:
        return None
    value = base64.b64decode(written, validate=True)
    return value if base64.b64encode(value) == written else None


def _key(proof: Signature, secret: SecretStr) -> bytes | None:
    """None for a secret that is empty or not written as it should be: it proves nothing."""
    written = _text_key(secret)
    if proof.key_encoding == "text":
        return written
    return _hex(written) if proof.key_encoding == "hex" else _base64(written.removeprefix(b"whsec_"))


def _text_key(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode("utf-8", "surrogatepass")
