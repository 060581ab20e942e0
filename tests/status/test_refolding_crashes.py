"""kill -9 in the middle of folding again, on real Kafka and MongoDB: the next process goes on, and each opportunity is
changed, told and listed once.
"""

import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.deskwork import REASON, WORD, desk_of, unknown
from tests.status.process import Process
from tests.status.process import _topics as _topics
from tests.status.process import process as process

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Status
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once
from lendrail.status.desk.refolding import BATCH
from lendrail.status.desk.vocabulary import Place

MANY = BATCH * 2 + 20
ACTOR = Actor(support.TENANT, "test", "demo-operator", "r-1")


async def told(kafka: str, deals: list[Deal]) -> dict[str, set[tuple[str, bytes]]]:
    """Id and body of what the topic has about these, by opportunity."""
    wanted = {str(each.application_id): str(each.id) for each in deals}
    consumer: Any = AIOKafkaConsumer("status-updated", bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, set[tuple[str, bytes]]] = {each: set() for each in wanted.values()}
    polled = await consumer.getmany(timeout_ms=1500)
    while polled:
        for record in (record for of_partition in polled.values() for record in of_partition):
            if (name := wanted.get(record.key.decode())) is not None:
                found[name].add((dict(record.headers)["ce_id"].decode(), record.value))
        polled = await consumer.getmany(timeout_ms=300)
    await consumer.stop()
    return found


@pytest.mark.parametrize(
    "window",
    ["refolding.folded#2", "store.opportunities.after#2", "relay.opportunities.published#1", "store.words.after#1"],
)
async def test_killed_while_it_folds_again(process: Process, bench: Bench, kafka: str, window: str) -> None:
    deals = [Deal() for _ in range(MANY)]
    await bench.deliver(*(unknown(each) for each in deals))
    vocabulary, once = desk_of(bench).vocabulary, Once(uuid.uuid4().hex, "asked")
    place = Place(PARTNER, support.TENANT, "test")
    mapping = await vocabulary.map(ACTOR, place, WORD, Status.DECLINED, SensitiveText(REASON), once)
    process.start(kill_at=window)
    await support.eventually(process.died, 120)
    before = await vocabulary.collection.find_one({"_id": mapping})
    assert before is not None
    assert "done" not in before["refold"]
    await vocabulary.collection.update_one({"_id": mapping}, {"$unset": {"lease": ""}})  # as if its time were over
    process.start()

    async def done() -> bool:
        found = await vocabulary.collection.find_one({"_id": mapping, "refold.done": {"$exists": True}})
        waiting = await bench.opportunities.count_documents({"pending": {"$exists": True}})
        return found is not None and not waiting

    await support.eventually(done, 120)
    documents = {each["_id"]: each async for each in bench.opportunities.find({})}
    assert len(documents) == MANY
    for each in documents.values():
        assert (each["status"], each["version"], each["unmapped"]) == ("declined", 2, [])
        assert [(one["of"], one["before"], one["after"]) for one in each["refolded"]] == [
            (mapping, "in-review", "declined")
        ]
    on_topic = await told(kafka, deals)
    for name, records in on_topic.items():
        newest = documents[name]["outbox"][-1]
        assert records == {(newest["headers"]["ce_id"].decode(), newest["value"])}
