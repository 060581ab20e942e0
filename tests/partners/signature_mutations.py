"""Calls that nobody signed, made out of right ones: every byte of every proving header, and whatever else can go wrong.

The same each time: there is no chance in what must be found.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.partners.signature_calls import Call, Pair

INSERTED = (b" ", b"\t", b"\n", b"\0", b",", b";", b"=", b"_", b"-", b"0", b"A", b"\xff", "é".encode(), "٣".encode())
UNRELATED = (b"content-type", b"accept")
SEPARATORS = (b",", b" ", b";", b".", b"=", b":")
SHIFTS = (-115 * 86_400.0, -301.0, -300.0, -299.5, -1.0, 1.0, 300.0, 300.001, 301.0, 86_400.0)
Draw = random.Random


def changed(headers: Sequence[Pair], at: int, value: bytes) -> tuple[Pair, ...]:
    return (*headers[:at], (headers[at][0], value), *headers[at + 1 :])


def each_byte(call: Call) -> Iterator[Call]:
    """Every bit of every header value flipped; every byte of it gone, doubled, and with something odd before it; every
    bit of the body flipped.
    """
    for at, (name, value) in enumerate(call.headers):
        if name.lower() in UNRELATED:
            continue
        for place in range(len(value)):
            before, byte, after = value[:place], value[place], value[place + 1 :]
            spoilt = [before + bytes([byte ^ (1 << bit)]) + after for bit in range(8)]
            spoilt += [before + after, before + bytes([byte, byte]) + after]
            spoilt += [before + odd + value[place:] for odd in INSERTED]
            yield from (replace(call, headers=changed(call.headers, at, each)) for each in spoilt)
    for place in range(len(call.body)):
        for bit in range(8):
            body = call.body[:place] + bytes([call.body[place] ^ (1 << bit)]) + call.body[place + 1 :]
            yield replace(call, body=body)


def _byte(draw: Draw, value: bytes) -> bytes:
    place = draw.randrange(len(value) + 1)
    kinds = [
        value[:place] + bytes([draw.randrange(256)]) + value[place + 1 :],
        value[:place] + draw.choice(INSERTED) + value[place:],
        value[:place] + value[place + draw.randrange(1, 5) :],
        value[place:] + value[:place],
        value[:place] + value[place : place + 8] * 2 + value[place + 8 :],
    ]
    return draw.choice(kinds)


def _parts(draw: Draw, value: bytes) -> bytes:
    """Its parts shuffled, some gone, some doubled, some empty."""
    separator = draw.choice([each for each in SEPARATORS if each in value] or [b","])
    parts = value.split(separator)
    kind = draw.randrange(6)
    if kind == 0:
        draw.shuffle(parts)
    elif kind == 1:
        parts.insert(draw.randrange(len(parts) + 1), draw.choice((b"", b"x", b"v0=00", b"v1=", b"t=1", b"v1,", *parts)))
    elif kind == 2:
        parts.pop(draw.randrange(len(parts)))
    elif kind == 3:
        parts += [parts[-1]] * draw.randrange(1, 20)
    elif kind == 4:
        separator = draw.choice(SEPARATORS)
    else:
        parts = [part.swapcase() if draw.random() < 0.5 else part for part in parts]
    return separator.join(parts)


def _digits(draw: Draw, value: bytes) -> bytes:
    """Its digits in another alphabet, or otherwise so that `int` or `float` would take them."""
    shift = draw.choice((0x660, 0x6F0, 0x966, 0xFF10, 0x1D7CE)) - 0x30
    other = "".join(chr(ord(each) + shift) if each in "0123456789" else each for each in value.decode("latin-1"))
    kinds = [
        other.encode(),
        b"0" + value,
        b"+" + value,
        value + b".0",
        value + b"e0",
        value[:1] + b"_" + value[1:],
        value[:-1],
        value + b"0",
        b"%d" % draw.randrange(10**10),
    ]
    return draw.choice(kinds)


def _base64(draw: Draw, value: bytes) -> bytes:
    """Another way of writing the same bytes, as lenient readers take it."""
    end = len(value.rstrip(b"=")) - 1
    last = bytes([value[end] + draw.randrange(1, 4)]) if end >= 0 and value[end] < 250 else b""
    kinds = [
        value.rstrip(b"="),
        value + b"=",
        value[:end] + last + value[end + 1 :],
        value.replace(b"+", b"-").replace(b"/", b"_"),
        value.replace(b"=", b"%3D"),
        value[:10] + b"\n" + value[10:],
    ]
    return draw.choice(kinds)


def _case(draw: Draw, value: bytes) -> bytes:
    cut = draw.randrange(len(value) + 1)
    return draw.choice([value.upper(), value.lower(), value.swapcase(), value[:cut].upper() + value[cut:]])


def _white(draw: Draw, value: bytes) -> bytes:
    odd = draw.choice((b" ", b"\t", b"\n", b"\r\n", b"\x0b", b"\xa0", "\u2003".encode(), b"\0"))
    return draw.choice([odd + value, value + odd, value + odd + value, odd + value + odd])


VALUES: tuple[Callable[[Draw, bytes], bytes], ...] = (_byte, _byte, _parts, _parts, _digits, _base64, _case, _white)


def _value(draw: Draw, call: Call, others: Sequence[Call]) -> Call:
    if not call.headers:
        return call
    at = draw.randrange(len(call.headers))
    return replace(call, headers=changed(call.headers, at, draw.choice(VALUES)(draw, call.headers[at][1])))


def _names(draw: Draw, call: Call, others: Sequence[Call]) -> Call:
    """Headers that come twice, not at all, under another name, in another order, or from another call."""
    headers = list(call.headers)
    at = draw.randrange(len(headers)) if headers else 0
    kind = draw.randrange(7)
    if not headers or kind == 0:
        headers.append(draw.choice(draw.choice(others).headers or ((b"x", b""),)))
    elif kind == 1:
        headers.pop(at)
    elif kind == 2:
        headers.insert(draw.randrange(len(headers) + 1), (headers[at][0].swapcase(), headers[at][1]))
    elif kind == 3:
        headers.append((headers[at][0], _byte(draw, headers[at][1])))
    elif kind == 4:
        name = headers[at][0]
        spoilt = (name.upper(), name.replace(b"-", b"_"), name + b" ", b" " + name, name[:-1], name + b"\0")
        headers[at] = draw.choice(spoilt), headers[at][1]
    elif kind == 5:
        other = draw.randrange(len(headers))
        headers[at], headers[other] = (headers[at][0], headers[other][1]), (headers[other][0], headers[at][1])
    else:
        draw.shuffle(headers)
    return replace(call, headers=tuple(headers))


def _body(draw: Draw, call: Call, others: Sequence[Call]) -> Call:
    kinds = [_byte(draw, call.body), call.body + b"\n", call.body[:-1], b"", call.body * 2, draw.choice(others).body]
    return replace(call, body=draw.choice(kinds))


def _now(draw: Draw, call: Call, others: Sequence[Call]) -> Call:
    return replace(call, now=call.now + dt.timedelta(seconds=draw.choice((*SHIFTS, draw.uniform(-700, 700)))))


def _secrets(draw: Draw, call: Call, others: Sequence[Call]) -> Call:
    """Secrets that are missing, empty, written otherwise, in another order, or another's."""
    first = call.secrets[0] if call.secrets else ""
    kinds: list[tuple[str, ...]] = [
        (),
        ("",),
        ("", *call.secrets),
        (*call.secrets, "fake-old-key"),
        call.secrets[::-1],
        (first.upper(), *call.secrets[1:]),
        (first + "\n",),
        (first + "=",),
        (first + "\0",),
        (first.rstrip("="), "%%%"),
        ("whsec_" + first,),
        (first.removeprefix("whsec_"),),
        (first[:-1],),
        ("\ud800",),
        draw.choice(others).secrets,
    ]
    return replace(call, secrets=draw.choice(kinds))


STEPS = (_value, _value, _value, _names, _body, _now, _secrets)


def mixed(calls: Sequence[Call], count: int, seed: int) -> Iterator[Call]:
    """One to three changes of any kind; half of them made to what else the receiver knows or was sent."""
    draw = random.Random(seed)
    for number in range(count):
        call = calls[number % len(calls)]
        for _ in range(draw.choice((1, 1, 2, 3))):
            call = draw.choice(STEPS)(draw, call, calls)
        yield call
