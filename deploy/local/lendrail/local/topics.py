"""Kafka topics from the registry: created when missing, brought to the registry's partitions and retention otherwise.

Services need their topics before they start, with the final number of partitions: a consumer notices new ones late.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from lendrail.contracts.topics import (
    DEAD_LETTER_RETENTION_HOURS,
    INTAKE,
    OUTCOMES,
    PUSH,
    TOPICS,
    TopicTemplate,
    dead_letters_of,
)
from lendrail.runtime.directory import Tenants

HOUR_MS = 3_600_000
MAX_RECORD_BYTES = 4 * 1024 * 1024
"""An application of the largest size that the door takes, sealed field by field, with its headers."""
SETTLE_SECONDS = 20


@dataclass(frozen=True)
class Wanted:
    name: str
    partitions: int
    retention_ms: int
    timed_by_broker: bool = False

    @property
    def configs(self) -> dict[str, str]:
        told = {"retention.ms": str(self.retention_ms), "max.message.bytes": str(MAX_RECORD_BYTES)}
        return told | ({"message.timestamp.type": "LogAppendTime"} if self.timed_by_broker else {})


class TopicsError(Exception):
    """Kafka refused; the message names the topic and Kafka's error."""


class Members(NamedTuple):
    """Who has topics of their own."""

    upstreams: list[str]
    tenants: list[str]
    """With a topic of outcomes."""
    pushing: list[str]
    """Credentials whose partner calls by Kafka."""


def of_tenants(file: Path) -> Members:
    """Whom a tenants file names. Raises TopicsError."""
    try:
        found = Tenants.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise TopicsError(f"the tenants file {file.name} cannot be read: {type(error).__name__}") from None
    telling = [tenant.id for tenant in found.tenants if tenant.outcomes]
    return Members(list(found.by_upstream), telling, list(found.by_push))


def wanted(upstreams: Iterable[str], tenants: Iterable[str] = (), pushing: Iterable[str] = ()) -> list[Wanted]:
    """Every topic that a stack with these upstream systems and calling partners needs, dead letters included; and the
    topics of outcomes of these tenants, which we only write, so nothing of them can be a dead letter of ours.
    """
    alive = [Wanted(topic.name, topic.partitions, topic.retention_hours * HOUR_MS) for topic in TOPICS]
    alive += _family(INTAKE, upstreams) + _family(PUSH, pushing)
    dead = [Wanted(dead_letters_of(topic.name), 1, DEAD_LETTER_RETENTION_HOURS * HOUR_MS) for topic in alive]
    return alive + dead + _family(OUTCOMES, tenants)


def _family(family: TopicTemplate, members: Iterable[str]) -> list[Wanted]:
    kept, broker = family.retention_hours * HOUR_MS, family.timed_by == "broker"
    return [Wanted(family.name(each), family.partitions, kept, broker) for each in members]


async def apply(
    bootstrap: str,
    upstreams: Iterable[str],
    tenants: Iterable[str] = (),
    pushing: Iterable[str] = (),
    replication: int = 1,
) -> dict[str, str]:
    """Make the broker agree with the registry; says for each topic `created`, `changed` or `as it was`.

    Who has topics is as in `Members`. `replication` is for new topics only. Repeating it changes nothing. Raises
    TopicsError.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        needed = {topic.name: topic for topic in wanted(upstreams, tenants, pushing)}
        there = {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}
        missing = [topic for name, topic in needed.items() if name not in there]
        present = [topic for name, topic in needed.items() if name in there]
        await _create(admin, missing, replication)
        changed = await _grow(admin, [topic for topic in present if topic.partitions > there[topic.name]])
        changed |= await _configure(admin, present)
        await _settle(admin, needed)
        return {name: _said(name, missing, changed) for name in needed}
    except KafkaError as error:
        raise TopicsError(f"topics could not be applied: {type(error).__name__}") from error
    finally:
        await admin.close()


async def _settle(admin: AIOKafkaAdminClient, needed: dict[str, Wanted]) -> None:
    """Wait until the broker tells everyone what it has accepted: each partition with its leader."""
    for _ in range(SETTLE_SECONDS * 20):
        found = await admin.describe_topics(list(needed))
        led = {each["topic"]: sum(part["leader"] >= 0 for part in each["partitions"]) for each in found}
        if all(led.get(name, 0) >= topic.partitions for name, topic in needed.items()):
            return
        await asyncio.sleep(0.05)
    raise TopicsError(f"topics have no leader after {SETTLE_SECONDS} s")


def _said(name: str, missing: list[Wanted], changed: set[str]) -> str:
    if any(topic.name == name for topic in missing):
        return "created"
    return "changed" if name in changed else "as it was"


async def _create(admin: AIOKafkaAdminClient, topics: list[Wanted], replication: int) -> None:
    if not topics:
        return
    new = [NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.configs) for topic in topics]
    answer = await admin.create_topics(new)
    for name, code, *_ in answer.topic_errors:
        if code and for_code(code).__name__ != "TopicAlreadyExistsError":  # another run was quicker
            raise TopicsError(f"topic {name} could not be created: {for_code(code).__name__}")


async def _grow(admin: AIOKafkaAdminClient, topics: list[Wanted]) -> set[str]:
    if topics:
        answer = await admin.create_partitions({topic.name: NewPartitions(topic.partitions) for topic in topics})
        for name, code, *_ in answer.topic_errors:
            if code:
                raise TopicsError(f"topic {name} could not get its partitions: {for_code(code).__name__}")
    return {topic.name for topic in topics}


async def _configure(admin: AIOKafkaAdminClient, topics: list[Wanted]) -> set[str]:
    """Set what differs."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, t.name, dict.fromkeys(t.configs, "")) for t in topics]
    if not resources:
        return set()
    current: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for _code, _message, _kind, name, entries in answer.resources:
            current[name] = {entry[0]: entry[1] for entry in entries}
    different = [t for t in topics if not t.configs.items() <= current.get(t.name, {}).items()]
    if different:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, t.name, t.configs) for t in different])
    return {topic.name for topic in different}
