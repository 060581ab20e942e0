"""Which opportunity a row is about. Ids that others gave are unique only within a credential, so a file has one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lendrail.contracts.terms import opportunity_id
from lendrail.runtime.mongo import Collection, Document
from lendrail.status.imports.rows import Row

EXTERNAL = "state.references.value"
FIELDS = (
    "application_id", "opportunity_id", "status", "partner_id", "ours", "former", "aliases", "state.references",
    "observations.id", "observations.source", "observations.at",
)  # fmt: skip
"""Beside those by which it was asked for."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose file it is."""

    tenant: str
    mode: str
    partner: str
    credential: str
    reference_system: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The opportunity of a row; `fault` where there is more than one that it could be."""

    document: Document | None = None
    fault: str | None = None


NOBODY = Found()
Name = tuple[str, str]
"""A kind of id and its value."""


class Matcher:
    def __init__(self, opportunities: Collection) -> None:
        self._opportunities = opportunities

    async def prepare(self) -> None:
        """Beside the indexes that opportunities have."""
        await self._opportunities.create_index([("credential", 1), (EXTERNAL, 1)])

    async def find(self, whose: Whose, rows: Sequence[Row]) -> list[Found]:
        """For each row, in their order."""
        named = [ids_of(whose, row) for row in rows]
        clauses = _clauses(named)
        if not clauses:
            return [NOBODY] * len(rows)
        about = {"tenant": whose.tenant, "mode": whose.mode, "partner": whose.partner, "credential": whose.credential}
        cursor = self._opportunities.find({"$or": [about | clause for clause in clauses]}, dict.fromkeys(FIELDS, 1))
        known: dict[Name, dict[str, Document]] = defaultdict(dict)
        for document in await cursor.to_list():
            document |= about
            for name in _names(whose, document):
                known[name][document["_id"]] = document
        return [_one(names, known) for names in named]


def ids_of(whose: Whose, row: Row) -> list[Name]:
    """The ids of a row as opportunities are known by them."""
    found = []
    for kind, value in row.keys.items():
        if kind == "applicationId":
            value = str(opportunity_id(uuid.UUID(value), whose.partner, whose.credential))
        found.append((_AS.get(kind, kind), value))
    return found


_AS = {"applicationId": "opportunityId"}


def _clauses(named: Iterable[Sequence[Name]]) -> list[Document]:
    wanted: dict[str, set[str]] = defaultdict(set)
    for names in named:
        for kind, value in names:
            wanted[kind].add(value)
    paths = {
        "opportunityId": ("_id",), "ourReference": ("ours",), "partnerId": ("partner_id", "former", "aliases"),
        "externalReference": (EXTERNAL,),
    }  # fmt: skip
    typed = {
        "partner_id": {"$type": "string"},
        "former": {"$type": "string"},
        "aliases": {"$type": "string"},
    }  # lets the partial indexes serve
    return [
        {path: {"$in": sorted(values)} | typed.get(path, {})} for kind, values in wanted.items() for path in paths[kind]
    ]


def _names(whose: Whose, document: Document) -> Iterable[Name]:
    yield "opportunityId", document["_id"]
    for value in document.get("ours", ()):
        yield "ourReference", value
    for value in (document.get("partner_id"), *document.get("former", ()), *document.get("aliases", ())):
        if value is not None:
            yield "partnerId", value
    for each in document.get("state", {}).get("references", ()):
        if whose.reference_system in (None, each["system"]):
            yield "externalReference", each["value"]


def _one(names: Iterable[Name], known: dict[Name, dict[str, Document]]) -> Found:
    """Of several ids all that are known must name the same; one that is known to several is settled by another."""
    sets = [known[name] for name in names if name in known]
    if not sets:
        return NOBODY
    common = set(sets[0]).intersection(*sets[1:])
    if len(common) == 1:
        (only,) = common
        return Found(sets[0][only])
    return Found(fault="ambiguous" if common else "ids-disagree")
