"""Who reads an opportunity waits for news of it, so its looks are worth more; and is told where there will be none."""

from __future__ import annotations

import datetime as dt
from typing import Any

import structlog

from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.status.polling.silence import OPEN

log = structlog.get_logger()
NOTED_EVERY = dt.timedelta(minutes=5)
"""Reading more often than that changes nothing."""
LOOKS_ENDED = "looks-ended"
"""Flag of an opportunity that is looked at no more, because there was no news for too long."""


async def asked_for(opportunities: Collection, document: Document) -> None:
    """Somebody read it. Where the store takes nothing just now, reading goes on."""
    fetch, now = document.get("fetch", {}), utc_now()
    if (
        "first" not in fetch
        or document["status"] not in OPEN
        or fetch.get("read_at", now - NOTED_EVERY) > now - NOTED_EVERY
    ):
        return
    followed = {"_id": document["_id"], "fetch.first": {"$type": "date"}}
    try:
        await opportunities.update_one(followed, [{"$set": {"fetch.read_at": "$$NOW"}}])
    except OUTAGES as error:
        log.warning("that somebody reads could not be noted", error=type(error).__name__)


def with_end(shown: dict[str, Any], document: Document) -> dict[str, Any]:
    """What is shown, with the flag and the time where it is looked at no more."""
    ended = document.get("fetch", {}).get("ended")
    if ended is None or "due" in document or document["status"] not in OPEN:
        return shown
    return shown | {"flags": [*shown.get("flags", ()), LOOKS_ENDED], "looksEndedAt": ended}
