"""What a partner is: declared facts and pure translations, all on this screen. What a partner lacks is None.

Nothing here does I/O. A channel carries a `Request` to the partner and brings a `Reply`; `outcome` says what it means.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from pydantic import SecretStr

from lendrail.contracts.application import Application
from lendrail.contracts.files import FileFormat
from lendrail.contracts.terms import FieldProblem, Report, Status
from lendrail.partners.channels.auth import AuthScheme
from lendrail.partners.exchange import (
    Choice,
    Comparison,
    Delivery,
    File,
    Found,
    Hint,
    Listing,
    Outcome,
    Page,
    Reply,
    Request,
)
from lendrail.partners.polling import Polling
from lendrail.partners.signatures import Headers, Proof

Options = Mapping[str, Any]
"""A tenant's settings for this partner, as in its tenants file; each partner checks them with its own model."""


class Capability(StrEnum):
    """What makes a repeat after an unknown outcome safe; it decides, never the kind of error."""

    KEYED = "A"  # the partner honours an idempotency key
    UNIQUE_REFERENCE = "B"  # it refuses a reference that it has seen
    SEARCHABLE = "C"  # it can be asked for our reference
    ASYNCHRONOUS = "D"  # it gives a request id first; a lost one is searched as in C
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
    """How often the same bytes may be sent again after an unknown outcome (A, B and harmless)."""
    key_life: float | None = None
    """How long the partner remembers an idempotency key (A); after it the operation counts as blind."""


@dataclass(frozen=True)
class Rate:
    requests: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be brought to a partner."""

    application: Application
    reference: str
    """Ours, fixed by opportunity and generation: a repeat never has another one."""
    options: Options
    planned_at: dt.datetime
    """In place of a clock: what is made of an order is the same whenever it is made."""
    documents: tuple[File, ...] = ()
    """For partners whose creation names the documents."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """How the partner calls us. Without `proof` a call is a hint only, from `addresses` where they are published."""

    proof: Proof | None = None
    addresses: tuple[str, ...] = ()
    hint: Callable[[bytes, str | None], Hint | None]
    """(body, id in the path where there is one); None where the body cannot be read."""
    report: Callable[[bytes], Report | None] | None = None
    """What a proven call says by itself, for partners that cannot be asked; None where it says nothing."""
    register: Callable[[str, SecretStr | None], Request] | None = None
    """(our address, the secret that shall prove its calls)."""
    event_id: Callable[[Headers, bytes], str | None] | None = None
    """(headers, body): the partner's id of what happened, the same when it calls again; see `events.py`. Only a proof
    that covers the id makes it count.
    """


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One list of all that happened at the partner, read from a cursor on; each entry is a hint.

    Pages overlap by `overlap` seconds of the partner's time where the cursor is a time, and what was seen is known by
    its content.
    """

    every: float
    """Seconds between looks."""
    request: Callable[[str | None, dt.datetime], Request]
    """(cursor of the page before, now); None: from the beginning."""
    page: Callable[[Reply], Page | None]
    """None where the reply cannot be read."""
    acknowledge: Callable[[tuple[str, ...]], Request] | None = None
    """Ids of entries that are stored here and may be forgotten there."""


Fetched = Mapping[str, tuple[Choice, ...]]
"""A partner's lists by name, as it last gave them; one that it never gave is not there."""


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Closed lists that a partner gives on request and may change at any time: fetched for each credential, kept, and
    fetched anew when they are `lifetime` seconds old. An old list stays in use until there is a newer one.
    """

    names: tuple[str, ...]
    lifetime: float
    request: Callable[[str], Request]
    read: Callable[[Reply], tuple[Choice, ...] | None]
    """None where the reply is no list."""
    into: Callable[[Options, Fetched], Options]
    """The account's options with the lists, for `check` and `create`."""


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """A question of an operator's that changes nothing at the partner.

    Its answer is read by `compare`; or it gives an id as `result`, under which `Partner.read` and `Partner.report` find
    how the application stands.
    """

    request: Callable[[str, Options], Request]
    """(id, options)."""
    about: Literal["application", "match"]
    """Whose id it is asked by: the partner's of our application, or that of a match which the partner reported."""
    compare: Callable[[Reply], tuple[Comparison, ...] | None] | None = None
    result: str | None = None


@dataclass(frozen=True, kw_only=True)
class Thread:
    """How a later document reaches a partner that gives no id: as an answer to our own creation."""

    delivery: Callable[[Options], Delivery]
    document: Callable[[Request, File, str, Options, dt.datetime], Request]
    """(the creation as it was sent, the file, our reference of it, options, now)."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the published matrix, the pre-flight and the tests read beside the operations."""

    country: str
    source: str
    """Where the facts are from."""
    required: tuple[str, ...] = ()
    """JSON pointers of canonical fields without which `check` speaks against the application."""
    documents: tuple[str, ...] = ()
    """Kinds of documents that it takes or asks for."""
    statuses: Mapping[str, Status] = field(default_factory=dict)
    """Its words and ours; any other word is held and shown."""
    vocabularies: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Its closed lists, by its name of the field."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """What the partner offers and we do not do, or what it does not offer, and why or with what consequence."""


@dataclass(frozen=True, kw_only=True)
class Partner:
    """A finance partner. `check` tells every reason at once why an application cannot go there as it stands."""

    name: str
    title: str
    kind: Literal["lender", "registry"] = "lender"
    """A registry clears applications for lenders and finances nothing itself."""
    auth: Mapping[str, AuthScheme]
    """Authentication schemes, as in the credentials file, and what makes the channel's headers of their settings."""
    rate: Rate | None = None
    """Published limit per credential."""
    operations: Mapping[str, Operation]
    facts: Facts

    check: Callable[[Application, Options], list[FieldProblem]]
    create: Callable[[Order], tuple[Request, ...]]
    """The calls that bring an application there, in their order; only for one that passed `check`. An
    `exchange.blank` in a later one stands for what the answers before it gave (`Accepted.given`)."""
    outcome: Callable[[Request, Reply], Outcome]
    """A reply that cannot be understood is `Unknown`, never an exception."""

    search: Callable[[str, Options], Request] | None = None
    """(our reference): whether the partner has it. `found` reads the answer."""
    found: Callable[[Request, Reply], Found] | None = None
    again: Callable[[Request], Request] | None = None
    """The same, marked as a possible duplicate: a person decided that it is sent again."""

    delivery: Callable[[Options], Delivery] | None = None
    """How documents travel, those that the creation names included."""
    document: Callable[[str, tuple[File, ...], Options], Request] | None = None
    """(partner id, at most `delivery().at_once` files, options)."""
    thread: Thread | None = None
    """In place of `document`, where there is no id."""
    update: Callable[[str, Order], Request] | None = None
    """(partner id, the application as it now stands)."""
    accept: Callable[[str, str, str | None, Options], Request] | None = None
    """(partner id, id of the offer, its variant, options): the applicant takes it."""
    withdraw: Callable[[str, str, Options], Request] | None = None
    """(partner id, one of our statuses that says why it ended, options)."""
    finance: Callable[[str, Options], Request] | None = None
    """Registries: the money flowed."""
    inquiries: Mapping[str, Inquiry] = field(default_factory=dict)
    """By operation."""
    lists: Lists | None = None

    read: Callable[[str], Request] | None = None
    report: Callable[[Reply], Report] | None = None
    index: Callable[[str | None], Request] | None = None
    """(page token): all that the partner has of us, whoever sent it. `listed` reads a page."""
    listed: Callable[[Reply], Listing | None] | None = None
    """None where the reply cannot be read."""
    poll: Polling = field(default_factory=Polling)
    webhook: Webhook | None = None
    feed: Feed | None = None
    files: FileFormat | None = None
    """Of the statuses that it sends as files, where it publishes one; else the reference format."""

    @property
    def takes_later_documents(self) -> bool:
        return self.document is not None or self.thread is not None
