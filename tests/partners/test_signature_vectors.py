"""Every call of `signature_vectors.toml` gets its verdict; its MACs are openssl's; a weaker verifier is found out."""

import binascii
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.partners import signature_reference
from tests.partners.signature_calls import MACS, PROOFS, VECTORS, Mac, Vector, verified

from lendrail.partners import signatures


def wrong(wanted: bool) -> list[str]:
    """Of the calls that are to get this verdict those that get another one, or none."""
    found = []
    for each in VECTORS:
        try:
            said: object = verified(each.call)
        except Exception as error:
            said = error
        if each.accepted is wanted and said is not wanted:
            found.append(f"{each.name}: {said!r}, though {each.why}")
    return found


@pytest.mark.parametrize("wanted", [True, False])
def test_every_call_gets_its_verdict(wanted: bool) -> None:
    assert wrong(wanted) == []


def test_another_way_of_telling_says_the_same() -> None:
    differing = [each.name for each in VECTORS if signature_reference.right(each.call) is not each.accepted]
    assert differing == []


def test_the_file_is_what_it_says_it_is() -> None:
    assert len(VECTORS) >= 400
    assert max(Counter(each.name for each in VECTORS).values()) == 1
    assert all(each.why for each in VECTORS)
    verdicts = Counter((each.call.scheme, each.accepted) for each in VECTORS)
    for scheme in PROOFS:
        assert verdicts[scheme, True], scheme
        assert verdicts[scheme, False], scheme
    known = {each.mac for each in MACS}
    right = [each for each in VECTORS if each.accepted and each.call.scheme not in ("bearer", "token")]
    assert [each.name for each in right if not _holds(each, known)] == []


def _holds(vector: Vector, known: set[bytes]) -> bool:
    written = {form for mac in known for form in _forms(mac)}
    return any(form in value for _, value in vector.call.headers for form in written)


def _forms(mac: bytes) -> tuple[bytes, ...]:
    text = mac.hex()
    return text.encode(), text.upper().encode(), binascii.b2a_base64(mac, newline=False)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command line is not installed")
def test_the_macs_are_those_of_openssl() -> None:
    assert [each for each in MACS[:: max(1, len(MACS) // 40)] if _openssl(each) != each.mac] == []


def _openssl(mac: Mac) -> bytes:
    command = ["openssl", "dgst", f"-{mac.digest}", "-mac", "HMAC", "-macopt", f"hexkey:{mac.key.hex()}", "-binary"]
    return subprocess.run(command, input=mac.message, capture_output=True, check=True).stdout


def _first(headers: Any, name: str) -> bytes | None:
    return next((value for each, value in headers if each.lower() == name.lower().encode()), None)


def _named_exactly(headers: Any, name: str) -> bytes | None:
    found = [value for each, value in headers if each == name.encode()]
    return found[0] if len(found) == 1 else None


def _lenient(written: bytes) -> bytes | None:
    return binascii.a2b_base64(written) if written else None


def _raising(written: bytes) -> bytes:
    return bytes.fromhex(written.decode())


def _starts(expected: Any, given: Any) -> bool:
    return any(one.startswith(other) or other.startswith(one) for one in expected for other in given)


_strict_key = signatures._key


def _some_key(proof: Any, secret: Any) -> bytes:
    return _strict_key(proof, secret) or b"\0"


ANY = re.compile(rb"(?s).*")
WEAKER: dict[str, tuple[str, object]] = {
    "times of any form": ("_TIMESTAMP", ANY),
    "times with zeros before them": ("_TIMESTAMP", re.compile(rb"[0-9]{1,15}")),
    "times as int() takes them": ("_TIMESTAMP", re.compile(rb"[0-9_+ ]+")),
    "ids of any form": ("_ID", ANY),
    "ids however long": ("_ID", re.compile(rb"[!-~]+")),
    "hex of any form": ("_HEX", ANY),
    "hex in both cases": ("_HEX", re.compile(rb"[0-9a-fA-F]+")),
    "hex as bytes.fromhex takes it": ("_hex", _raising),
    "Base64 as b64decode takes it": ("_base64", _lenient),
    "parts that cannot be seen": ("_VISIBLE", ANY),
    "any number of signatures": ("MOST_SIGNATURES", 10**6),
    "headers of any length": ("LONGEST_HEADER", 10**6),
    "the first of several headers": ("_value", _first),
    "names with a case": ("_value", _named_exactly),
    "beginnings of signatures": ("_any_equal", _starts),
    "milliseconds as seconds": ("_A_SECOND", {"s": 1, "ms": 1}),
    "keys that cannot be read as empty ones": ("_key", _some_key),
    "dividers within an id": ("_around_id", lambda parts: []),
    "odd signatures beside a right one": ("_signatures", None),
}


@pytest.mark.parametrize("weakness", WEAKER)
def test_a_weaker_verifier_is_found_out(weakness: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, weak = WEAKER[weakness]
    monkeypatch.setattr(signatures, name, _passing_over(signatures) if weak is None else weak)
    assert wrong(False), "no call in the file shows it"


def _passing_over(module: Any) -> Callable[[Any, Any], list[bytes]]:
    """Takes those signatures that can be read, whatever stands beside them."""

    def lenient(proof: Any, pieces: Any) -> list[bytes]:
        decoded = [module._decoded(proof, piece) for piece in module._after(proof.prefix, pieces)]
        return [each for each in decoded if each is not None]

    return lenient
