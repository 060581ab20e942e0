"""The registry itself: every financing validation request (FVR) of every user, compared with all others.

A fold over the ledger. What a step would make of all FVRs that it touches is computed before it is recorded, so that a
record holds the whole change: the later twin of a registered document makes both duplicates, and paying out one of
them tells the other. Statuses follow the guide: REDU and DFIN are matches of the *same applicant*, whichever user
registered it; an exact match of another applicant is reported, and the FVR stays unique. A cancelled FVR matches
nothing any more, so its twin becomes unique again (what the partner does then is not published).
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect

Phase = Literal["pending", "registered", "financed", "cancelled"]
LIVE: frozenset[Phase] = frozenset({"registered", "financed"})
EXACT, PARTIAL = "EXCT", "PART"
"""The second word is this simulator's own: the partner does not publish it."""
NAMESPACE = uuid.UUID("9a4c2f0e-63b1-5a7d-8f3e-0c1d2b3a4f55")


@dataclass(slots=True)
class Fvr:
    id: str
    request_id: str
    user: str | None
    """None: of a lender who is no user of this sandbox."""
    dataset: str
    batch: str | None
    batch_id: str
    pool: str | None
    applicant: str
    amount: Mapping[str, str]
    documents: list[dict[str, Any]]
    word: str | None
    """A status that a dial wants to be told instead of the true one."""
    phase: Phase = "pending"
    status: str = "PNDG"
    at: str = ""
    """When it was matched."""

    @property
    def told(self) -> str:
        """The status as its user hears it."""
        return self.word if self.word and self.phase == "registered" else self.status


@dataclass(frozen=True, slots=True)
class Match:
    id: str
    other: Fvr
    kind: str


def derived(*words: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "\0".join(words)))


class Registry:
    def __init__(self) -> None:
        self.fvrs: dict[str, Fvr] = {}
        self.results: dict[str, tuple[str, list[str]]] = {}
        """Request id → its user and FVRs: of registrations, and of requests for statuses."""
        self.cancellations: dict[str, tuple[str, list[str]]] = {}
        self.activity: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._twins: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._by_dataset: dict[tuple[str | None, str], list[str]] = defaultdict(list)

    def apply(self, record: Record) -> None:
        """Follower of the ledger."""
        for effect in record.get("effects", ()):
            match effect["kind"]:
                case "leads":
                    self._registered(effect, record["user"])
                case "statusRequests" | "financings":
                    self.results.setdefault(effect["requestId"], (record["user"], effect["fvrs"]))
                case "cancellations":
                    self.cancellations[effect["cancellationId"]] = record["user"], effect["fvrs"]
                case "decisions":
                    self._decided(effect)

    def _registered(self, lead: Effect, user: str) -> None:
        self.results[lead["requestId"]] = user, [each["id"] for each in lead["fvrs"]]
        for each in lead["fvrs"]:
            self._keep(_fvr(each, lead, user))
            if lead["foreign"]:
                twin = _fvr(each | {"id": derived(each["id"], "foreign")}, lead, None)
                twin.phase, twin.status, twin.at = "registered", "REGU", lead["told"]
                self._keep(twin)
            self._tell(self.fvrs[each["id"]], "REGISTRATION_RECEIVED", lead["told"])

    def _keep(self, fvr: Fvr) -> None:
        self.fvrs[fvr.id] = fvr
        self._by_dataset[fvr.user, fvr.dataset].append(fvr.id)
        for document in fvr.documents:
            self._twins[_paper(document)].append(fvr.id)

    def _decided(self, effect: Effect) -> None:
        fvr = self.fvrs[effect["fvr"]]
        fvr.at = fvr.at or effect["told"]
        fvr.phase, fvr.status = effect["phase"], effect["status"]
        self._tell(fvr, "STATUS_CHANGED", effect["told"])

    def _tell(self, fvr: Fvr, event: str, at: str) -> None:
        if fvr.user is not None:
            names = {"request_identification": fvr.request_id, "submitter_data_set_identification": fvr.dataset}
            told = {"event_time": at, "event_type": event, **names, "financing_request_status": fvr.told}
            self.activity[fvr.user].append(told)

    def of(self, user: str, kind: str, value: str) -> list[Fvr]:
        """A user's own FVRs under an id of this kind, registrations in their order."""
        if kind == "request_identification":
            owner, ids = self.results.get(value, (None, []))
            return [self.fvrs[each] for each in ids] if owner == user else []
        if kind == "submitter_data_set_identification":
            return [self.fvrs[each] for each in self._by_dataset.get((user, value), ())]
        name = {"pool_identification": "pool", "batch_identification": "batch_id"}[kind]
        return [each for each in self.fvrs.values() if each.user == user and getattr(each, name) == value]

    def all_of(self, user: str) -> list[Fvr]:
        return [each for each in self.fvrs.values() if each.user == user]

    def matches(self, fvr: Fvr) -> list[Match]:
        """Of an FVR that is still compared; the others are those that anybody has registered or financed."""
        return self._matches(fvr, lambda other: other.phase) if fvr.phase in LIVE else []

    def _matches(self, fvr: Fvr, phase: Callable[[Fvr], Phase]) -> list[Match]:
        found: dict[str, Match] = {}
        for document in fvr.documents:
            for name in self._twins[_paper(document)]:
                other = self.fvrs[name]
                if other.id == fvr.id or phase(other) not in LIVE:
                    continue
                exact = any(_whole(document) == _whole(each) for each in other.documents)
                match_id = derived("match", *sorted((fvr.id, other.id)))
                found[match_id] = Match(match_id, other, EXACT if exact else PARTIAL)
        return list(found.values())

    def _status(self, fvr: Fvr, phase: Callable[[Fvr], Phase]) -> str:
        own = phase(fvr)
        if own != "registered":
            return {"pending": "PNDG", "financed": "FNCD", "cancelled": "CANC"}[own]
        twins = [
            each.other
            for each in self._matches(fvr, phase)
            if each.kind == EXACT and _same(each.other.applicant) == _same(fvr.applicant)
        ]
        if not twins:
            return "REGU"
        return "DFIN" if any(phase(twin) == "financed" for twin in twins) else "REDU"

    def step(self, fvrs: Iterable[Fvr], to: Phase, now: float) -> list[Effect]:
        """The decisions about these FVRs, and about all others whose status changes with them."""
        changes = {each.id: to for each in fvrs}

        def phase(fvr: Fvr) -> Phase:
            return changes.get(fvr.id, fvr.phase)

        touched = dict.fromkeys(changes) | dict.fromkeys(
            name for each in changes for document in self.fvrs[each].documents for name in self._twins[_paper(document)]
        )
        decided = []
        for name in touched:
            fvr = self.fvrs[name]
            status = self._status(fvr, phase)
            if name in changes or status != fvr.status:
                told = {"fvr": name, "phase": phase(fvr), "status": status, "told": stamp(now)}
                decided.append({"kind": "decisions", **told})
        return decided

    def duplicates(self, fvrs: Iterable[Fvr]) -> list[Effect]:
        """The exact matches that FVRs meet when they are registered."""
        return [
            {"kind": "duplicates", "fvr": fvr.id, "matchId": match.id, "ownUser": match.other.user == fvr.user}
            for fvr in fvrs
            for match in self._matches(fvr, lambda other: other.phase)
            if match.kind == EXACT
        ]


def _fvr(each: Mapping[str, Any], lead: Effect, user: str | None) -> Fvr:
    names = ("id", "dataset", "batch", "applicant", "amount", "documents")
    values = {name: each[name] for name in names}
    batch_id = derived(lead["requestId"], str(each["batch"]))
    return Fvr(
        request_id=lead["requestId"], user=user, batch_id=batch_id, pool=lead["pool"], word=lead["word"], **values
    )


def _same(text: str) -> str:
    return " ".join(text.split()).casefold()


def _paper(document: Mapping[str, Any]) -> tuple[str, ...]:
    """What two documents share at least, to be matched at all."""
    return document["type"], _same(document["number"]), _same(document["seller"])


def _whole(document: Mapping[str, Any]) -> tuple[str, ...]:
    amount = document["amount"]
    return (*_paper(document), _same(document["buyer"]), amount["currency"], amount["amount"])


def stamp(wall: float) -> str:
    """To the millisecond, as the partner's samples have it."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
