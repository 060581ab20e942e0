"""What the parts of a chaos run tell one another: values without behaviour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["kill", "kill-at", "freeze", "server-kill", "network", "partner", "webhooks", "skew"]
"""SIGKILL of a service; SIGKILL at a labelled point; SIGSTOP and SIGCONT; SIGKILL of Kafka or MongoDB; the proxy
between us and somebody; a partner that behaves badly by its dials; its webhooks lost, doubled, out of order; a
service's clock.
"""
Door = Literal["rest", "kafka"]
Outcome = Literal["answered", "undelivered", "unanswered", "unknown"]
"""Of a call: its whole reply went back to one who was still there; not all of the request went to the partner; all of
it did, and not all of the reply came back; the proxy cannot tell.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is asked for."""

    seed: int
    seconds: float = 180.0
    """For how long faults are made; after that the run waits until all is quiet."""
    applications: int = 500
    kinds: frozenset[Kind]
    every: float = 4.0
    """Seconds between faults, on average."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, planned before the run begins."""

    at: float
    """Seconds after the run began."""
    kind: Kind
    target: str
    """A service, `kafka`, `mongo`, or a partner."""
    seconds: float
    """How long it lasts: until the service is started again, or the network is well again."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Of the kind: the label, the toxic, the dial, the skew in seconds."""


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A fault that was made, by the clock of the run (seconds after it began)."""

    fault: Fault
    began: float
    ended: float
    progress: float | None = None
    """Seconds from its end to the first progress of what it had stopped; None: there was nothing to do for it."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to a partner as the proxy between us saw it, whether a fault touched it or not.

    Of a lender that is reached by mail it is one mail; that is encrypted, so `body` and `marks` are empty.
    """

    partner: str
    began: dt.datetime
    ended: dt.datetime
    outcome: Outcome
    toxic: str | None
    """The kinds of the toxics that struck it, with commas; None: none did."""
    body: str = ""
    """SHA-256 of the request's body."""
    marks: tuple[str, ...] = ()
    """The words of the request that the proxy was told to look for: our references."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An application that we acknowledged, in the upstream's own ledger."""

    application: str
    door: Door
    at: dt.datetime
    mark: str
    """A word in the business's name that no other application has; by it a partner without our reference is asked."""
    partners: tuple[str, ...]
    wanted: Mapping[str, str]
    """What each partner's simulator decides on it by its amount: the final status that must be shown. Several where it
    depends on what came first (a document before or after the decision), with `|` between them.
    """
    withheld: tuple[str, ...] = ()
    """Of the partners those that must not have it in the end: a registry stops it before them, or they refuse it."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One record of an application in a partner's own ledger."""

    partner: str
    mark: str
    reference: str | None
    partner_id: str | None
    status: str | None = None
    """What the partner holds in the end, in our words; None: it never decided."""
    at: dt.datetime | None = None
    """When the call arrived that brought it, by the partner's own note."""
    told: bool = True
    """Whether anybody can know what it decided: it told us and got a 2xx for it, or it can be asked."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One notice as a subscriber got it; repeats too."""

    id: str
    application: str
    opportunity: str | None
    version: int
    content: str
    """SHA-256 of its body."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One opportunity as the gateway shows it in the end."""

    application: str
    opportunity: str
    partner: str
    status: str
    partner_id: str | None
    versions: tuple[int, ...]
    parked: bool
    """Whether a person has to decide."""
    induced: bool
    """Whether a call of it met a fault that leaves the outcome unknown, by the proxy's or the partner's notes."""


Word = tuple[str, dt.datetime]
"""A partner's word of a deal, and since when it holds."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a lender's list that is about one of ours."""

    mark: str
    partner: str
    opportunity: str
    names: tuple[str, ...]
    """The ids that stand in it."""
    said: tuple[Word, ...]


@dataclass(frozen=True, kw_only=True)
class File:
    """A lender's list of what it has, which was sent to us; in the ledger of who sent it."""

    name: str
    rows: tuple[Row, ...]
    strangers: tuple[str, ...]
    """Ids in it that nobody has."""
    ids: tuple[str, ...] = ()
    """The imports that we named when we took it, each time that it was sent; none: nobody acknowledged it."""
    again: int = 0
    """How often we said that it had been here before."""


@dataclass(frozen=True, kw_only=True)
class Filed:
    """All files that were sent, and what we have of them in the end."""

    files: Sequence[File] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    """By import, how it ended."""
    heard: Mapping[str, Sequence[Word]] = field(default_factory=dict)
    """By opportunity, what is stored of it that came by a file."""
    kept: Collection[str] = ()
    """Ids in the rows that are kept since nobody knows them."""
    changed: int = 0
    """Rows that brought another status."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was counted. What `verdict.ZERO` names must be empty."""

    accepted: int
    lost: tuple[str, ...] = ()
    """Acknowledged, and a partner has neither it nor a reason why not."""
    doubled: tuple[str, ...] = ()
    """In a partner's ledger more than once for one generation."""
    invented: tuple[str, ...] = ()
    """In a partner's ledger, and nobody sent it."""
    wrong: tuple[str, ...] = ()
    """Shown in another final status than the partner holds."""
    parked_without_reason: tuple[str, ...] = ()
    parked_with_reason: int = 0
    renumbered: tuple[str, ...] = ()
    """One version of the truth under two notice ids, or one id with two contents."""
    untold: tuple[str, ...] = ()
    """Versions that a subscriber never got."""
    repeated: int = 0
    """Notices that came again under their one id: allowed, and counted."""
    frozen_window: tuple[str, ...] = ()
    """Doubled inside the stated window of a process that was frozen within the send."""
    disordered: tuple[str, ...] = ()
    """Versions whose first notice came after that of a later version of the same opportunity."""
    files_lost: tuple[str, ...] = ()
    """Files that were taken, and not read to their end."""
    files_doubled: tuple[str, ...] = ()
    """Files that came again, and were taken for another one."""
    rows_lost: tuple[str, ...] = ()
    """Rows of files that were read to their end, and are neither heard nor kept."""
    rows_doubled: tuple[str, ...] = ()
    """Rows that are stored as more than one observation."""
    rows_invented: tuple[str, ...] = ()
    """What is stored as a file's word, and no file says."""
    files: int = 0
    """Files of lenders that were taken."""
    files_again: int = 0
    """How often one came again, and was recognised."""
    rows: int = 0
    """Rows of files about ours, each counted once, whatever files it came in."""
    rows_changed: int = 0
    """Those that brought another status."""
    strangers: int = 0
    """Rows that name nobody, and are kept."""
    opportunities: int = 0
    """Applications times partners: what was followed to its end."""
    settled: int = 0
    """Of these, those that show what the partner holds."""
    withheld: int = 0
    """Of these, those that no partner was to have, and none has."""
    never_told: int = 0
    """Of these, those whose decision the partner told nobody (its own ledger says so) and cannot be asked for."""
    superseded: int = 0
    """Versions that were tried, failed, and gave way to a newer one, as is promised."""
    calls: int = 0
    """Sends that may have left us, by the partners' notes and ours."""
    touched: int = 0
    """Of these, those that met a fault: how wide the word *induced* is."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        bad = (self.lost, self.doubled, self.invented, self.wrong, self.parked_without_reason, self.renumbered)
        files = (self.files_lost, self.files_doubled, self.rows_lost, self.rows_doubled, self.rows_invented)
        return not any((*bad, self.untold, self.disordered, *files))
