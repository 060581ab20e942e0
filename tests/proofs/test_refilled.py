"""What is measured when Kafka is filled again: copies of true documents, and as many records as the commands say."""

import uuid
from typing import Any

from aiokafka import AIOKafkaProducer
from proofs.refilled import STORED, Published, checks, copied, events_of, records, table
from pymongo import MongoClient
from tests import support
from tests.contracts import test_rebuild

PUBLISHED = [Published(service, 300, 2.0, 2**27) for service in STORED]
SAID = """gateway: applications: 500 events of 400 of about 900 histories, 250/s
gateway: applications: all 900 events of 900 histories are published
gateway: webhooks: all 12 events of 12 histories are published
"""


def test_everything_that_is_published_is_multiplied() -> None:
    assert {owner: tuple(names) for owner, names in test_rebuild.STORED.items()} == STORED


def test_copies_have_ids_of_their_own_and_histories_stay_whole(mongo: str) -> None:
    report: dict[str, Any] = {"application": "a", "outbox": [1], "pending": "one", "idempotency": "k"}
    with MongoClient[dict[str, Any]](mongo) as client:
        reports = client[f"refilled-{uuid.uuid4().hex}"]["reports"]
        reports.insert_many([report | {"_id": f"{number}"} for number in range(2)])
        for number in (1, 2):
            reports.aggregate(copied("validation", "reports", number))
        found = list(reports.find({}).sort("_id"))
        client.drop_database(reports.database.name)
    assert [each["_id"] for each in found] == ["0", "0-x1", "0-x2", "1", "1-x1", "1-x2"]
    assert [each["application"] for each in found] == ["a", "a-x1", "a-x2"] * 2
    assert all(each["outbox"] == [1] for each in found)
    assert [sorted(each.keys() & {"pending", "idempotency"}) for each in found[:2]] == [["idempotency", "pending"], []]


def test_a_command_is_believed_only_as_far_as_kafka_has_its_events() -> None:
    assert events_of(SAID) == 912, "how far it was does not count"
    assert [check.kept for check in checks(PUBLISHED, 300, 1800)] == [True, True]
    assert [check.kept for check in checks(PUBLISHED, 300, 1799)] == [True, False]
    assert [check.kept for check in checks(PUBLISHED, 301, 1800)] == [False, True]
    nothing = [*PUBLISHED[:-1], Published("notifications", 0, 2.0, 2**27)]
    assert [check.kept for check in checks(nothing, 300, 1500)] == [False, True]


def test_the_table_has_a_line_for_all_together() -> None:
    assert table(PUBLISHED).rows[-1] == ("one after the other", "1800", "12.0", "150", "128")


async def test_every_record_is_counted_whoever_asks_for_its_topic(kafka: str) -> None:
    topic = f"filled-{uuid.uuid4().hex}"
    await support.topics(kafka, topic)
    before = await records(kafka)
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for place in (0, 1, 1):
        await producer.send_and_wait(topic, b"a record", partition=place)
    await producer.stop()
    assert await records(kafka) == before + 3
