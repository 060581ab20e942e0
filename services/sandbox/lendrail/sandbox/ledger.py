"""What one simulated partner knows: counters and an index in memory, everything else in its journal.

A record has `effects`, each with a `kind`, and the kinds are the lists of the view. Every partner calls an application
that it took `leads`, a document `attachments`, and what it took a second time or recognised `duplicates`; for what else
it does it has its own kinds.
All state of the sandbox is a fold over records: a follower sees each record once when it is written, and all of them
again at the next start.
"""

import secrets
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from lendrail.sandbox.journal import Journal, Record

Effect = dict[str, Any]
Follower = Callable[[Record], None]
LISTS = ("leads", "attachments", "duplicates", "registrations", "decisions", "webhooks", "triggers")


def moment(wall: float) -> str:
    """Seconds since 1970 as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds")


def event(effects: list[Effect], reference: str | None = None, dials: list[str] | None = None) -> Record:
    """A record of something that happened without a call: a decision, a webhook sent."""
    return {
        "type": "event",
        "at": moment(time.time()),
        "monotonic": time.monotonic(),
        "reference": reference,
        "dials": dials or [],
        "effects": effects,
    }


class Ledger:
    """The partner's books; `commit` returns when the record would survive a kill -9."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._followers: list[Follower] = []
        self._by_reference: dict[str, array[int]] = {}
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self.salt = ""

    def follow(self, follower: Follower) -> None:
        """Register before `restore`."""
        self._followers.append(follower)

    def restore(self, *also: Follower) -> None:
        """Fold the journal into memory; `also` see the old records only. Raises LedgerDamaged."""
        for offset, record in self._journal.replay():
            self._apply(record)
            for follower in also:
                follower(record)
            self._index(offset, record)

    async def open(self) -> None:
        """A new ledger gets a salt, which makes its foreign ids unlike those of any other ledger. Before serving."""
        if not self.salt:
            await self.commit({"type": "opened", "at": moment(time.time()), "salt": secrets.token_hex(8)})

    async def commit(self, record: Record) -> None:
        """State changes before the first await, so two calls in a row cannot both believe they are the first."""
        offset, written = self._journal.append(record)
        self._index(offset, record)
        self._apply(record)
        await written

    def _apply(self, record: Record) -> None:
        for follower in self._followers:
            follower(record)

    def _index(self, offset: int, record: Record) -> None:
        if record["type"] == "opened":
            self.salt = record["salt"]
        if record["type"] == "call":
            self._counts["calls"] += 1
            self._counts["rateViolations"] += record["tooSoon"]
            self._statuses[f"{record['operation']} {record['status']}"] += 1
        for effect in record.get("effects", ()):
            self._counts[effect["kind"]] += 1
        if reference := record.get("reference"):
            self._by_reference.setdefault(reference, array("Q")).append(offset)

    @property
    def healthy(self) -> bool:
        return self._journal.failure is None

    def summary(self) -> dict[str, Any]:
        """Counts only: the cost does not depend on how much was recorded."""
        counts = dict.fromkeys((*LISTS, "calls", "rateViolations"), 0) | self._counts
        return {"counts": counts, "rateViolations": counts["rateViolations"], "callsByStatus": dict(self._statuses)}

    def view(self, reference: str | None, bodies: bool) -> dict[str, Any]:
        """Everything, or what concerns one reference; reads the file, so run it in a thread."""
        chosen: Iterable[int] | None = None if reference is None else tuple(self._by_reference.get(reference, ()))
        lists: dict[str, list[Any]] = defaultdict(list, {name: [] for name in (*LISTS, "calls")})
        for record in self._journal.records(chosen):
            _add(lists, record, bodies)
        counts: dict[str, int] = {name: len(items) for name, items in lists.items()}
        counts["rateViolations"] = sum(call["tooSoon"] for call in lists["calls"])
        return {**lists, "rateViolations": counts["rateViolations"], "counts": counts}


def _add(lists: dict[str, list[Any]], record: Record, bodies: bool) -> None:
    about = {name: record[name] for name in ("at", "monotonic", "user", "reference") if name in record}
    for effect in record.get("effects", ()):
        item = about | effect
        if not bodies:
            item.pop("body", None)
        lists[item.pop("kind")].append(item)
    if record["type"] == "call":
        lists["calls"].append({name: value for name, value in record.items() if name not in ("type", "effects")})
