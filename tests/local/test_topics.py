"""Topics on a real Kafka: what the registry says, and nothing changes the second time."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from lendrail.contracts.topics import OUTCOMES, PUSH, TOPICS
from lendrail.local import topics


async def test_apply_is_idempotent_and_mends_what_differs(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("intake-mended", 1, 1, topic_configs={"retention.ms": "1000"})])
        members = ["fresh", "mended"], ["teller"], ["demo-caller"]
        first = await topics.apply(kafka, *members)
        async with asyncio.timeout(10):  # a broker describes what it was just told a moment later
            while set((await topics.apply(kafka, *members)).values()) != {"as it was"}:
                await asyncio.sleep(0.2)
        counts = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
        clocks = {
            name: await clock_of(admin, name) for name in ("push-demo-caller", "push-demo-caller-dlq", "intake-fresh")
        }
    finally:
        await admin.close()
    assert first["intake-fresh"] == "created"
    assert first["intake-mended"] == "changed"
    assert first["outcomes-teller"] == "created"
    assert counts["outcomes-teller"] == OUTCOMES.partitions
    assert "outcomes-teller-dlq" not in counts
    assert (counts["push-demo-caller"], counts["push-demo-caller-dlq"]) == (PUSH.partitions, 1)
    assert list(clocks.values()) == ["LogAppendTime", "CreateTime", "CreateTime"]
    for topic in TOPICS:
        assert counts[topic.name] == topic.partitions
        assert counts[topic.dead_letters] == 1
    assert counts["intake-mended"] == counts["intake-fresh"] > 1


async def clock_of(admin: AIOKafkaAdminClient, topic: str) -> str:
    """Whose clock the times of its records are."""
    asked = ConfigResource(ConfigResourceType.TOPIC, topic, {"message.timestamp.type": ""})
    (answer,) = await admin.describe_configs([asked])
    return {entry[0]: str(entry[1]) for entry in answer.resources[0][4]}["message.timestamp.type"]


def test_the_tenants_file_says_whose_topics_are_needed(tmp_path: Path) -> None:
    account = {"partner": "fake", "mode": "live", "webhookPath": "fake-webhook-path-0123456789abcdef"}
    calls, silent = account | {"credential": "two-calls", "push": "hint"}, account | {"credential": "two-silent"}
    tenants: list[dict[str, Any]] = [
        {"id": "one", "name": "One", "mode": "test", "upstreams": ["crm", "shop"], "outcomes": True},
        {"id": "two", "name": "Two", "mode": "live", "upstreams": ["desk"], "partners": [calls, silent]},
    ]
    file = tmp_path / "tenants.json"
    file.write_text(json.dumps({"tenants": tenants}))
    assert topics.of_tenants(file) == (["crm", "shop", "desk"], ["one"], ["two-calls"])
    names = {topic.name for topic in topics.wanted(*topics.of_tenants(file))}
    assert {"intake-crm", "intake-desk-dlq", "outcomes-one", "push-two-calls", "push-two-calls-dlq"} <= names
    assert not {"outcomes-two", "outcomes-one-dlq", "push-two-silent"} & names
    for bad in ("two calls", "two-dlq", "", "x" * 201):
        file.write_text(json.dumps({"tenants": [tenants[1] | {"partners": [calls | {"credential": bad}]}]}))
        with pytest.raises(topics.TopicsError):
            topics.of_tenants(file)
    file.write_text('{"tenants": [{"id": "secret-name"}]}')
    with pytest.raises(topics.TopicsError, match=r"tenants\.json cannot be read: ValidationError$"):
        topics.of_tenants(file)


def test_every_topic_has_its_dead_letters() -> None:
    names = {topic.name for topic in topics.wanted(["one"])}
    assert {f"{name}-dlq" for name in names if not name.endswith("-dlq")} == {n for n in names if n.endswith("-dlq")}
