"""Right calls of right senders: every way of signing that a partner may declare, with a secret and a time."""

import base64
import datetime as dt
import hashlib
import hmac
import json

from pydantic import SecretStr

from lendrail.partners.signatures import STANDARD_WEBHOOKS, Headers, Proof, Signature, StaticHeader

NOW = dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC)
STAMP = str(int(NOW.timestamp())).encode()
BODY = json.dumps({"eventId": "evt-fake-1", "amount": "20000.00"}).encode()
SECRET = SecretStr("not-a-real-secret")
SECRET_16 = SecretStr(b"not-a-real-secret".hex())
SECRET_64 = SecretStr("whsec_" + base64.b64encode(b"not-a-real-secret-of-24-").decode())
PLAIN = Signature(header="X-Signature")
LONG = Signature(header="X-Signature", digest="sha512", encoding="base64", prefix="sha512=")
DATED = Signature(
    header="X-Signature", signed="v0:{timestamp}:{body}", prefix="v0=", separator=",", timestamp_header="X-Time"
)
TOGETHER = Signature(
    header="X-Signature", signed="{timestamp}.{body}", prefix="v1=", separator=",", timestamp_prefix="t="
)
FINE = Signature(
    header="X-Signature",
    digest="sha384",
    signed="{body}{timestamp}",
    timestamp_header="X-Time",
    timestamp_unit="ms",
    key_encoding="hex",
)
TOKEN = StaticHeader("Authorization", "Bearer ")
PROOFS: list[tuple[Proof, SecretStr]] = [
    (PLAIN, SECRET),
    (LONG, SECRET),
    (DATED, SECRET),
    (TOGETHER, SECRET),
    (FINE, SECRET_16),
    (STANDARD_WEBHOOKS, SECRET_64),
    (TOKEN, SECRET),
]


def written(proof: Signature, signed: bytes, secret: SecretStr) -> bytes:
    """A signature as a sender writes it, made with nothing of ours."""
    text = secret.get_secret_value()
    key = {
        "text": lambda: text.encode(),
        "hex": lambda: bytes.fromhex(text),
        "base64": lambda: base64.b64decode(text.removeprefix("whsec_")),
    }[proof.key_encoding]()
    digest = hmac.new(key, signed, getattr(hashlib, proof.digest)).digest()
    code = digest.hex().encode() if proof.encoding == "hex" else base64.b64encode(digest)
    return proof.prefix.encode() + code


def call(
    proof: Proof, secret: SecretStr, body: bytes = BODY, stamp: bytes | None = None, id_: bytes = b"msg_1"
) -> Headers:
    """The headers of a right call."""
    if isinstance(proof, StaticHeader):
        return [(proof.header.encode(), f"{proof.prefix}{secret.get_secret_value()}".encode())]
    if stamp is None:
        stamp = STAMP + b"000" if proof.timestamp_unit == "ms" else STAMP
    signed = proof.signed.encode().replace(b"{timestamp}", stamp).replace(b"{id}", id_).replace(b"{body}", body)
    value = written(proof, signed, secret)
    if proof.timestamp_prefix:
        value = proof.timestamp_prefix.encode() + stamp + (proof.separator or "").encode() + value
    headers = [(b"content-type", b"application/json"), (proof.header.encode(), value)]
    if proof.timestamp_header:
        headers.append((proof.timestamp_header.encode(), stamp))
    if proof.id_header:
        headers.append((proof.id_header.encode(), id_))
    return headers


def changed(headers: Headers, name: str, value: bytes) -> Headers:
    return [(each, value if each == name.encode() else old) for each, old in headers]


def signature_of(proof: Proof, headers: Headers) -> bytes:
    return dict(headers)[proof.header.encode()]
