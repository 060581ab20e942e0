"""Topics on a real Kafka: what the registry says, and nothing changes the second time."""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lendrail.contracts.topics import OUTCOMES, TOPICS
from lendrail.local import topics


async def test_apply_is_idempotent_and_mends_what_differs(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("intake-mended", 1, 1, topic_configs={"retention.ms": "1000"})])
        first = await topics.apply(kafka, ["fresh", "mended"], ["teller"])
        async with asyncio.timeout(10):  # a broker describes what it was just told a moment later
            while set((await topics.apply(kafka, ["fresh", "mended"], ["teller"])).values()) != {"as it was"}:
                await asyncio.sleep(0.2)
        counts = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
    finally:
        await admin.close()
    assert first["intake-fresh"] == "created"
    assert first["intake-mended"] == "changed"
    assert first["outcomes-teller"] == "created"
    assert counts["outcomes-teller"] == OUTCOMES.partitions
    assert "outcomes-teller-dlq" not in counts
    for topic in TOPICS:
        assert counts[topic.name] == topic.partitions
        assert counts[topic.dead_letters] == 1
    assert counts["intake-mended"] == counts["intake-fresh"] > 1


def test_the_tenants_file_says_whose_topics_are_needed(tmp_path: Path) -> None:
    tenants = [
        {"id": "one", "name": "One", "mode": "test", "upstreams": ["crm", "shop"], "outcomes": True},
        {"id": "two", "name": "Two", "mode": "live", "upstreams": ["desk"]},
    ]
    file = tmp_path / "tenants.json"
    file.write_text(json.dumps({"tenants": tenants}))
    assert topics.of_tenants(file) == (["crm", "shop", "desk"], ["one"])
    names = {topic.name for topic in topics.wanted(*topics.of_tenants(file))}
    assert {"intake-crm", "intake-desk-dlq", "outcomes-one"} <= names
    assert not {"outcomes-two", "outcomes-one-dlq"} & names
    file.write_text('{"tenants": [{"id": "secret-name"}]}')
    with pytest.raises(topics.TopicsError, match=r"tenants\.json cannot be read: ValidationError$"):
        topics.of_tenants(file)


def test_every_topic_has_its_dead_letters() -> None:
    names = {topic.name for topic in topics.wanted(["one"])}
    assert {f"{name}-dlq" for name in names if not name.endswith("-dlq")} == {n for n in names if n.endswith("-dlq")}
