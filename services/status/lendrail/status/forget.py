"""What is left of an opportunity when its person was erased: that it was, and the ids by which a partner's late call is
still known as being about it, so that such a call is dropped and not kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from lendrail.contracts.terms import Status
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import emptied
from lendrail.status.desk.pins import PIN_UNTIL
from lendrail.status.desk.refolding import REFOLDED
from lendrail.status.desk.twins import MARKS, TWINS
from lendrail.status.folding.noted import NOTED
from lendrail.status.folding.observation import State

_SEALED = ("due", "fetch", "hints", "lease", REFOLDED, MARKS, "marked", TWINS, PIN_UNTIL, *NOTED)


class Forgetter:
    def __init__(self, opportunities: Collection) -> None:
        self._opportunities = opportunities

    async def forget(self, applications: Sequence[str]) -> None:
        """Drop what was heard of these applications. Nobody is told: a notice could not be sealed any more. Whoever
        folded at the same time finds another `rev` and starts again.
        """
        now = utc_now()
        state = State(status=Status.ERASED, source="person", observed_at=now)
        left: Document = {
            "status": state.status.value,
            "state": state.model_dump(mode="json", by_alias=True, exclude_none=True),
            "observations": [],
        }
        change = emptied()
        change["$set"] |= left
        change["$unset"] |= dict.fromkeys(_SEALED, "")
        change["$inc"] = {"rev": 1, "version": 1}
        await self._opportunities.update_many({"application_id": {"$in": list(applications)}}, change)
