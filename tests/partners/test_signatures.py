"""The one verifier: what the right sender made is taken, every change of it is refused, and nothing raises."""

import base64
import datetime as dt
import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook

from lendrail.partners.signatures import STANDARD_WEBHOOKS, Headers, Proof, Signature, StaticHeader, verify

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


@pytest.mark.parametrize(("proof", "secret"), PROOFS)
def test_the_right_sender_is_believed(proof: Proof, secret: SecretStr) -> None:
    headers = call(proof, secret)
    assert verify(proof, [secret], headers, BODY, NOW)
    assert verify(proof, [secret], [(name.upper(), value) for name, value in headers], BODY, NOW)
    assert not verify(proof, [], headers, BODY, NOW)
    assert not verify(proof, [SecretStr("another-fake-secret")], headers, BODY, NOW)


def test_the_official_signer_of_standard_webhooks_is_believed() -> None:
    """Its own clock is the real one, as is ours here."""
    now = dt.datetime.now(dt.UTC)
    signature = Webhook(SECRET_64.get_secret_value()).sign("msg_2", now, BODY.decode())
    headers = [
        (b"webhook-id", b"msg_2"),
        (b"webhook-timestamp", str(int(now.timestamp())).encode()),
        (b"webhook-signature", signature.encode()),
    ]
    assert verify(STANDARD_WEBHOOKS, [SECRET_64], headers, BODY, now)
    bare = SecretStr(SECRET_64.get_secret_value().removeprefix("whsec_"))
    assert verify(STANDARD_WEBHOOKS, [bare], headers, BODY, now)
    others = b"v1a,AAAA " + signature.encode() + b" v2,nothing-we-know"
    assert verify(STANDARD_WEBHOOKS, [SECRET_64], changed(headers, "webhook-signature", others), BODY, now)


def test_secrets_overlap_while_they_rotate() -> None:
    old, new = SecretStr("old-fake-secret"), SecretStr("new-fake-secret")
    for sender in (old, new):
        assert verify(PLAIN, [new, old], call(PLAIN, sender), BODY, NOW)
        assert verify(TOKEN, [new, old], call(TOKEN, sender), BODY, NOW)
    assert not verify(PLAIN, [new], call(PLAIN, old), BODY, NOW)


def test_one_header_may_hold_the_signatures_of_both_secrets() -> None:
    old, new = SecretStr("old-fake-secret"), SecretStr("new-fake-secret")
    pieces = [signature_of(DATED, call(DATED, each)) for each in (old, new)]
    both = changed(call(DATED, old), "X-Signature", b",".join(pieces))
    for known in (old, new):
        assert verify(DATED, [known], both, BODY, NOW)
    assert not verify(DATED, [SECRET], both, BODY, NOW)
    joined = changed(call(PLAIN, SECRET), "X-Signature", signature_of(PLAIN, call(PLAIN, SECRET)) + b",")
    assert not verify(PLAIN, [SECRET], joined, BODY, NOW), "without a separator the header holds one signature"


@pytest.mark.parametrize(("seconds", "right"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_the_clock_may_be_wrong_by_the_tolerance_both_ways(seconds: int, right: bool) -> None:
    for proof, secret in PROOFS[2:6]:
        assert verify(proof, [secret], call(proof, secret), BODY, NOW + dt.timedelta(seconds=seconds)) is right


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


def test_the_time_may_stand_beside_the_signatures_once() -> None:
    headers = call(TOGETHER, SECRET)
    time, signature = signature_of(TOGETHER, headers).split(b",")
    right = [
        signature + b"," + time,
        time + b",v0=anything," + signature,
        b",".join([time, b"v1=" + b"0" * 64, signature]),
    ]
    wrong = [signature, time, b",".join([time, time, signature]), time + b", " + signature, time + b",," + signature]
    wrong += [b"t=," + signature, time.upper() + b"," + signature, time + b",v1= " + signature[3:]]
    wrong += [b",".join([time, b"v0=\xff", signature]), b",".join([time, b"v0=\t", signature]), time + b";" + signature]
    for value in right:
        assert verify(TOGETHER, [SECRET], changed(headers, "X-Signature", value), BODY, NOW), value
    for value in wrong:
        assert not verify(TOGETHER, [SECRET], changed(headers, "X-Signature", value), BODY, NOW), value


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


def test_hex_may_be_upper_or_lower_case_and_not_both() -> None:
    headers = call(PLAIN, SECRET)
    upper = signature_of(PLAIN, headers).upper()
    assert verify(PLAIN, [SECRET], changed(headers, "X-Signature", upper), BODY, NOW)
    letter = next(place for place, code in enumerate(upper) if chr(code).isalpha())
    mixed = upper[:letter] + upper[letter : letter + 1].lower() + upper[letter + 1 :]
    assert not verify(PLAIN, [SECRET], changed(headers, "X-Signature", mixed), BODY, NOW)


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


@pytest.mark.parametrize(
    "fault",
    [
        {"signed": "nothing"},
        {"signed": "{body}{body}"},
        {"signed": "{timestamp}.{body}"},
        {"timestamp_header": "X-Time"},
        {"id_header": "X-Id"},
        {"signed": "{id}{body}", "id_header": "X-Id"},
        {"signed": "{timestamp}{id}.{body}", "id_header": "X-Id", "timestamp_header": "X-Time"},
        {"signed": "{timestamp}{timestamp}{body}", "timestamp_header": "X-Time"},
        {"signed": "{timestamp}{body}", "timestamp_header": "x-signature"},
        {"signed": "{timestamp}{body}", "timestamp_header": ""},
        {"separator": ""},
        {"separator": "="},
        {"separator": ".", "prefix": "v1."},
        {"timestamp_prefix": "t=", "separator": ","},
        {"signed": "{timestamp}{body}", "timestamp_prefix": "t="},
        {"signed": "{timestamp}{body}", "timestamp_prefix": "t=", "prefix": "v1="},
        {"signed": "{timestamp}{body}", "timestamp_prefix": "t=", "separator": ","},
        {"signed": "{timestamp}{body}", "timestamp_prefix": "v1=t", "prefix": "v1=", "separator": ","},
        {"signed": "{timestamp}{body}", "timestamp_prefix": "v", "prefix": "v1=", "separator": ","},
        {"signed": "{timestamp}{body}", "timestamp_prefix": "t,", "prefix": "v1=", "separator": ","},
        {
            "signed": "{timestamp}{body}",
            "timestamp_prefix": "t=",
            "prefix": "v1=",
            "separator": ",",
            "timestamp_header": "X-Time",
        },
        {"tolerance": float("nan")},
        {"tolerance": float("inf")},
        {"tolerance": -1.0},
    ],
)
def test_a_declaration_that_proves_less_than_it_seems_is_refused(fault: dict[str, str | float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Signature(header="X-Signature", **fault)  # type: ignore[arg-type]


@pytest.mark.parametrize("signed", ["{body}.{id}", "v0:{id}:{body}", "{id}.{body}!", "{timestamp}:{id}:{body}"])
def test_what_stands_at_the_ends_divides_nothing(signed: str) -> None:
    dated = "X-Time" if "{timestamp}" in signed else None
    proof = Signature(header="X-Signature", signed=signed, id_header="X-Id", timestamp_header=dated, tolerance=0)
    for id_, right in ((b"v0", True), (b"a!", True), (b"a:b.c", False)):
        headers = call(proof, SECRET, id_=id_)
        assert verify(proof, [SECRET], headers, BODY, NOW) is right
        assert verify(proof, [SECRET], headers, BODY, NOW + dt.timedelta(seconds=1)) is (right and dated is None)


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
