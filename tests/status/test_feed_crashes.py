"""kill -9 while a feed is read, on real Kafka and MongoDB: thousands of entries of one moment, pages that end among
them, a registry whose clock is not ours. Nothing is lost, and what nobody knows waits once.
"""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests import support
from tests.status.bench import Bench, Deal
from tests.status.feeder import Feeder, answer
from tests.status.process import Process
from tests.status.process import _topics as _topics
from tests.status.process import process as process

from lendrail.contracts.terms import Report, Status
from lendrail.partners.monetago import profile
from lendrail.partners.monetago.results import stamp
from lendrail.runtime.clock import utc_now

CREDENTIAL = "demo-registry"
DEALS, STRANGERS, WORDS = 25, 150, 80
"""What the registry tells of: registrations of ours, others, and how often each of ours changed in one moment."""


@dataclass
class Registry(Feeder):
    """Its events in the order of their times, and how each registration stands; its clock is `ahead` of ours."""

    events: list[dict[str, Any]] = field(default_factory=list)
    standing: dict[str, str] = field(default_factory=dict)
    ahead: dt.timedelta = dt.timedelta(minutes=17)

    def happens(self, at: dt.datetime, registration: str, kind: str) -> None:
        self.events.append({"event_time": stamp(at), "event_type": kind, "request_identification": registration})

    def reply(self, method: str, target: str, body: bytes) -> bytes:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        date = f"date: {format_datetime(utc_now() + self.ahead, usegmt=True)}"
        if path.endswith("/token"):
            return answer(200, json.dumps({"access_token": "fake", "expires_in": 43_200, "token_type": "Bearer"}), date)
        if path.endswith("/activity"):
            self.asked.append(target)
            after, limit = query.get("after", [""])[0].upper(), int(query["limit"][0])
            told = [each for each in self.events if each["event_time"] > after][:limit]
            return answer(200, json.dumps({"activity": told}), date)
        name = path.rpartition("/")[2]
        shown = {"request_identification": name, "financing_request_status": self.standing[name]}
        return answer(200, json.dumps({"financing_validation_requests": [shown]}), date)


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with Registry().open() as registry:
        assert isinstance(registry, Registry)
        yield registry


@pytest.fixture
async def deals(registry: Registry, bench: Bench, process: Process, tmp_path: Path) -> list[Deal]:
    """Registered as unique long ago, as far as we know; one of them has turned duplicate since, and all were touched in
    one moment of the registry's own clock.
    """
    auth = {"scheme": "oauth-client", "tokenUrl": f"{registry.url}/token", "clientId": "demo", "clientSecret": "fake"}
    known = {"id": CREDENTIAL, "tenant": support.TENANT, "partner": "monetago", "mode": "test"}
    file = {"credentials": [known | {"baseUrl": f"{registry.url}/v1", "auth": auth}]}
    (tmp_path / "credentials.json").write_text(json.dumps(file))
    made = [Deal() for _ in range(DEALS)]
    for each in made:
        each.partner_id = str(uuid.uuid4())
        registry.standing[each.partner_id] = "REGU"
    registry.standing[made[-1].partner_id] = "REDU"
    report = Report(status=Status.IN_REVIEW, words="PNDG")
    place = {"partner": "monetago", "credential": CREDENTIAL}
    await bench.deliver(*(each.ack(report=report, **place) for each in made))
    far = utc_now() + dt.timedelta(days=1)
    await bench.opportunities.update_many({}, {"$set": {"due": far}})  # no sweep shall find what the feed tells
    moment = utc_now() + registry.ahead - dt.timedelta(seconds=2)
    for number in range(WORDS):
        for each in made:
            registry.happens(moment, each.partner_id, f"CHANGE_{number}")
    for _ in range(STRANGERS):
        registry.happens(moment, str(uuid.uuid4()), "CHANGE")
    assert len(registry.events) > 2 * profile.PAGE
    return made


@pytest.mark.parametrize(
    "window",
    [
        "feeds.stored#1",
        "feeds.stored#3",
        "feeds.moved#1",
        "feeds.moved#2",
        "store.feeds.before#2",
        "store.feeds.after#3",
        "store.orphans.before#1",
        "store.orphans.after#1",
        "partner.after#3",
        "store.opportunities.after#5",
    ],
)
async def test_killed_while_a_feed_is_read(
    process: Process, bench: Bench, registry: Registry, deals: list[Deal], window: str
) -> None:
    process.environment |= {"LENDRAIL_LONGEST_WAIT_SECONDS": "1"}
    process.start(kill_at=window)
    await support.eventually(process.died, 90)
    for collection in (bench.parts.feeds.collection, bench.opportunities):
        await collection.update_many({}, {"$unset": {"lease": ""}})  # as if its time were over
    process.start()
    wanted = {str(each.id): "approved" for each in deals} | {str(deals[-1].id): "duplicate"}

    async def all_seen() -> bool:
        found = {each["_id"]: each["status"] async for each in bench.opportunities.find({}, {"status": 1})}
        waiting = await bench.opportunities.count_documents({"pending": {"$exists": True}})
        return found == wanted and not waiting

    async def all_kept() -> bool:
        return await bench.parts.orphans.count_documents({}) == STRANGERS

    await support.eventually(all_kept, 90)
    await support.eventually(all_seen, 60)
    turns = len(registry.asked)

    async def read_again() -> bool:
        return len(registry.asked) > turns + 1

    await support.eventually(read_again, 60)
    assert await bench.parts.orphans.count_documents({}) == STRANGERS, "what comes again is known"
    for each in deals:
        document = await bench.document(each.id)
        assert [one["source"] for one in document["observations"]] == ["ack", "fetch"], (
            "one look, asked for by the feed"
        )
    assert process.running is not None
    process.running.kill()  # it reads thousands of entries again and again; how it ends is asked elsewhere
