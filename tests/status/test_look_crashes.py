"""A look at a partner that keeps silent: whoever looks keeps it for as long as he lives, and another replica looks soon
after his death.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests import support
from tests.status.bench import Bench, Deal, credentials_file
from tests.status.process import Process
from tests.status.process import _topics as _topics
from tests.status.process import process as process

from lendrail.runtime import due
from lendrail.status.polling.fetch import LEASE_SECONDS

BODY = json.dumps({"stage": "Working"}).encode()
ANSWER = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY
SOON = 15.0
"""After a death: until the lease is over, and a free replica sees it on a machine that is busy."""


class Silent:
    """A partner that is asked, and answers each question when it is told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Event] = []
        self.recovered = False
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked.append(may := asyncio.Event())
                if not self.recovered:
                    await may.wait()
                writer.write(ANSWER)
                await writer.drain()
        writer.close()


@pytest.fixture
async def partner(tmp_path: Path) -> AsyncIterator[Silent]:
    partner = Silent()
    server = await asyncio.start_server(partner._serve, "127.0.0.1", 0)
    partner.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield partner
    server.close()
    for each in partner.asked:
        each.set()


async def test_another_replica_looks_soon_after_a_death(
    process: Process, bench: Bench, partner: Silent, tmp_path: Path
) -> None:
    credentials_file(tmp_path, partner.url)
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook())
    process.start()

    async def under_way() -> bool:
        return len(partner.asked) == 1

    await support.eventually(under_way, 40)
    bench.work()
    await asyncio.sleep(SOON)
    assert len(partner.asked) == 1, "while its process lives nobody else asks"
    assert process.running is not None
    process.running.kill()
    died = time.monotonic()
    partner.recovered = True

    async def taken_over() -> bool:
        return bool((await bench.document(deal.id))["status"] == "in-review")

    await support.eventually(taken_over, 40)
    assert time.monotonic() - died < SOON
    assert len(partner.asked) <= 3, "the look that died, one more, and its recheck at most"


async def test_a_look_that_comes_late_turns_nothing_back(bench: Bench, partner: Silent, tmp_path: Path) -> None:
    """Whoever was frozen for longer than his lease still brings the partner's word, of its own time."""
    credentials_file(tmp_path, partner.url)
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook())
    fetch, name = bench.parts.workers._fetch, [str(deal.id)]
    looks = []
    for lane in range(2):
        ((document, lease),) = await due.take(bench.opportunities, name, LEASE_SECONDS)
        looks.append(asyncio.create_task(fetch.look(document, lease, lane, "hint")))

        async def under_way(count: int = lane + 1) -> bool:
            return len(partner.asked) == count

        await support.eventually(under_way)
        await bench.opportunities.update_one({"_id": name[0]}, {"$unset": {"lease": ""}})
    told = []
    for look, may in reversed(list(zip(looks, partner.asked, strict=True))):
        may.set()
        await look
        told.append(await bench.document(deal.id))
    assert [each["status"] for each in told] == ["in-review", "in-review"]
    assert len(told[1]["observations"]) == len(told[0]["observations"]) + 1, "what it was told is kept"
    assert told[1]["fetch"]["seen_at"] == told[0]["fetch"]["seen_at"]
