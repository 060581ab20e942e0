"""What goes to a partner and what comes back: values without behaviour, quiet when printed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, Report, Status


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call, its bytes fixed when it is made, so that a repeat is the same to the last byte.

    `path` is relative to the credential's base address and already percent-encoded. No header of it is a secret:
    authentication is added by the channel at the last moment.
    """

    operation: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "MAIL"]
    """MAIL: `content` is a whole message (RFC 5322); `query` has its envelope, `from` and `to`."""
    path: str = field(repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = field(default=b"", repr=False)
    context: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Kept with the request and never sent: what reading its reply needs, such as a name to compare."""

    def knows(self, name: str) -> str | None:
        """The value of `name` in the context."""
        return dict(self.context).get(name)

    def filled(self, given: Mapping[str, str], reference: str) -> Request:
        """With the blanks of this reference in path, query and content replaced. Values are as `GIVEN` wants them."""
        values = {blank(name, reference): value for name, value in given.items()}

        def fill(text: str) -> str:
            for mark, value in values.items():
                text = text.replace(mark, value)
            return text

        content = self.content
        for mark, value in values.items():
            content = content.replace(mark.encode(), value.encode())
        query = tuple((name, fill(value)) for name, value in self.query)
        return replace(self, path=fill(self.path), query=query, content=content)

    def dump(self) -> bytes:
        """For storing (sealed: it holds personal data). `load` gives an equal request."""
        return json.dumps(vars(self) | {"content": base64.b64encode(self.content).decode()}).encode()

    @classmethod
    def load(cls, stored: bytes) -> Request:
        raw = json.loads(stored)
        pairs = {
            name: tuple((key, value) for key, value in raw.pop(name))
            for name in ("query", "headers", "context")
            if name in raw
        }
        return cls(**raw | pairs | {"content": base64.b64decode(raw["content"], validate=True)})


def blank(name: str, reference: str) -> str:
    """A place for what an earlier answer gives. It holds our reference, which nobody who writes an application knows:
    their words are never taken for one.
    """
    return f"{{{{{name}:{reference}}}}}"


GIVEN = re.compile(r"[A-Za-z0-9._~:@-]{1,200}")
"""What an answer may give to the requests after it."""


@dataclass(frozen=True)
class Reply:
    """A complete reply; header names in lower case. Of a mail server: its code, and its text as content."""

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


NotSentReason = Literal[
    "refused", "no-such-host", "tls", "connect-timeout", "not-connected", "withheld", "invalid-request",
    "credential-refused", "token-unavailable",
]  # fmt: skip
NoAnswerReason = Literal["deadline", "cut", "too-large", "failed"]


@dataclass(frozen=True)
class NotSent:
    """The partner has not taken it: not one byte left us, or it was refused with a complete 401 and not sent again."""

    reason: NotSentReason


@dataclass(frozen=True)
class NoAnswer:
    """It may have arrived and been carried out; there is no complete reply."""

    reason: NoAnswerReason


@dataclass(frozen=True)
class Hint:
    """An unproven word that something happened; the truth is read from the partner."""

    partner_id: str
    word: str
    reference: str | None = None
    """Ours, where the partner names it."""


@dataclass(frozen=True)
class Page:
    """One page of a feed. `entries` are the ids to acknowledge, where that is the custom."""

    hints: tuple[Hint, ...]
    cursor: str | None
    """Where the next page begins; None: where this one began."""
    more: bool = False
    entries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """An entry of a partner's closed list."""

    label: str
    value: str


@dataclass(frozen=True)
class Known:
    """What a partner has of us, as its list tells it."""

    partner_id: str
    reference: str | None
    """What it took as ours; of something sent elsewhere it may be anything, so it is compared and never shown."""
    words: str
    status: Status | None
    """None where its word is not known to us."""
    at: dt.datetime | None = None


@dataclass(frozen=True)
class Listing:
    """One page of all that a partner has of us. `unreadable` entries have no id that we could name."""

    entries: tuple[Known, ...]
    next_token: str | None = None
    unreadable: int = 0


@dataclass(frozen=True)
class Comparison:
    """What two papers of a match share, field by field, without a word of either."""

    id: str
    kind: str | None
    fields: Mapping[str, bool]


@dataclass(frozen=True)
class Present:
    """The partner has it, under this id."""

    partner_id: str


@dataclass(frozen=True)
class Absent:
    """The partner's complete answer does not have it, so far."""


@dataclass(frozen=True)
class Accepted:
    """The partner has it. `partner_id` is its id where the operation gives one, `report` its decision where that comes
    at once. `given` fills the requests after this one. An answer that lacks an id which it should have is `Unknown`.
    """

    partner_id: str | None = None
    report: Report | None = None
    given: Mapping[str, str] = field(default_factory=dict)


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


Found = Present | Absent | Unknown
Outcome = Accepted | PartlyAccepted | Rejected | Duplicate | RetryLater | CredentialRefused | Unknown
