"""Which of the calls that no opportunity claims are meant: for the list, and for whoever dismisses many at once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import Query
from pydantic import Field

from lendrail.contracts.terms import Model, Time
from lendrail.runtime.mongo import Document
from lendrail.status.imports.hearing import SOURCE as ROWS

Source: TypeAlias = Literal["webhook", "feed", "csv"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")]
WHERE: dict[Source, Document] = {
    "csv": {"source": ROWS},
    "webhook": {"source": {"$exists": False}, "mode": {"$exists": True}},
    "feed": {"source": {"$exists": False}, "mode": {"$exists": False}},
}
"""An entry of a feed says no mode; its account does."""
PROVEN, UNPROVEN = (True, None), (False,)
"""As `verified` is stored. Entries of a feed say nothing of it: we read them at the partner ourselves."""


class Sought(Model):
    """All that is stated must fit."""

    partner: Name | None = None
    credential: Name | None = None
    source: Source | None = None
    proven: bool | None = None
    received_from: Time | None = None
    received_to: Time | None = None

    def where(self) -> Document:
        """What is proven or not is always stated, so that one index finds each in the order of receipt."""
        verified = {None: PROVEN + UNPROVEN, True: PROVEN, False: UNPROVEN}[self.proven]
        received = {"$gte": self.received_from, "$lt": self.received_to}
        times = {operator: time for operator, time in received.items() if time is not None}
        named = {name: told for name in ("partner", "credential") if (told := getattr(self, name)) is not None}
        return {
            "verified": {"$in": list(verified)},
            **named,
            **(WHERE[self.source] if self.source else {}),
            **({"received_at": times} if times else {}),
        }


def sought(
    partner: Annotated[Name | None, Query()] = None,
    credential: Annotated[Name | None, Query()] = None,
    source: Annotated[Source | None, Query()] = None,
    proven: Annotated[bool | None, Query()] = None,
    received_from: Annotated[Time | None, Query(alias="receivedFrom")] = None,
    received_to: Annotated[Time | None, Query(alias="receivedTo")] = None,
) -> Sought:
    """A dependency: the same, from the parameters of a request."""
    return Sought(
        partner=partner,
        credential=credential,
        source=source,
        proven=proven,
        received_from=received_from,
        received_to=received_to,
    )


def is_proven(call: Document) -> bool:
    return call.get("verified") in PROVEN


def source_of(call: Document) -> Source:
    """Which way it came."""
    if call.get("source") == ROWS:
        return "csv"
    return "webhook" if "mode" in call else "feed"
