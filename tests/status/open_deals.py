"""Opportunities whose next look is due, as old as a test wants them; and the calls that their partner made."""

import datetime as dt
import random
from typing import Any

from tests import support
from tests.status.bench import PARTNER, Bench, Deal

from lendrail.contracts.terms import Report, Status
from lendrail.runtime.clock import utc_now

HOUR = 3600.0


def ago(seconds: float) -> dt.datetime:
    return utc_now() - dt.timedelta(seconds=seconds)


async def put(bench: Bench, status: Status, seen: float, since: float | None = None, **fetch: Any) -> str:
    """An opportunity whose look is due, seen and standing so for so many seconds."""
    deal = Deal()
    words = Report(status=status, words=status.value)
    await bench.deliver(deal.ack(report=words))
    times = {"seen_at": ago(seen), "since": ago(since if since is not None else seen), "reason": "sweep"} | fetch
    fields = {"due": ago(1)} | {f"fetch.{name}": value for name, value in times.items()}
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": fields})
    return str(deal.id)


async def history(bench: Bench, silent_hours: float, weeks: int = 3) -> None:
    """Calls at all hours of some weeks, and then none."""
    chance, now = random.Random(7), utc_now()
    last = int((now.timestamp() - silent_hours * HOUR) // 3600)
    slots = {str(hour): 1 << chance.randint(0, 5) for hour in range(last - weeks * 7 * 24, last + 1)}
    heard = dt.datetime.fromtimestamp(last * HOUR + 3599, dt.UTC)
    names = {"tenant": support.TENANT, "partner": PARTNER, "slots": slots, "first": last - weeks * 7 * 24}
    await bench.parts.watch._callers.collection.insert_one({"_id": support.CREDENTIAL, "heard_at": heard} | names)
