"""Reading one application: whatever the facts tell, for the tenant that it belongs to. `lists.py` reads many."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import FieldProblem, Model, Reference
from lendrail.gateway import view
from lendrail.gateway.shapes import AmendmentView, ApplicationView, TimelineEntry
from lendrail.gateway.store import Applications, Facts, utc
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault

SAID: dict[str, type[view.Validated | view.Rejected | StatusUpdated]] = {
    "application-validated": view.Validated,
    "application-rejected": view.Rejected,
    "status-updated": StatusUpdated,
}


class Reader:
    """Answers callers about their own applications; another tenant's do not exist."""

    def __init__(
        self, applications: Applications, facts: Facts, vault: Vault, clock: Callable[[], dt.datetime] = utc_now
    ) -> None:
        self._applications, self._facts, self._vault, self._clock = applications, facts, vault, clock

    async def one(self, caller: Caller, application: str) -> ApplicationView:
        """Raises `Problem` 404."""
        document = None
        if is_id(application):
            document = await self._applications.one(caller.tenant_id, caller.mode, application)
        if document is None:
            raise Problem(404, "not-found", "You have no such application.")
        return await self.view(document)

    async def view(self, document: Document) -> ApplicationView:
        """How this stored application stands now."""
        return (await self.views([document]))[0]

    async def views(self, documents: Sequence[Document]) -> list[ApplicationView]:
        """Erasure is asked of the store, not of the keys that this process remembers. An application that is marked is
        erased, also while its key is still there, or there again out of a backup.
        """
        ids = [document["_id"] for document in documents]
        gone = await self._vault.erased(ids) | {each["_id"] for each in documents if "erasing" in each}
        keys = await self._vault.find(set(ids) - gone)
        facts = await self._facts.of(ids)
        now = self._clock()
        return [
            _erased(document)
            if document["_id"] not in keys
            else view.view(_received(document), _facts(facts[document["_id"]], keys[document["_id"]]), now)
            for document in documents
        ]


def shown(answer: Model) -> dict[str, Any]:
    """JSON for the owner, personal values in clear."""
    told: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_none=True, context={"reveal": True})
    return told


def is_id(text: str) -> bool:
    """Whether this is the canonical form of a UUID, the only one under which we store."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _received(document: Document) -> view.Received:
    return view.Received(
        application_id=uuid.UUID(document["_id"]),
        mode=document["mode"],
        door=document["door"],
        upstream=document["upstream"],
        received_at=utc(document["received"]),
        references=tuple(Reference(**reference) for reference in document["references"]),
        revision=document["revision"],
        amendments=tuple(map(_asked, document.get("amendments", ()))),
    )


def _erased(document: Document) -> ApplicationView:
    """With the time at which it was asked for, so that a walk along changes comes by."""
    shown = view.erased(_received(document))
    if "erasing" not in document:
        return shown
    at = utc(document["erasing"]["at"])
    entry = TimelineEntry(time=at, event="application-erased", service="gateway", status=shown.status)
    return shown.model_copy(update={"timeline": (entry,)})


def _asked(stored: Document) -> AmendmentView:
    problems = tuple(FieldProblem.model_validate(each) for each in stored.get("problems", ()))
    return AmendmentView(
        revision=stored.get("revision"),
        kind=stored["kind"],
        at=utc(stored["at"]),
        by=stored["by"],
        state="received" if "revision" in stored else "refused",
        opportunity_id=stored.get("opportunity"),
        partners=tuple(stored.get("partners", ())),
        document=stored.get("document"),
        problems=problems,
    )


def _facts(documents: Sequence[Document], key: Key) -> list[view.Fact]:
    return [
        view.Fact(
            id=fact["_id"],
            event=fact["event"],
            service=fact["service"],
            time=utc(fact["time"]),
            said=SAID[fact["event"]].model_validate(fact["said"], context={"key": key}),
        )
        for fact in documents
    ]
