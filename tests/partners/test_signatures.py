"""The one verifier: what the right sender made is taken, in every way that a partner may declare."""

import datetime as dt

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook
from tests.partners.signing import (
    BODY,
    DATED,
    NOW,
    PLAIN,
    PROOFS,
    SECRET,
    SECRET_64,
    TOGETHER,
    TOKEN,
    call,
    changed,
    signature_of,
)

from lendrail.partners.signatures import STANDARD_WEBHOOKS, Proof, Signature, verify


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


def test_hex_may_be_upper_or_lower_case_and_not_both() -> None:
    headers = call(PLAIN, SECRET)
    upper = signature_of(PLAIN, headers).upper()
    assert verify(PLAIN, [SECRET], changed(headers, "X-Signature", upper), BODY, NOW)
    letter = next(place for place, code in enumerate(upper) if chr(code).isalpha())
    mixed = upper[:letter] + upper[letter : letter + 1].lower() + upper[letter + 1 :]
    assert not verify(PLAIN, [SECRET], changed(headers, "X-Signature", mixed), BODY, NOW)


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
