"""Whether anybody still has something to do by himself, as the stores say. Partners are asked about what is open for as
long as it is, so that looks are due says nothing; and one whose process died is begun anew within seconds.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from pymongo import MongoClient

WORK = (("submission", "opportunities"), ("notifications", "deliveries"), ("status", "imports"))
SOON = dt.timedelta(seconds=30)


def due(mongo: str) -> int:
    """What submission, notifications and the reader of files have to do within the wait."""
    soon = {"due": {"$type": "date", "$lte": dt.datetime.now(dt.UTC) + SOON}}
    with MongoClient[dict[str, Any]](mongo) as client:
        return sum(client[database][name].count_documents(soon) for database, name in WORK)
