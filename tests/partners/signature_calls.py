"""Reads `signature_vectors.toml`: calls to a webhook with the verdict that each must get, and MACs made by openssl."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lendrail.partners.signatures import Proof, Signature, StaticHeader, verify

FILE = Path(__file__).with_name("signature_vectors.toml")
Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class Mac:
    digest: str
    key: bytes
    message: bytes
    mac: bytes


@dataclass(frozen=True)
class Call:
    """One call as it arrives, and what the receiver knows."""

    scheme: str
    headers: tuple[Pair, ...]
    body: bytes
    secrets: tuple[str, ...]
    now: dt.datetime


@dataclass(frozen=True)
class Vector:
    name: str
    call: Call
    accepted: bool
    why: str


def raw(text: str) -> bytes:
    """What the file's text stands for."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())


def _proof(told: dict[str, Any]) -> Proof:
    declared = {name: value for name, value in told.items() if name not in ("says", "secrets", "static")}
    return StaticHeader(**declared) if told.get("static") else Signature(**declared)


def _pair(text: str) -> Pair:
    name, value = raw(text).split(b": ", 1)
    return name, value


def _vector(told: dict[str, Any]) -> Vector:
    scheme = told["scheme"]
    secrets = told.get("secrets", _TOLD["schemes"][scheme]["secrets"])
    now = _TOLD["now"] + dt.timedelta(seconds=told.get("late", 0))
    headers = tuple(_pair(each) for each in told["headers"])
    return Vector(
        told["name"], Call(scheme, headers, raw(told["body"]), tuple(secrets), now), told["accepted"], told["why"]
    )


_TOLD = tomllib.loads(FILE.read_text())
PROOFS = {name: _proof(told) for name, told in _TOLD["schemes"].items()}
MACS = [
    Mac(each["digest"], bytes.fromhex(each["key"]), raw(each["message"]), bytes.fromhex(each["mac"]))
    for each in _TOLD["macs"]
]
VECTORS = [_vector(each) for each in _TOLD["calls"]]


def verified(call: Call) -> bool:
    """What the verifier says."""
    secrets = [SecretStr(each) for each in call.secrets]
    return verify(PROOFS[call.scheme], secrets, call.headers, call.body, call.now)
