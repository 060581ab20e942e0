"""A file of the spool: records one after the other, each sealed, none of which can be read, moved or cut out unseen.

    head    LRSPOOL1, 8 bytes that tell the key, 16 random bytes of this file
    record  length of what follows (4 bytes), 12 bytes nonce, AES-256-GCM of the record (NIST SP 800-38D)

The head and the record's number are the associated data. A process that dies leaves at most a torn end behind what it
has vouched for; so whatever does not open and has nothing good behind it is such an end. Good records behind a bad one
mean that the disk lost something: that is told.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"LRSPOOL1"
MARK, IDENTITY, NONCE, LENGTH, TAG = 8, 16, 12, 4, 16
HEAD = len(MAGIC) + MARK + IDENTITY
OVERHEAD = LENGTH + NONCE + TAG
LONGEST_RECORD = 1024 * 1024


class NoKey(Exception):
    """Sealed under a key that is not mounted."""


@dataclass(frozen=True)
class Found:
    """What a file holds."""

    records: tuple[bytes, ...]
    damaged: bool
    """Good records stand behind something that does not open."""


class Keys:
    """The first seals; each of them opens."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Raises ValueError."""
        if not secrets or any(len(secret) != 32 for secret in secrets):
            raise ValueError("a spool needs keys of 32 bytes")
        self.newest = _mark(secrets[0])
        self.by_mark: Mapping[bytes, AESGCM] = {_mark(secret): AESGCM(secret) for secret in secrets}


def read_keys(path: Path) -> Keys:
    """One key in each line (Base64 of 32 bytes), the newest first. Raises ValueError that names the file alone."""
    try:
        lines = path.read_text("ascii").split()
        return Keys([base64.b64decode(line, validate=True) for line in lines])
    except (OSError, ValueError):
        raise ValueError(f"the key file {path.name} must hold 32 bytes in Base64, one key in each line") from None


def _mark(secret: bytes) -> bytes:
    """Tells keys apart, and nothing of them."""
    return hmac.digest(secret, b"lendrail spool", "sha256")[:MARK]


def new_head(keys: Keys) -> bytes:
    return MAGIC + keys.newest + os.urandom(IDENTITY)


def sealed(keys: Keys, head: bytes, number: int, plain: bytes) -> bytes:
    """A record as it is written."""
    if len(plain) > LONGEST_RECORD:
        raise ValueError("a record is too long for the spool")
    nonce = os.urandom(NONCE)
    body = nonce + keys.by_mark[keys.newest].encrypt(nonce, plain, _about(head, number))
    return len(body).to_bytes(LENGTH, "big") + body


def opened(keys: Keys, content: bytes) -> Found:
    """All records of a file. Raises `NoKey`."""
    head = content[:HEAD]
    if len(head) < HEAD:
        return Found((), damaged=False)
    if not head.startswith(MAGIC):
        return Found((), damaged=True)
    cipher = keys.by_mark.get(head[len(MAGIC) : len(MAGIC) + MARK])
    if cipher is None:
        raise NoKey
    records: list[bytes] = []
    torn = damaged = False
    for number, body in enumerate(_bodies(content)):
        try:
            records.append(cipher.decrypt(body[:NONCE], body[NONCE:], _about(head, number)))
            damaged |= torn
        except InvalidTag:
            torn = True
    return Found(tuple(records), damaged)


def _about(head: bytes, number: int) -> bytes:
    return head + number.to_bytes(8, "big")


def _bodies(content: bytes) -> Iterator[bytes]:
    """As far as lengths make sense."""
    at = HEAD
    while at + LENGTH <= len(content):
        length = int.from_bytes(content[at : at + LENGTH], "big")
        end = at + LENGTH + length
        if not NONCE + TAG <= length <= NONCE + TAG + LONGEST_RECORD or end > len(content):
            return
        yield content[at + LENGTH : end]
        at = end
