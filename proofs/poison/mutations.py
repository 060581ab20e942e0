"""What can be wrong with a record. Each kind makes one that nobody may read, by its construction, from a real example.

Everything is drawn from one seeded source, so a seed repeats every byte but those that were sealed.
"""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

MARK = "Zqpoison"
"""Stands in whatever an attacker could write freely; none of it may be found in clear afterwards."""
TAKEN = "taken"
"""The kind of what is no fault, and is taken."""
REQUIRED = ("ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time")
TOKEN = re.compile(r'"enc1:[^"]*"')
Pairs = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as it is written to Kafka."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Pairs
    kind: str = "example"

    @property
    def body(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.value or b"")
        return content

    def with_header(self, name: str, value: bytes | None) -> Raw:
        return replace(self, headers=tuple((n, value if n == name else v) for n, v in self.headers))

    def with_body(self, body: Any) -> Raw:
        return replace(self, value=json.dumps(body).encode())


Make = Callable[[Raw, random.Random], Raw | None]
"""A record with this fault; None where the example has nothing that could have it."""


def mark(chance: random.Random) -> str:
    return f"{MARK}{chance.getrandbits(56):014x}"


def _without(raw: Raw, chance: random.Random) -> Raw:
    gone = chance.choice(REQUIRED)
    return replace(raw, headers=tuple(pair for pair in raw.headers if pair[0] != gone))


def _bare(raw: Raw, _: random.Random) -> Raw:
    return replace(raw, headers=())


def _null(raw: Raw, chance: random.Random) -> Raw:
    return raw.with_header(chance.choice(REQUIRED), chance.choice([None, b""]))


def _not_utf8(raw: Raw, chance: random.Random) -> Raw:
    """In one of ours, or in one with a name of the sender's own."""
    bytes_ = bytes(chance.randrange(128, 192) for _ in range(chance.randint(1, 40)))
    if chance.random() < 0.5:
        return raw.with_header(chance.choice(REQUIRED), bytes_)
    return replace(raw, headers=(*raw.headers, (f"x-{mark(chance)}", bytes_)))


def _twice(raw: Raw, chance: random.Random) -> Raw:
    """The second one contradicts."""
    name, value = chance.choice([("ce_type", b"io.lendrail.nothing.v1"), ("ce_specversion", b"0.3"), ("CE_TIME", b"x")])
    return replace(raw, headers=(*raw.headers, (name, value)))


def _type(raw: Raw, chance: random.Random) -> Raw:
    words = [b"io.lendrail.outcome.v1", b"io.lendrail.submit.v2", mark(chance).encode(), b"x" * 9000, b"\x00"]
    return raw.with_header("ce_type", chance.choice(words))


def _time(raw: Raw, chance: random.Random) -> Raw:
    words = ["now", "2026-13-01T00:00:00Z", "2026-03-02T10:30:00", "9" * 400, mark(chance), "\uff12026-03-02T10:30:00Z"]
    return raw.with_header("ce_time", chance.choice(words).encode())


def _mode(raw: Raw, chance: random.Random) -> Raw:
    other = tuple(pair for pair in raw.headers if pair[0] != "ce_mode")
    return replace(raw, headers=(*other, ("ce_mode", chance.choice([b"LIVE", b"prod", mark(chance).encode()]))))


def _id(raw: Raw, chance: random.Random) -> Raw:
    words = [str(uuid.UUID(int=chance.getrandbits(128))), mark(chance), "0" * 20_000, "$where", "a\x00b"]
    return raw.with_header("ce_id", chance.choice(words).encode())


def _key_id(raw: Raw, chance: random.Random) -> Raw:
    words = [str(uuid.UUID(int=chance.getrandbits(128))), mark(chance), "k" * 20_000, "intake-1999-01-01", "a\x00b", ""]
    return raw.with_header("ce_keyid", chance.choice(words).encode())


def _no_value(raw: Raw, chance: random.Random) -> Raw:
    return replace(raw, value=chance.choice([None, b"", b" ", b"null", b"[]", b'"text"', b"0", b"{}"]))


def _cut(raw: Raw, chance: random.Random) -> Raw:
    value = raw.value or b""
    return replace(raw, value=value[: chance.randrange(1, len(value) - 1)])


def _noise(raw: Raw, chance: random.Random) -> Raw:
    return replace(raw, value=b"\xf5" + chance.randbytes(chance.randint(0, 3000)))


def _flipped(raw: Raw, chance: random.Random) -> Raw:
    """A byte that no UTF-8 has, somewhere in a real body; or a bit of its structure."""
    value = bytearray(raw.value or b"")
    places = [index for index, byte in enumerate(value) if byte in b'{}:,"']
    place = chance.choice([0, len(value) - 1, *places[:1]])
    value[chance.randrange(len(value)) if chance.random() < 0.5 else place] = 0xFF
    return replace(raw, value=bytes(value))


def _behind(raw: Raw, chance: random.Random) -> Raw:
    return replace(raw, value=(raw.value or b"") + chance.choice([b"}", b"{}", b",", b"\x00", mark(chance).encode()]))


def _first(raw: Raw, word: bytes) -> Raw:
    """Another member before all others, its value written as it stands."""
    return replace(raw, value=b'{"revision": ' + word + b", " + (raw.value or b"")[1:].lstrip())


def _deep(raw: Raw, chance: random.Random) -> Raw:
    depth = chance.choice([300, 5_000, 40_000])
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return _first(raw, opening * depth + b"0" + closing * depth)


def _first_field(raw: Raw) -> str:
    """A field that every body of the topic must have, and whose value is a text."""
    return "tenantId" if "tenantId" in raw.body else "intent"


def _not_a_number(raw: Raw, chance: random.Random) -> Raw:
    word = chance.choice(["NaN", "Infinity", "-Infinity"])
    text = json.dumps(raw.body | {_first_field(raw): "@@"})
    return replace(raw, value=text.replace('"@@"', word, 1).encode())


def _huge(raw: Raw, chance: random.Random) -> Raw:
    text = json.dumps(raw.body | {_first_field(raw): "@@"})
    return replace(raw, value=text.replace('"@@"', "9" * chance.choice([40, 5_000, 200_000]), 1).encode())


def _wrong_type(raw: Raw, chance: random.Random) -> Raw:
    values: list[Any] = [None, 7, [], {mark(chance): mark(chance)}, True, 1.5]
    return raw.with_body(raw.body | {_first_field(raw): chance.choice(values)})


def _lacking(raw: Raw, _: random.Random) -> Raw:
    body = raw.body
    del body[_first_field(raw)]
    return raw.with_body(body)


def _marked_name(raw: Raw, chance: random.Random) -> Raw | None:
    """A fault below a name that the sender chose."""
    body = raw.body
    holder = body.get("application")
    if not isinstance(holder, dict) or "business" not in holder:
        return None
    holder["metadata"] = {mark(chance): [mark(chance)]}
    return raw.with_body(body)


def _other_id(raw: Raw, chance: random.Random) -> Raw | None:
    """The body tells of something else than the headers."""
    body = raw.body
    name = next((each for each in ("applicationId", "webhookId") if each in body), None)
    if name is None:
        return None
    return raw.with_body(body | {name: str(uuid.UUID(int=chance.getrandbits(128), version=4))})


def _doubled_name(raw: Raw, chance: random.Random) -> Raw | None:
    """The last of two equal names says something else."""
    body = raw.body
    if "applicationId" not in body:
        return None
    other = f', "applicationId": "{uuid.UUID(int=chance.getrandbits(128), version=4)}"}}'
    return replace(raw, value=json.dumps(body).encode()[:-1] + other.encode())


def _tenant(raw: Raw, chance: random.Random) -> Raw | None:
    if "tenantId" not in raw.body:
        return None
    return raw.with_body(raw.body | {"tenantId": mark(chance)})


def _in_clear(raw: Raw, chance: random.Random) -> Raw | None:
    """Personal values that nobody sealed."""
    text = (raw.value or b"").decode()
    changed = TOKEN.sub(lambda _: f'"{mark(chance)}"', text)
    return replace(raw, value=changed.encode()) if changed != text else None


def _bad_seal(raw: Raw, chance: random.Random) -> Raw | None:
    """Sealed under another key, cut, altered, or no Base64."""
    text = (raw.value or b"").decode()
    words = ["enc1:" + "A" * 60, "enc1:", "enc1:AAAA", f"enc1:{mark(chance)}", "enc1:====", "enc1:\\u0000"]
    word = chance.choice(words)
    changed = TOKEN.sub(lambda _: f'"{word}"', text)
    return replace(raw, value=changed.encode()) if changed != text else None


def too_long(raw: Raw, chance: random.Random) -> Raw:
    """Its value, its headers or its key: more than a letter keeps."""
    size = chance.choice([500_000, 1_500_000])
    where = chance.randrange(3)
    if where == 0:
        return replace(raw, value=(mark(chance) * (size // 22)).encode())
    broken = replace(raw, value=b"{")
    if where == 1:
        return replace(broken, headers=(*raw.headers, ("x-long", (mark(chance) * (size // 22)).encode())))
    return replace(broken, key=(mark(chance) * (size // 22)).encode())


KINDS: dict[str, Make] = {
    "no headers": _bare, "header missing": _without, "header null or empty": _null, "header not UTF-8": _not_utf8,
    "header twice": _twice, "another type": _type, "no time": _time, "no mode": _mode,
    "no body": _no_value, "cut": _cut, "random bytes": _noise, "a byte changed": _flipped, "something behind": _behind,
    "too deep": _deep, "not a number": _not_a_number, "a huge number": _huge, "another kind of value": _wrong_type,
    "a field lacks": _lacking,
}  # fmt: skip
"""For every topic."""
OF_EVENTS: dict[str, Make] = {
    "another id": _id, "another key id": _key_id, "a body of another id": _other_id, "a name twice": _doubled_name,
    "another tenant's": _tenant, "not sealed": _in_clear, "seal broken": _bad_seal,
    "a fault below a name": _marked_name,
}  # fmt: skip
"""For topics of our own events too: the intake has no keys of ours, and takes what has faults to tell of them."""
EVERY_LONG = 60
"""One of so many is too long for a letter."""


def surrounded(raw: Raw, chance: random.Random) -> Raw:
    """Around the fault: a key and headers as somebody might send them."""
    key = chance.choice([raw.key, None, b"", mark(chance).encode(), chance.randbytes(12)])
    more: list[tuple[str, bytes | None]] = [("x-null", None)] if chance.random() < 0.2 else []
    if chance.random() < 0.3:
        more += [("x-note", mark(chance).encode())] * chance.choice([1, 1, 30])
    if raw.kind == "too long" or (key is None and raw.value is None):  # no client sends neither
        key = raw.key
    return replace(raw, key=key, headers=(*raw.headers, *more))


def spoilt(examples: list[Raw], others: list[Raw], seed: str) -> Iterator[Raw]:
    """Without end: records of the topic of `examples`. `others` are examples of other topics, whose bodies get in."""
    chance = random.Random(seed)
    own = not examples[0].topic.startswith("intake-")
    kinds = KINDS | (OF_EVENTS if own else {})
    number = 0
    while True:
        number += 1
        raw = chance.choice(examples)
        if number % EVERY_LONG == 0:
            kind, made = "too long", too_long(raw, chance)
        elif own and chance.random() < 1 / len(kinds):
            kind, made = "another event's body", replace(raw, value=chance.choice(others).value)
        else:
            kind = chance.choice(list(kinds))
            found = kinds[kind](raw, chance)
            if found is None:
                continue
            made = found
        yield surrounded(replace(made, kind=kind), chance)
