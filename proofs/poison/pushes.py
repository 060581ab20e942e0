"""Calls of partners by Kafka, on the topics of two accounts: one whose partner signs, and one whose right to write is
its only proof. Each topic gets what must not be taken, and between it what must be: right calls, and on the topic that
needs no signature whatever anybody may write.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from standardwebhooks import Webhook as Signer

from lendrail.contracts.topics import PUSH
from lendrail.gateway.webhooks.door import MAX_BYTES
from proofs.poison.mutations import EVERY_LONG, TAKEN, Raw, mark, surrounded, too_long

SIGNS, SILENT = "demo-reference", "demo-optimum"
ACCOUNTS = {SIGNS: "hint", SILENT: "proven"}
"""As what the account's calls by Kafka count; where the partner signs, its signature does."""
GOOD, GOOD_UNSIGNED = 0.25, 0.95
"""The share that is taken. Where nobody signs hardly anything is refused, and what is, is large."""
PROOF = ("webhook-id", "webhook-timestamp", "webhook-signature")
OTHER = Signer("whsec_" + "QUFB" * 8)
"""Somebody else's."""
Fault = Callable[[Raw, random.Random], Raw]


def call(chance: random.Random) -> bytes:
    """About a deal of which nobody knows, so that it can be found by its id where unmatched calls wait."""
    said = {"id": f"FAKE.{chance.getrandbits(64):016x}", "event": "offer", "status": "update", "note": mark(chance)}
    return json.dumps(said).encode()


def signed(raw: Raw, by: Signer, chance: random.Random, when: dt.datetime | None = None) -> Raw:
    """The proof of Standard Webhooks, made by its own library; the body must be text."""
    id_, now = f"msg_{chance.getrandbits(64):016x}", when or dt.datetime.now(dt.UTC)
    values = (id_, str(int(now.timestamp())), by.sign(id_, now, (raw.value or b"").decode()))
    return replace(raw, headers=tuple((name, text.encode()) for name, text in zip(PROOF, values, strict=True)))


def _bare(raw: Raw, _: random.Random) -> Raw:
    return replace(raw, headers=())


def _without(raw: Raw, chance: random.Random) -> Raw:
    gone = chance.choice(PROOF)
    return replace(raw, headers=tuple(pair for pair in raw.headers if pair[0] != gone))


def _null(raw: Raw, chance: random.Random) -> Raw:
    return raw.with_header(chance.choice(PROOF), chance.choice([None, b"", b" "]))


def _not_utf8(raw: Raw, chance: random.Random) -> Raw:
    return raw.with_header(chance.choice(PROOF), bytes(chance.randrange(128, 256) for _ in range(40)))


def _twice(raw: Raw, chance: random.Random) -> Raw:
    """The same again, whatever its letters' case."""
    name, value = chance.choice(raw.headers)
    return replace(raw, headers=(*raw.headers, (chance.choice([name, name.upper()]), value)))


def _body(raw: Raw, chance: random.Random) -> Raw:
    """Another one than was signed."""
    value = raw.value or b""
    place = chance.randrange(len(value))
    flipped = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
    others = [None, b"", b"{}", value[:place], value + b" ", flipped, chance.randbytes(300), mark(chance).encode()]
    return replace(raw, value=chance.choice(others))


def _writing(raw: Raw, chance: random.Random) -> Raw:
    """The right signature, written as nobody writes it."""
    value = dict(raw.headers)["webhook-signature"] or b""
    _, _, bare = value.partition(b",")
    others = [b"V1," + bare, b"v2," + bare, bare, value.rstrip(b"="), value + b"=", b" " + value, value + b"\n"]
    return raw.with_header("webhook-signature", chance.choice(others))


def _other_header(raw: Raw, chance: random.Random) -> Raw:
    """An id or a time that was not signed."""
    stamp = dict(raw.headers)["webhook-timestamp"] or b""
    later = str(int(stamp) + 1).encode()
    if chance.random() < 0.5:
        return raw.with_header(
            "webhook-id", chance.choice([b"msg_other", mark(chance).encode(), b"a\x00b", b"x" * 9000])
        )
    return raw.with_header("webhook-timestamp", chance.choice([later, b"0" + stamp, b"now", b"9" * 400, b"1_7", b"-1"]))


def _by_another(raw: Raw, chance: random.Random) -> Raw:
    return signed(raw, OTHER, chance)


def _large(raw: Raw, chance: random.Random) -> Raw:
    """More than a call may hold, though its letter holds it."""
    size = chance.choice([MAX_BYTES + 1, 100_000, 400_000])
    return replace(raw, value=(raw.value or b"").ljust(size))


class Pushes:
    """Draws records of one account's topic without end; `signs` with the account's secret, where its partner signs."""

    def __init__(self, credential: str, signs: Signer | None, seed: str) -> None:
        self.topic = PUSH.name(credential)
        self._signs, self._chance = signs, random.Random(f"{seed}|{self.topic}")
        self._faults: dict[str, Fault] = {"too large for a call": self._too_large}
        if signs is not None:
            self._faults |= PROVEN | {"signed at another time": self._at_another_time}

    def __iter__(self) -> Iterator[Raw]:
        number, chance = 0, self._chance
        good = GOOD if self._signs else GOOD_UNSIGNED
        while True:
            number += 1
            if number % EVERY_LONG == 0:
                raw = replace(self._too_long(), kind="too long")
            elif chance.random() < good:
                raw = self._good()
            else:
                kind = chance.choice(list(self._faults))
                raw = replace(self._faults[kind](self._right(), chance), kind=kind)
            yield surrounded(raw, chance)

    def _right(self, value: bytes | None = None) -> Raw:
        chance = self._chance
        raw = Raw(self.topic, b"call", value or call(chance), (), TAKEN)
        return raw if self._signs is None else signed(raw, self._signs, chance)

    def _good(self) -> Raw:
        """Where nothing is signed, every other one as somebody might write it who means no good."""
        chance = self._chance
        if self._signs is not None or chance.random() < 0.5:
            return self._right()
        headers = chance.choice([(), (("content-type", None),), (("content-type", b"\xff\xfe"), ("Content-Type", b""))])
        return replace(self._right(odd(chance)), headers=headers)

    def _too_large(self, raw: Raw, chance: random.Random) -> Raw:
        large = _large(raw, chance)
        return large if self._signs is None else signed(large, self._signs, chance)

    def _too_long(self) -> Raw:
        """Without a signature long headers and a long key hurt nobody: only a long value is at fault."""
        raw = self._right()
        return too_long(raw, self._chance) if self._signs else replace(raw, value=(raw.value or b"").ljust(1_500_000))

    def _at_another_time(self, raw: Raw, chance: random.Random) -> Raw:
        assert self._signs is not None
        away = dt.timedelta(seconds=chance.choice([-1, 1]) * chance.randint(900, 10**8))
        return signed(raw, self._signs, chance, dt.datetime.now(dt.UTC) + away)


PROVEN: dict[str, Fault] = {
    "no proof": _bare, "a part of the proof lacks": _without, "a part null or empty": _null,
    "a part not UTF-8": _not_utf8, "a part twice": _twice, "another body": _body,
    "its signature written otherwise": _writing, "another id or time": _other_header, "signed by another": _by_another,
}  # fmt: skip
"""What a partner that signs did not sign."""


def odd(chance: random.Random) -> bytes:
    """No two alike: bytes that are no text, no JSON, or JSON with a value that breaks many readers."""
    told, depth = mark(chance).encode(), chance.choice([300, 20_000])
    values = [
        b'"\\ud800"', b'"a\\u0000b"', b'"' + b"x" * 700 + b'"', b"NaN", b"1e400", b"9" * 5000, b"null", b"{}", b"true",
        b"[" * depth + b"]" * depth, b'"\\u202e"', b'"\xff"', b'{"id":{"id":"1"}}',
    ]  # fmt: skip
    name = chance.choice([b"id", b"status", b"id", b"event"])
    whole = b'{"' + name + b'":' + chance.choice(values) + b',"note":"' + told + b'"}'
    others = [told, b"\xf5" + told, chance.randbytes(2000) + told, b"[" + told, whole[:-1], whole + b"}", whole, whole]
    return chance.choice(others)
