"""Approvals of live credentials, beside the pauses: nothing goes through a live credential that nobody approved.

What was approved is a place: whose credential it is, at which partner, in which mode, and to which addresses it sends.
A credential that later points somewhere else needs another approval; new secrets for the same place need none. The last
word rests with the credential, and every partner port asks for it before each call.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from lendrail.runtime.holds import say
from lendrail.runtime.mongo import Collection


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What was said last of a credential. `at` is the server's time; `reason` is sealed."""

    action: str
    """Id of the record that says who, what and why."""
    at: dt.datetime
    approved: bool
    """False: an earlier approval was taken back."""
    place: str
    """What it is bound to: `Credential.place`."""
    by: str
    reason: str


class Approvals:
    """The approvers' side of `partners.credentials`."""

    def __init__(self, state: Collection) -> None:
        self._state = state

    async def say(self, credential: str, word: Approval) -> None:
        """Every port obeys within a moment. A word that is older than the last one changes nothing."""
        await say(self._state, credential, "approval", word)

    async def said(self, credentials: Sequence[str]) -> dict[str, Approval]:
        """Of those of which anything was said."""
        wanted = {"_id": {"$in": list(credentials)}, "approval": {"$exists": True}}
        found = self._state.find(wanted, {"approval": 1})
        return {document["_id"]: Approval(**document["approval"]) async for document in found}
