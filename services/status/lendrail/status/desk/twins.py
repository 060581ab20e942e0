"""Two opportunities at one account of a partner that may be the same deal.

What can be known of that here: the same person or business asks for the same (keyed hashes, made when an application
was validated, unreadable without our key), both bear the same reference of the tenant's own, or the partner gave both
the same id. Validation refuses twins within its window; these are those that came later, or by another way. Each side
writes first and then looks for the other; whether both are still open is seen when they are shown.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from lendrail.contracts.application import Application
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.runtime.fingerprint import derive, fingerprints
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.status.folding.decided import FINAL

By = Literal["same-wish", "same-reference", "same-partner-id"]
PURPOSE = b"lendrail deals that look alike"
MARKS, TWINS = "marks", "twins"
_BY: dict[str, By] = {"w": "same-wish", "r": "same-reference"}
MOST_ALIKE = 20
"""Where more open opportunities than these bear one mark, it tells nothing: a number that all customers state, or a
test that sends one application over and over.
"""
MOST_READ = 400


@dataclass(frozen=True, slots=True)
class Marked:
    """How an opportunity's application is known again, as of a revision."""

    application: str
    credential: str
    revision: int
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    by_opportunity: Mapping[str, Marked]

    def documents(self) -> list[Document]:
        """As they were just stored, as far as twins are concerned."""
        return [
            {"_id": name, "application_id": each.application, "credential": each.credential, MARKS: each.marks}
            for name, each in self.by_opportunity.items()
        ]

    def fields(self, opportunity: str) -> dict[str, Any]:
        """For the write that stores the event; an older revision changes nothing."""
        known = self.by_opportunity.get(opportunity)
        if known is None or not known.marks:
            return {}
        newest = {"$gte": [known.revision, {"$ifNull": ["$marked", 0]}]}
        return {
            MARKS: {"$cond": [newest, {"$literal": list(known.marks)}, f"${MARKS}"]},
            "marked": {"$max": [known.revision, "$marked"]},
        }


class Twins:
    """Finds them when something is heard, and lists those that are open."""

    def __init__(self, opportunities: Collection, master: bytes) -> None:
        self._opportunities, self._key = opportunities, derive(master, PURPOSE)

    async def prepare(self) -> None:
        create, text = self._opportunities.create_index, {"$type": "string"}
        await create([("credential", ASCENDING), (MARKS, ASCENDING)], partialFilterExpression={MARKS: text})
        whose = [("tenant", ASCENDING), ("mode", ASCENDING), (f"{TWINS}.id", ASCENDING)]
        await create(whose, partialFilterExpression={f"{TWINS}.id": text})

    def of(self, events: Iterable[ApplicationValidated]) -> Alike:
        """By opportunity: how the application is known again. Tenants are told apart."""
        found: dict[str, Marked] = {}
        for event in events:
            marks = self._marks(event) if event.eligible else []
            for fit in event.eligible:
                place = str(event.application_id), fit.credential
                found[str(fit.opportunity_id)] = Marked(*place, event.revision, tuple(marks))
        return Alike(found)

    def _marks(self, event: ApplicationValidated) -> list[str]:
        application = event.application
        wishes = (f"w:{each}" for each in fingerprints(self._key, event.tenant_id, application))
        return sorted({*wishes, *self._references(event.tenant_id, application)})

    def _references(self, tenant: str, application: Application) -> Iterator[str]:
        for each in application.external_references:
            text = "|".join((tenant, each.system, each.kind, each.value))
            yield f"r:{hmac.digest(self._key, text.encode(), 'sha256').hex()}"

    async def validated(self, alike: Alike) -> None:
        """These were stored with their marks: look for others that have one."""
        wanted: dict[str, set[str]] = {}
        for each in alike.by_opportunity.values():
            wanted.setdefault(each.credential, set()).update(each.marks)
        clauses = [
            {"credential": credential, MARKS: {"$in": sorted(marks), "$type": "string"}}
            for credential, marks in wanted.items()
            if marks
        ]
        if not clauses:
            return
        own = alike.documents()
        both = [*own, *await self._found({"$or": clauses}, own)]
        places = [((each["credential"], mark), each) for each in both for mark in each[MARKS]]
        await self._note([(one, other, _BY[place[1][0]]) for place, one, other in _pairs(places)])

    async def answered(self, answers: Sequence[PartnerAck]) -> None:
        """These were stored: look for others with the same id at the partner."""
        own = {str(each.opportunity_id): _answered(each) for each in answers if each.partner_id}
        ids: dict[str, set[str]] = {}
        for each in own.values():
            ids.setdefault(each["credential"], set()).add(each["partner_id"])
        if not ids:
            return
        clauses = [
            {"credential": credential, "partner_id": {"$in": sorted(names), "$type": "string"}}
            for credential, names in ids.items()
        ]
        both = [*own.values(), *await self._found({"$or": clauses}, list(own.values()))]
        places = [((each["credential"], each["partner_id"]), each) for each in both]
        await self._note([(one, other, "same-partner-id") for _, one, other in _pairs(places)])

    async def _found(self, where: Document, own: Sequence[Document]) -> list[Document]:
        """Others that may still be decided."""
        fields = dict.fromkeys(("credential", "application_id", "partner_id", MARKS, TWINS), 1)
        others = {"_id": {"$nin": [each["_id"] for each in own]}, "status": {"$nin": [each.value for each in FINAL]}}
        return await self._opportunities.find({**where, **others}, fields).limit(MOST_READ).to_list()

    async def _note(self, pairs: Sequence[tuple[Document, Document, By]]) -> None:
        both = {(a["_id"], b["_id"], by) for one, other, by in pairs for a, b in ((one, other), (other, one))}
        known = {
            (each["_id"], twin["id"], twin["by"]) for pair in pairs for each in pair[:2] for twin in each.get(TWINS, ())
        }
        await asyncio.gather(*(self._mark(*each) for each in sorted(both - known)))

    async def _mark(self, one: str, other: str, by: By) -> None:
        twin = {"id": other, "by": by}
        where = {"_id": one, TWINS: {"$not": {"$elemMatch": twin}}, f"{TWINS}.{MOST_ALIKE}": {"$exists": False}}
        together = {"$concatArrays": [{"$ifNull": [f"${TWINS}", []]}, [{"$mergeObjects": [twin, {"since": "$$NOW"}]}]]}
        await self._opportunities.update_one(where, [{"$set": {TWINS: together}}])

    async def open(self, tenant: str, mode: str, limit: int) -> list[dict[str, Any]]:
        """Pairs of which both may still be decided, the oldest first."""
        fields = dict.fromkeys(("application_id", "partner", "credential", "partner_id", "status", TWINS), 1)
        live = {"status": {"$nin": [each.value for each in FINAL]}}
        mine: Document = {"tenant": tenant, "mode": mode, f"{TWINS}.id": {"$type": "string"}, **live}
        found = {each["_id"]: each async for each in self._opportunities.find(mine, fields).limit(2 * limit)}
        pairs: dict[tuple[str, ...], dict[str, Any]] = {}
        for each in found.values():
            for twin in each[TWINS]:
                if (other := found.get(twin["id"])) is not None:
                    place = (*sorted((each["_id"], other["_id"])), twin["by"])
                    pairs.setdefault(place, {"by": twin["by"], "since": twin["since"], "sides": (each, other)})
        return sorted(pairs.values(), key=lambda pair: pair["since"])[:limit]


def _answered(answer: PartnerAck) -> Document:
    about = {"_id": str(answer.opportunity_id), "application_id": str(answer.application_id)}
    return about | {"credential": answer.credential, "partner_id": answer.partner_id}


def _pairs(
    places: Iterable[tuple[tuple[str, str], Document]],
) -> Iterator[tuple[tuple[str, str], Document, Document]]:
    """Those at one place that are not of one application; where too many are, none."""
    groups: dict[tuple[str, str], list[Document]] = {}
    for place, each in places:
        groups.setdefault(place, []).append(each)
    for place, group in groups.items():
        if len(group) > MOST_ALIKE:
            continue
        for one, other in combinations(group, 2):
            if one["application_id"] != other["application_id"]:
                yield place, one, other
