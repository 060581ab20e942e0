"""Topics on a real Kafka: what the registry says, and nothing changes the second time."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lendrail.contracts.topics import TOPICS
from lendrail.local import topics


async def test_apply_is_idempotent_and_mends_what_differs(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("intake-mended", 1, 1, topic_configs={"retention.ms": "1000"})])
        first = await topics.apply(kafka, ["fresh", "mended"])
        async with asyncio.timeout(10):  # a broker describes what it was just told a moment later
            while set((await topics.apply(kafka, ["fresh", "mended"])).values()) != {"as it was"}:
                await asyncio.sleep(0.2)
        counts = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
    finally:
        await admin.close()
    assert first["intake-fresh"] == "created"
    assert first["intake-mended"] == "changed"
    for topic in TOPICS:
        assert counts[topic.name] == topic.partitions
        assert counts[topic.dead_letters] == 1
    assert counts["intake-mended"] == counts["intake-fresh"] > 1


def test_every_topic_has_its_dead_letters() -> None:
    names = {topic.name for topic in topics.wanted(["one"])}
    assert {f"{name}-dlq" for name in names if not name.endswith("-dlq")} == {n for n in names if n.endswith("-dlq")}
