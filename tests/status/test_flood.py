"""A thousand forged calls a second: nobody is asked about ids that we do not have, and once in a window about one that
we have. The windows grow, so a flood that lasts costs less and less.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

from tests import make, support
from tests.sandbox.process import Sandbox
from tests.status.bench import Bench
from tests.status.looking import accepted, looks
from tests.status.looking import bench as bench
from tests.status.looking import running as running
from tests.status.looking import sandbox as sandbox

from lendrail.contracts.event import read_envelope
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.runtime.step import Delivery

SECONDS, RATE, BATCH = 4, 1000, 50
FIRST_WINDOW = 1.0


async def forged(bench: Bench, calls: Sequence[PartnerWebhook]) -> list[Delivery[Any]]:
    """As they come from Kafka; one key for all."""
    key = (await bench.service.vault.create([calls[0].key_id]))[calls[0].key_id]
    return [Delivery(each, read_envelope(list(make.record(each, key).headers)), key) for each in calls]


async def flood(bench: Bench, deliveries: Sequence[Delivery[Any]]) -> float:
    """Hand them over at that rate, or as fast as they are taken; how long it took."""
    began = time.monotonic()
    for at in range(0, len(deliveries), BATCH):
        await asyncio.sleep(began + at / RATE - time.monotonic())
        await bench.parts.handlers.on_partner_webhook(deliveries[at : at + BATCH])
    return time.monotonic() - began


async def test_unknown_ids_cost_no_call_at_the_partner(bench: Bench, sandbox: Sandbox) -> None:
    known = await accepted(bench, sandbox, "approve")
    before = sandbox.summary()
    calls = [known.webhook(f"FAKE.forged.{n}") for n in range(SECONDS * RATE)]
    await flood(bench, await forged(bench, calls))
    await asyncio.sleep(1)
    assert sandbox.summary() == before


async def test_a_known_id_costs_one_look_in_each_window(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    await bench.deliver(deal.webhook())

    async def seen() -> bool:
        return looks(sandbox, deal) > 0 and (await bench.document(deal.id))["status"] == "approved"

    await support.eventually(seen)
    before = looks(sandbox, deal)
    took = await flood(bench, await forged(bench, [deal.webhook() for _ in range(SECONDS * RATE)]))
    windows = math.log2(took / FIRST_WINDOW + 1)
    assert 1 <= looks(sandbox, deal) - before <= 2 + windows
    assert (await bench.document(deal.id))["fetch"]["quiet"] >= 2, "the windows grow"


async def test_a_drip_is_slowed_down_like_a_flood(bench: Bench, sandbox: Sandbox) -> None:
    """A call now and then, each a moment after the look that followed the one before."""
    deal = await accepted(bench, sandbox, "approve")
    await bench.deliver(deal.webhook())

    async def seen() -> bool:
        return looks(sandbox, deal) > 0 and (await bench.document(deal.id))["status"] == "approved"

    await support.eventually(seen)
    before = looks(sandbox, deal)
    for _ in range(10):
        await bench.deliver(deal.webhook())
        await asyncio.sleep(1.2)
    assert looks(sandbox, deal) - before <= 10, "each call costs two looks"
