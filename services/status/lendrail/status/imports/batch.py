"""What one batch of rows does: matched, heard, or kept until somebody knows them. In a dry run: what it would do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lendrail.contracts.terms import Status
from lendrail.runtime.mongo import Document
from lendrail.runtime.tasks import end
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.fold import fold
from lendrail.status.folding.noted import UNMAPPED
from lendrail.status.folding.observation import Observation, State
from lendrail.status.folding.words import held
from lendrail.status.imports.hearing import Known, observations
from lendrail.status.imports.match import Found, Matcher, Whose
from lendrail.status.imports.orphaned import Orphaned
from lendrail.status.imports.rows import Row
from lendrail.status.store import Heard, Opportunities, Subject, cause_of, read, subject_of
from lendrail.status.timing import Timing

MOST_KEPT = 100_000
"""Rows of one file that name nobody; a file with more is hardly ours."""
ROUND, ROUNDS = 100, 4
"""Observations that are folded together, since that holds up everything else; and how many such rounds are under way:
some are written and told while others are folded. Two often kept step with one another, and then nobody worked
meanwhile.
"""
GOOD = frozenset({"changed", "heard", "known", "erased"})


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one row; `status` is that of its opportunity now."""

    row: int
    outcome: str
    opportunity: str | None = None
    status: str | None = None
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def is_problem(self) -> bool:
        return self.outcome not in GOOD or bool(self.faults)

    def stored(self) -> list[Any]:
        return [self.row, self.outcome, self.opportunity, self.status, [list(each) for each in self.faults]]

    @classmethod
    def of(cls, stored: Sequence[Any]) -> Line:
        row, outcome, opportunity, status, faults = stored
        return cls(row, outcome, opportunity, status, tuple((code, header) for code, header in faults))


class After(NamedTuple):
    """How an opportunity stands once a batch was heard."""

    status: str
    unmapped: frozenset[str] = frozenset()
    """Words that wait for a person."""


class Batch:
    def __init__(
        self, opportunities: Opportunities, matcher: Matcher, orphaned: Orphaned, timing: Timing, vault: Vault
    ) -> None:
        self._opportunities, self._matcher, self._orphaned = opportunities, matcher, orphaned
        self._timing, self._vault = timing, vault

    async def hear(self, document: Document, rows: Sequence[Row], counts: Mapping[str, int]) -> list[Line]:
        """`counts`: outcomes of the file so far."""
        whose = whose_file(document)
        sound = [row for row in rows if row.events]
        found = dict(zip((row.line for row in sound), await self._matcher.find(whose, sound), strict=True))
        heard = await self._new(document, [(row, each) for row in sound if (each := found[row.line].document)])
        after = await (self._foreseen(heard) if document["dry"] else self._stored(heard))
        fresh = {row for row, _ in heard}
        lines = [_line(row, found.get(row.line), row.line in fresh, after) for row in rows]
        unknown = [row for row, line in zip(rows, lines, strict=True) if line.outcome == "unknown-id"]
        kept = unknown[: max(0, MOST_KEPT - counts.get("unknown-id", 0))]
        if not document["dry"]:
            await self._orphaned.keep(document, kept)
        left = {row.line for row in unknown[len(kept) :]}
        return [Line(each.row, "fault", faults=(("not-kept", ""),)) if each.row in left else each for each in lines]

    async def _new(self, document: Document, matched: Sequence[tuple[Row, Document]]) -> list[tuple[int, Heard]]:
        """Each observation that is new, with the number of its row; none of a person who was erased."""
        known: dict[str, Known] = {}
        new: list[tuple[Row, Document, Observation, bytes | None]] = []
        for row, each in matched:
            if each["status"] == Status.ERASED:
                continue
            before = known.setdefault(each["_id"], Known(each))
            found = observations(row, each, before, document["received_at"])
            new += [(row, each, observation, raw) for observation, raw in found]
        keys: dict[str, Key] = await self._vault.find({each["application_id"] for _, each, _, _ in new})
        for _, each, _, _ in new:
            if each["application_id"] not in keys:
                each["status"] = Status.ERASED.value  # a moment ago
        cause = cause_of(document["cause"])
        return [
            (row.line, Heard(subject_of(each), observation, keys[each["application_id"]], cause, raw))
            for row, each, observation, raw in new
            if each["application_id"] in keys
        ]

    async def _stored(self, heard: Sequence[tuple[int, Heard]]) -> dict[str, After]:
        """How opportunities stand afterwards."""
        found: dict[str, After] = {}
        free = asyncio.Semaphore(ROUNDS)

        async def hear(some: list[Heard]) -> None:
            async with free:
                for id, document in (await self._opportunities.hear(some, self._due)).items():
                    words = frozenset(each["word"] for each in document.get(UNMAPPED, ()))
                    found[id] = After(document["status"], words)

        rounds = [asyncio.create_task(hear(some)) for some in _rounds(_by_opportunity(heard).values())]
        try:
            await asyncio.gather(*rounds)
        finally:
            await end(rounds)
        return found

    async def _foreseen(self, heard: Sequence[tuple[int, Heard]]) -> dict[str, After]:
        """The same without a write."""
        by_id = _by_opportunity(heard)
        found: dict[str, After] = {}
        for id, document in (await self._opportunities.find(list(by_id))).items():
            subject, key = by_id[id][0].subject, by_id[id][0].key
            together = [*read(document, key).observations, *(each.observation for each in by_id[id])]
            words = await self._opportunities.words(subject, together)
            unmapped = frozenset(held(together)).difference(words)
            found[id] = After(fold(together, words).status.value, unmapped)
        return found

    def _due(
        self, subject: Subject, document: Document | None, state: State, fresh: Sequence[Observation]
    ) -> Mapping[str, Any]:
        """Old rows are many and change nothing: they must not make us ask the partner about each."""
        if document is not None and document.get("status") == state.status.value:
            return {}
        return self._timing.after_event(subject, document, state, fresh)


def _by_opportunity(heard: Iterable[tuple[int, Heard]]) -> dict[str, list[Heard]]:
    found: dict[str, list[Heard]] = {}
    for _, each in heard:
        found.setdefault(each.subject.id, []).append(each)
    return found


def _rounds(by_opportunity: Iterable[list[Heard]]) -> Iterator[list[Heard]]:
    """All of one opportunity in one round."""
    some: list[Heard] = []
    for each in by_opportunity:
        some += each
        if len(some) >= ROUND:
            yield some
            some = []
    if some:
        yield some


def whose_file(document: Document) -> Whose:
    names = ("tenant", "mode", "partner", "credential")
    about = {name: document[name] for name in names}
    return Whose(**about, reference_system=document["format"].get("referenceSystem"))


def _line(row: Row, found: Found | None, fresh: bool, after: Mapping[str, After]) -> Line:
    if found is None:
        return Line(row.line, "fault", faults=row.faults)
    if found.fault is not None:
        return Line(row.line, "fault", faults=((found.fault, ""), *row.faults))
    if found.document is None:
        return Line(row.line, "unknown-id", faults=row.faults)
    opportunity, before = found.document["_id"], found.document["status"]
    now = after.get(opportunity, After(before))
    if before == Status.ERASED:
        return Line(row.line, "erased", opportunity)
    outcome = "known"
    if fresh:
        asked = any(event.status is None and event.words in now.unmapped for event in row.events)
        outcome = "unmapped" if asked else "changed" if now.status != before else "heard"
    return Line(row.line, outcome, opportunity, now.status, row.faults)
