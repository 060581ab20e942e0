"""Operators pause and resume partners. Who, what and why is recorded before it takes effect.

The record is never changed. It carries the server's time, and of two words to one credential the later one counts; so
a repeated request gives its first answer and undoes nothing that was said since.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Model
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenants
from lendrail.runtime.holds import Hold, Holds
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key
from lendrail.submission.operators.actions import Actions

LONGEST_MINUTES = 60 * 24 * 90
What = Literal["pause", "resume"]
SAID: dict[What, str] = {"pause": "partner-paused", "resume": "partner-resumed"}
"""In the audit."""


class Resuming(Model):
    """Why, and whether it is meant for all tenants."""

    reason: SensitiveText
    all_tenants: bool = Field(default=False, strict=True)


class Pausing(Resuming):
    minutes: Annotated[int, Field(strict=True, ge=1, le=LONGEST_MINUTES)] | None = None
    """None: until it is resumed."""


@dataclass(frozen=True)
class Done:
    answer: dict[str, Any]
    replayed: bool


class Pauses:
    """Operators' words to partners, and their effect."""

    def __init__(self, actions: Actions, holds: Holds, tenants: Mounted[Tenants]) -> None:
        self._actions, self._holds, self._tenants = actions, holds, tenants

    async def key(self) -> Key:
        """Opens reasons."""
        return await self._actions.key()

    def accounts(self, caller: Caller, partner: str | None = None) -> list[PartnerAccount]:
        """The caller's own, in the caller's mode."""
        tenant = self._tenants.current.by_id.get(caller.tenant_id)
        mine = tenant.partners if tenant else ()
        return [each for each in mine if each.mode == caller.mode and partner in (None, each.partner)]

    async def carry_out(
        self, caller: Caller, what: What, partner: str, told: Resuming, idempotency: str, request: str
    ) -> Done:
        """`request`: its id. Raises `Problem`."""
        self._check(caller, partner, told)
        document, replayed = await self._recorded(caller, what, partner, told, idempotency, request)
        word = Hold(
            action=document["_id"], at=document["at"], paused=what == "pause", until=document.get("until"),
            by=document["who"], reason=document["why"],
        )  # fmt: skip
        if document["all_tenants"]:
            await self._holds.hold_partner(partner, caller.mode, word)
        else:
            await self._holds.hold(document["credentials"], word)
        return Done(_answer(document), replayed)

    def _check(self, caller: Caller, partner: str, told: Resuming) -> None:
        scope = "platform" if told.all_tenants else "operator"
        if scope not in caller.scopes:
            raise Problem(403, "forbidden", f"The token lacks a scope: {scope}.")
        if partner not in PARTNERS or (not told.all_tenants and not self.accounts(caller, partner)):
            raise Problem(404, "not-found", "There is no such partner, or you have no account there.")

    async def _recorded(
        self, caller: Caller, what: What, partner: str, told: Resuming, idempotency: str, request: str
    ) -> tuple[Document, bool]:
        """The record of this request, and whether it was there before. Raises `Problem` when the key was another's."""
        minutes = told.minutes if isinstance(told, Pausing) else None
        about: Document = {
            "what": what,
            "partner": partner,
            "all_tenants": told.all_tenants,
            "credentials": [] if told.all_tenants else [each.credential for each in self.accounts(caller, partner)],
        }
        return await self._actions.record(
            caller, idempotency, request, said=SAID[what], about=about, why=told.reason, minutes=minutes,
            told=[what, partner, caller.mode, told.all_tenants, minutes],
            noted={"tenants": "all"} if told.all_tenants else None,
        )  # fmt: skip


def _answer(document: Document) -> dict[str, Any]:
    until: dt.datetime | None = document.get("until")
    fields = {
        "partner": document["partner"],
        "mode": document["mode"],
        "paused": document["what"] == "pause",
        "allTenants": document["all_tenants"],
        "credentials": document["credentials"] or None,
        "at": document["at"].isoformat(),
        "until": until.isoformat() if until else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
