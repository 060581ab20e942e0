"""What the one verifier must say, told another way: a grammar of each scheme as one regular expression, and a list.

Nothing is computed here. A signature is right when openssl once made it for this message with this key; nobody who has
no key makes one that is not in the list. So a call is as good as a signed one exactly when it is well formed, its time
is now, and one of its signatures is in the list for one of the secrets.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.partners.signature_calls import MACS, Call, Mac

HEX = {size: rb"(?:[0-9a-f]{%d}|[0-9A-F]{%d})" % (2 * size, 2 * size) for size in (32, 48)}
ONE_LEFT, TWO_LEFT = rb"[A-Za-z0-9+/][AQgw]==", rb"[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]="
"""Base64 of the last one or two bytes: the bits that belong to no byte are zero."""
BASE64 = {32: rb"[A-Za-z0-9+/]{40}" + TWO_LEFT, 64: rb"[A-Za-z0-9+/]{84}" + ONE_LEFT}
KEY_64 = rb"(?:whsec_)?((?=.)(?:[A-Za-z0-9+/]{4})*(?:%s|%s)?)" % (ONE_LEFT, TWO_LEFT)
KEY_16 = rb"((?:[0-9a-f]{2})+|(?:[0-9A-F]{2})+)"
TIME = rb"[1-9][0-9]{0,14}"
LIST = rb"(?=[ -~]{1,4096}\Z)(?=(?:[^%s]+(?:[%s]|\Z)){1,16}\Z)"
"""Of what can be seen: at most 16 parts, none empty."""


def _parts(separator: bytes, ours: bytes, others: bytes) -> bytes:
    """A list in which each part is one of `ours`, or begins otherwise."""
    part = rb"(?:%s|(?!%s)[^%s]+)" % (ours, others, separator)
    return LIST % (separator, separator) + rb"%s(?:%s%s)*" % (part, separator, part)


@dataclass(frozen=True)
class Grammar:
    header: bytes
    whole: bytes
    """What the header is, all of it."""
    one: bytes
    """Where the signatures in it are."""
    message: Callable[[bytes, bytes, bytes], bytes] = lambda time, id_, body: body
    digest: str = "sha256"
    hex: bool = True
    time: bytes | None = None
    """The header of the time, or where it is in the one of the signatures."""
    within: bool = False
    id: bytes | None = None
    key: bytes = rb"((?s:.+))"
    unit: int = 1


GRAMMARS = {
    "plain": Grammar(b"x-signature", HEX[32], rb"(.+)"),
    "github": Grammar(b"x-hub-signature-256", rb"sha256=" + HEX[32], rb"=(.+)"),
    "shopify": Grammar(b"x-shopify-hmac-sha256", BASE64[32], rb"(.+)", hex=False),
    "stripe": Grammar(
        b"stripe-signature",
        _parts(b",", rb"t=%s|v1=%s" % (TIME, HEX[32]), rb"t=|v1="),
        rb"(?:\A|,)v1=([^,]+)",
        lambda time, id_, body: time + b"." + body,
        time=rb"(?:\A|,)t=([^,]*)",
        within=True,
    ),
    "slack": Grammar(
        b"x-slack-signature",
        rb"v0=" + HEX[32],
        rb"=(.+)",
        lambda time, id_, body: b"v0:" + time + b":" + body,
        time=b"x-slack-request-timestamp",
    ),
    "standard": Grammar(
        b"webhook-signature",
        _parts(b" ", rb"v1,%s" % BASE64[32], rb"v1,"),
        rb"(?:\A| )v1,([^ ]+)",
        lambda time, id_, body: id_ + b"." + time + b"." + body,
        hex=False,
        time=b"webhook-timestamp",
        id=b"webhook-id",
        key=KEY_64,
    ),
    "paddle": Grammar(
        b"paddle-signature",
        _parts(b";", rb"ts=%s|h1=%s" % (TIME, HEX[32]), rb"ts=|h1="),
        rb"(?:\A|;)h1=([^;]+)",
        lambda time, id_, body: time + b":" + body,
        time=rb"(?:\A|;)ts=([^;]*)",
        within=True,
    ),
    "sha512": Grammar(b"x-signature", rb"sha512=" + BASE64[64], rb"sha512=(.+)", digest="sha512", hex=False),
    "millis": Grammar(
        b"x-signature",
        HEX[48],
        rb"(.+)",
        lambda time, id_, body: body + time,
        digest="sha384",
        time=b"x-time",
        unit=1000,
    ),
    "several": Grammar(b"x-signatures", _parts(b",", HEX[32], b""), rb"([^,]+)"),
    "keyhex": Grammar(b"x-signature", HEX[32], rb"(.+)", key=KEY_16),
    "keybase64": Grammar(b"x-signature", HEX[32], rb"(.+)", key=KEY_64),
}
WORDS = {"bearer": (b"authorization", b"Bearer "), "token": (b"x-token", b"")}
BLOCKS = {"sha256": 64, "sha384": 128, "sha512": 128}


def _same(key: bytes, digest: str) -> bytes:
    """Keys that RFC 2104 makes equal are equal here."""
    if len(key) > BLOCKS[digest]:
        key = hashlib.new(digest, key).digest()
    return key.rstrip(b"\0")


Known = dict[tuple[str, bytes, bytes], set[bytes]]


def listed(macs: Iterable[Mac]) -> Known:
    known: Known = {}
    for each in macs:
        known.setdefault((each.digest, _same(each.key, each.digest), each.message), set()).add(each.mac)
    return known


KNOWN = listed(MACS)


def _only(call: Call, name: bytes) -> bytes | None:
    found = [value for each, value in call.headers if each.lower() == name]
    return found[0] if len(found) == 1 and len(found[0]) <= 4096 else None


def _key(grammar: Grammar, secret: str) -> bytes | None:
    written = re.fullmatch(grammar.key, secret.encode("utf-8", "surrogatepass"))
    if written is None:
        return None
    if grammar.key == KEY_16:
        return binascii.unhexlify(written[1])
    return binascii.a2b_base64(written[1]) if grammar.key == KEY_64 else written[1]


def _time(grammar: Grammar, call: Call, value: bytes) -> bytes | None:
    """Empty where there is none to be; None where it is not what it should be, or not now."""
    if grammar.time is None:
        return b""
    if grammar.within:
        found = re.findall(grammar.time, value)
        written = found[0] if len(found) == 1 else None
    else:
        written = _only(call, grammar.time)
    if written is None or not re.fullmatch(TIME, written):
        return None
    early, late = (call.now.timestamp() + seconds for seconds in (-300, 300))
    return written if early * grammar.unit <= int(written) <= late * grammar.unit else None


def _id(grammar: Grammar, call: Call) -> bytes | None:
    if grammar.id is None:
        return b""
    written = _only(call, grammar.id)
    return written if written is not None and re.fullmatch(rb"[!-\-/-~]{1,256}", written) else None


def right(call: Call, known: Known = KNOWN) -> bool:
    """Whether it is as good as a call of the partner's."""
    if call.scheme in WORDS:
        name, word = WORDS[call.scheme]
        return _only(call, name) in {word + each.encode("utf-8", "surrogatepass") for each in call.secrets if each}
    grammar = GRAMMARS[call.scheme]
    value = _only(call, grammar.header)
    if value is None or not re.fullmatch(grammar.whole, value):
        return False
    time, id_ = _time(grammar, call, value), _id(grammar, call)
    if time is None or id_ is None:
        return False
    read = binascii.unhexlify if grammar.hex else binascii.a2b_base64
    signatures = {read(each) for each in re.findall(grammar.one, value)}
    keys = {_same(key, grammar.digest) for each in call.secrets if (key := _key(grammar, each))}
    message = grammar.message(time, id_, call.body)
    return any(signatures & known.get((grammar.digest, key, message), set()) for key in keys)
