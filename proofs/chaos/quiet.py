"""Whether anybody still has something to do by himself, as the stores say. Partners are asked about what is open for as
long as it is, so that looks are due says nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from pymongo import MongoClient

from lendrail.status.polling.fetch import LEASE_SECONDS

WORK = (("submission", "opportunities"), ("notifications", "deliveries"), ("status", "imports"))
SOON = dt.timedelta(seconds=30)
LOOKS = ("opportunities", "feeds")
LONGEST_LOOK = dt.timedelta(seconds=15)
"""In a run, where partners are waited for some seconds."""


def due(mongo: str) -> int:
    """What submission, notifications and the reader of files have to do within the wait."""
    soon = {"due": {"$type": "date", "$lte": dt.datetime.now(dt.UTC) + SOON}}
    with MongoClient[dict[str, Any]](mongo) as client:
        return sum(client[database][name].count_documents(soon) for database, name in WORK)


def begun(mongo: str) -> int:
    """Looks whose process died: nobody begins them anew until their leases are over."""
    now = dt.datetime.now(dt.UTC)
    left = {"$gt": now, "$lt": now + dt.timedelta(seconds=LEASE_SECONDS) - LONGEST_LOOK}
    with MongoClient[dict[str, Any]](mongo) as client:
        return sum(client["status"][name].count_documents({"lease.until": left}) for name in LOOKS)
