"""The one verifier: every change of a right call is refused, and nothing raises."""

import base64
import hmac
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.partners.signing import (
    BODY,
    DATED,
    FINE,
    LONG,
    NOW,
    PLAIN,
    PROOFS,
    SECRET,
    SECRET_16,
    SECRET_64,
    STAMP,
    TOKEN,
    call,
    changed,
    signature_of,
    written,
)

from lendrail.partners.signatures import STANDARD_WEBHOOKS, Headers, Proof, Signature, StaticHeader, verify


@pytest.mark.parametrize(
    "stamp",
    [
        b"", b" ", b"-1", b"+" + STAMP, STAMP[:1] + b"_" + STAMP[1:], STAMP + b".0", STAMP + b" ", b"\n" + STAMP,
        b"0" + STAMP,
        b"1e9", b"0x65", "".join(chr(0x660 + int(digit)) for digit in STAMP.decode()).encode(), b"9" * 5000, b"nan",
        b"\xff\xfe", b"Infinity",
    ],
)  # fmt: skip
def test_a_time_that_is_not_plain_digits_proves_nothing(stamp: bytes) -> None:
    for proof, secret in PROOFS[2:6]:
        assert not verify(proof, [secret], call(proof, secret, stamp=stamp), BODY, NOW)


def test_a_time_cannot_be_taken_from_the_end_of_the_body() -> None:
    """`{"a":10` and its time sign the same bytes as `{"a":1` and a time with a zero before it."""
    body, stamp = BODY + b"0", STAMP + b"000"
    headers = call(FINE, SECRET_16, body=body, stamp=stamp)
    assert verify(FINE, [SECRET_16], headers, body, NOW)
    assert not verify(FINE, [SECRET_16], changed(headers, "X-Time", b"0" + stamp), BODY, NOW)


@pytest.mark.parametrize("name", ["X-Signature", "X-Time"])
def test_a_header_that_is_missing_or_there_twice_proves_nothing(name: str) -> None:
    headers = call(DATED, SECRET)
    kept = [each for each in headers if each[0] != name.encode()]
    twice = [*headers, *(each for each in headers if each[0] == name.encode())]
    assert not verify(DATED, [SECRET], kept, BODY, NOW)
    assert not verify(DATED, [SECRET], twice, BODY, NOW)


@pytest.mark.parametrize(
    ("proof", "spoil"),
    [
        (LONG, lambda code: code.rstrip(b"=")),
        (LONG, lambda code: code + b"="),
        (LONG, lambda code: code[:10] + b"\n" + code[10:]),
        (LONG, lambda code: code.replace(b"sha512=", b"SHA512=")),
        (LONG, lambda code: code[:-3] + bytes([code[-3] ^ 1]) + code[-2:]),
        (LONG, lambda code: code.replace(b"sha512=", b"")),
        (PLAIN, lambda code: code[:-1]),
        (PLAIN, lambda code: code + b"0"),
        (PLAIN, lambda code: code + b"00"),
        (PLAIN, lambda code: b"0x" + code),
        (PLAIN, lambda code: code[:2] + b" " + code[2:]),
        (PLAIN, lambda code: b""),
        (PLAIN, lambda code: b"\xc3\xa9" * 32),
        (DATED, lambda code: code + b","),
        (DATED, lambda code: b"," + code),
        (DATED, lambda code: code + b",v0=zz"),
        (DATED, lambda code: b",".join([b"v0=" + b"0" * 64] * 16 + [code])),
        (TOKEN, lambda value: value.replace(b"Bearer ", b"bearer ")),
        (TOKEN, lambda value: value + b" "),
        (TOKEN, lambda value: b"Bearer "),
    ],
)
def test_another_way_of_writing_it_proves_nothing(proof: Proof, spoil: object) -> None:
    assert callable(spoil)
    headers = call(proof, SECRET)
    spoilt = changed(headers, proof.header, spoil(signature_of(proof, headers)))
    assert spoilt != headers
    assert not verify(proof, [SECRET], spoilt, BODY, NOW)


def test_what_was_signed_cannot_be_cut_another_way() -> None:
    """`msg.5` at its time and `msg` at another one sign the same bytes; so an id holds no divider."""
    proof = replace(STANDARD_WEBHOOKS, key_encoding="text")
    assert not verify(proof, [SECRET], call(proof, SECRET, id_=b"msg.5"), BODY, NOW)
    body = b"{timestamp} {id} {body}"
    assert verify(proof, [SECRET], call(replace(proof), SECRET, body=b"x", id_=b"a"), b"x", NOW)
    signed = b"a." + STAMP + b"." + body
    headers = [
        (b"webhook-id", b"a"),
        (b"webhook-timestamp", STAMP),
        (b"webhook-signature", written(proof, signed, SECRET)),
    ]
    assert verify(proof, [SECRET], headers, body, NOW), "a body is never a template"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "whsec_YQ", "whsec_YR=="])
def test_a_secret_that_cannot_be_read_proves_nothing(secret: str) -> None:
    empty = SecretStr(base64.b64encode(b"").decode())
    assert not verify(STANDARD_WEBHOOKS, [SecretStr(secret), empty], call(STANDARD_WEBHOOKS, SECRET_64), BODY, NOW)
    nothing = hmac.new(b"", BODY, "sha256").hexdigest().encode()
    assert not verify(PLAIN, [SecretStr("")], [(b"x-signature", nothing)], BODY, NOW)
    assert not verify(TOKEN, [SecretStr("")], [(b"authorization", b"Bearer ")], BODY, NOW)


def _still_holds(proof: Proof, before: bytes, after: bytes) -> bool:
    """Whether the right signature still stands, whole, in a changed header; by plain comparison."""
    separator = proof.separator if isinstance(proof, Signature) else None
    pieces = after.split(separator.encode()) if separator else [after]
    return before in pieces or (isinstance(proof, Signature) and proof.encoding == "hex" and before.upper() in pieces)


MUTATIONS = st.sampled_from(["flip", "insert", "delete", "swap", "double", "replace"])


def mutated(draw: st.DataObject, value: bytes) -> bytes:
    """A value that is not `value`."""
    kind, place = draw.draw(MUTATIONS), draw.draw(st.integers(0, max(len(value) - 1, 0)))
    byte = draw.draw(st.integers(0, 255))
    changes = {
        "flip": value[:place] + bytes([value[place] ^ (1 << byte % 8)]) + value[place + 1 :] if value else b"x",
        "insert": value[:place] + bytes([byte]) + value[place:],
        "delete": value[:place] + value[place + 1 :],
        "swap": value[place:] + value[:place],
        "double": value + value,
        "replace": draw.draw(st.binary(max_size=200)),
    }
    return changes[kind] if changes[kind] != value else value + b"\x00"


@given(st.sampled_from(PROOFS), st.data())
@settings(max_examples=1500, deadline=None)
def test_every_mutant_is_refused_and_none_raises(case: tuple[Proof, SecretStr], data: st.DataObject) -> None:
    proof, secret = case
    headers = call(proof, secret)
    names = [proof.header] if isinstance(proof, StaticHeader) else [
        name for name in (proof.header, proof.timestamp_header, proof.id_header) if name
    ]  # fmt: skip
    name = data.draw(st.sampled_from([*names, *([] if isinstance(proof, StaticHeader) else ["body"])]))
    if name == "body":
        assert not verify(proof, [secret], headers, mutated(data, BODY), NOW)
        return
    before = dict(headers)[name.encode()]
    after = mutated(data, before)
    believed = verify(proof, [secret], changed(headers, name, after), BODY, NOW)
    assert not believed or (name == proof.header and _still_holds(proof, before, after))


@given(
    st.sampled_from(PROOFS),
    st.lists(st.tuples(st.sampled_from([b"x-signature", b"x-time", b"webhook-id", b"authorization"]), st.binary())),
    st.text(),
    st.binary(),
)
@example((PLAIN, SECRET), [(b"x-signature", b"")], "\ud800", b"")
@settings(max_examples=300)
def test_noise_is_refused_and_never_raises(
    case: tuple[Proof, SecretStr], headers: Headers, secret: str, body: bytes
) -> None:
    assert not verify(case[0], [SecretStr(secret)], headers, body, NOW)
