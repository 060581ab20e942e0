"""What goes to a partner and what comes back: values without behaviour, quiet when printed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call, its bytes fixed when it is made, so that a repeat is the same to the last byte.

    `path` is relative to the credential's base address and already percent-encoded. No header of it is a secret:
    authentication is added by the channel at the last moment.
    """

    operation: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str = field(repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = field(default=b"", repr=False)

    def dump(self) -> bytes:
        """For storing (sealed: it holds personal data). `load` gives an equal request."""
        return json.dumps(vars(self) | {"content": base64.b64encode(self.content).decode()}).encode()

    @classmethod
    def load(cls, stored: bytes) -> Request:
        raw = json.loads(stored)
        pairs = {name: tuple((key, value) for key, value in raw.pop(name)) for name in ("query", "headers")}
        return cls(**raw | pairs | {"content": base64.b64decode(raw["content"], validate=True)})


@dataclass(frozen=True)
class Reply:
    """A complete HTTP reply; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class File:
    """A document to hand over: its bytes, or an expiring address where it can be fetched."""

    name: str = field(repr=False)
    kind: str
    content: bytes = field(default=b"", repr=False)
    link: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Delivery:
    """How documents travel: as `bytes` in the call or by `link`, and how many in one call."""

    by: Literal["bytes", "link"]
    at_once: int = 1


@dataclass(frozen=True)
class Accepted:
    """The partner has it. `partner_id` is its id where the operation gives one."""

    partner_id: str | None = None


@dataclass(frozen=True)
class FileResult:
    name: str = field(repr=False)
    accepted: bool
    words: SensitiveText | None = None


@dataclass(frozen=True)
class PartlyAccepted:
    """One answer for each file, in the order of the request."""

    files: tuple[FileResult, ...]


@dataclass(frozen=True)
class Rejected:
    """A clean refusal: nothing was taken. The partner's own words are kept whole, since they may quote a person."""

    problems: tuple[FieldProblem, ...]
    words: SensitiveText | None = None


@dataclass(frozen=True)
class Duplicate:
    """The partner has seen our reference before."""


@dataclass(frozen=True)
class RetryLater:
    """Refused for now; nothing was taken."""

    after: float
    """Seconds."""


@dataclass(frozen=True)
class CredentialRefused:
    """The key or token is wrong: pause the credential; nothing was taken."""


@dataclass(frozen=True)
class Unknown:
    """Nobody knows whether the partner took it. `reason` is a stable code."""

    reason: str


Outcome = Accepted | PartlyAccepted | Rejected | Duplicate | RetryLater | CredentialRefused | Unknown
