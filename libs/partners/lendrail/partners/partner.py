"""What a partner is: declared facts and pure translations, all on this screen. What a partner lacks is None.

Nothing here does I/O. A channel carries a `Request` to the partner and brings a `Reply`; `outcome` says what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem, Report
from lendrail.partners.exchange import Delivery, File, Outcome, Reply, Request

Options = Mapping[str, Any]
"""A tenant's settings for this partner, as in its tenants file; each partner checks them with its own model."""


class Capability(StrEnum):
    """What makes a repeat after an unknown outcome safe; it decides, never the kind of error."""

    KEYED = "A"  # the partner honours an idempotency key
    UNIQUE_REFERENCE = "B"  # it refuses a reference that it has seen
    SEARCHABLE = "C"  # it can be asked for our reference
    ASYNCHRONOUS = "D"  # it gives a request id first
    BLIND = "E"  # nothing helps: never twice without a person
    HARMLESS = "read"  # it changes nothing


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Facts of one operation; times in seconds."""

    capability: Capability
    deadline: float = 60.0
    """Total time for one call, the connection included."""
    processing: float = 120.0
    """The partner's longest processing time: an unknown outcome is not decided before it is over."""
    repeats: int = 0
    """How often the same bytes may be sent again after an unknown outcome."""


@dataclass(frozen=True)
class Rate:
    requests: int
    seconds: float


@dataclass(frozen=True)
class Hint:
    """An unproven word that something happened; the truth is read from the partner."""

    partner_id: str
    word: str


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """How the partner calls us. Scheme `none`: unsigned, so a hint only, from `addresses` where they are published."""

    scheme: Literal["none", "hmac"]
    addresses: tuple[str, ...] = ()
    hint: Callable[[bytes], Hint | None]
    """None where the body cannot be read."""
    register: Callable[[str], Request] | None = None


@dataclass(frozen=True, kw_only=True)
class Partner:
    """A finance partner. `check` tells every reason at once why an application cannot go there as it stands."""

    name: str
    title: str
    auth: frozenset[str]
    """Authentication schemes of its revisions, as in the credentials file."""
    key_header: str | None = None
    """Of the scheme `api-key`: the header that carries the key."""
    rate: Rate | None = None
    """Published limit per credential."""
    operations: Mapping[str, Operation]

    check: Callable[[Application, Options], list[FieldProblem]]
    create: Callable[[Application, str, Options], Request]
    """(application, our reference, options); only for an application that passed `check`."""
    outcome: Callable[[str, Reply], Outcome]
    """(operation, reply); a reply that cannot be understood is `Unknown`, never an exception."""

    delivery: Callable[[Options], Delivery] | None = None
    document: Callable[[str, tuple[File, ...], Options], Request] | None = None
    """(partner id, at most `delivery().at_once` files, options)."""
    read: Callable[[str], Request] | None = None
    report: Callable[[Reply], Report] | None = None
    webhook: Webhook | None = None
