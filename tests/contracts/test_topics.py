"""The registry against the services as they are built: it tells the truth both ways."""

import ast
import re
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from faststream import AckPolicy
from tests import support

from lendrail.contracts.outcome import Outcome
from lendrail.contracts.topics import FAMILIES, INTAKE, OUTCOMES, PUSH, TOPICS, TopicTemplate, dead_letters_of
from lendrail.runtime.service import Service

SERVICES = ("gateway", "validation", "documents", "submission", "status", "notifications")


@pytest.fixture
async def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Service]]:
    """Every service, built as in production; nothing is started."""
    for name, value in support.any_service(tmp_path, instance="one").items():
        monkeypatch.setenv(name, value)
    services = {}
    for name in SERVICES:
        settings = import_module(f"lendrail.{name}.settings").Settings()
        services[name] = import_module(f"lendrail.{name}.app").build(settings)[0]
    yield services
    for service in services.values():
        await service.client.close()
        await service.http.aclose()


def _subscribers(service: Service) -> Iterator[Any]:
    yield from service.broker.subscribers


def _says(subscriber: Any) -> str:
    return str(subscriber.topics[0].name) if subscriber.topics else _family_of(subscriber).prefix


def _family_of(subscriber: Any) -> TopicTemplate:
    (family,) = [family for family in FAMILIES if _pattern(subscriber).match(family.name("demo-crm"))]
    return family


def _pattern(subscriber: Any) -> re.Pattern[str]:
    return re.compile(getattr(subscriber.pattern, "broker_address", subscriber.pattern))


async def test_who_hears_what(built: dict[str, Service]) -> None:
    heard = {(name, _says(subscriber)) for name, service in built.items() for subscriber in _subscribers(service)}
    agreed = {(service, topic.name) for topic in TOPICS for service in topic.consumers}
    assert heard == agreed | {(service, family.prefix) for family in FAMILIES for service in family.consumers}


async def test_no_subscriber_loses_records(built: dict[str, Service]) -> None:
    """A committing policy or auto-commit would commit what failed."""
    groups = []
    for name, service in built.items():
        for subscriber in _subscribers(service):
            assert len(subscriber.topics) <= 1
            assert subscriber.ack_policy is AckPolicy.NACK_ON_ERROR
            assert subscriber._connection_args["enable_auto_commit"] is False
            topic = _says(subscriber).removesuffix("-")
            assert subscriber.group_id == f"{name}.{topic}"
            assert subscriber._connection_args["group_instance_id"] == f"one.{subscriber.group_id}"
            groups.append(subscriber.group_id)
    assert len(groups) == len(set(groups)) > 10


async def test_the_pattern_of_a_family_hears_its_topics_and_no_dead_letters(built: dict[str, Service]) -> None:
    patterns = [_pattern(each) for each in _subscribers(built["gateway"]) if each.pattern]
    assert len(patterns) == len(FAMILIES)
    for family in FAMILIES:
        name = family.name("demo-crm")
        assert [bool(pattern.match(name)) for pattern in patterns].count(True) == 1
        for other in (dead_letters_of(name), family.prefix, f"x-{name}", *(topic.name for topic in TOPICS)):
            assert not any(pattern.match(other) for pattern in patterns), other


def test_who_says_what(project: Path) -> None:
    """The service that states a fact is the one whose code makes an event of its class."""
    said = {(name, made) for name in SERVICES for made in _made(project / "services" / name / "lendrail" / name)}
    agreed = {(service, topic.event.__name__) for topic in TOPICS for service in topic.producers}
    assert said == agreed | {(service, Outcome.__name__) for service in OUTCOMES.producers}


def _made(folder: Path) -> set[str]:
    classes = {topic.event.__name__ for topic in TOPICS} | {Outcome.__name__}
    calls = (
        node.func.id
        for path in folder.glob("**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    return classes.intersection(calls)


def test_names() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    for topic in TOPICS:
        module = topic.event.__module__.rpartition(".")[2]
        assert topic.name == module.replace("_", "-")
        assert topic.event.__name__ == "".join(part.capitalize() for part in topic.name.split("-"))
        assert topic.dead_letters == f"{topic.name}-dlq"
        assert topic.event.type() == f"io.lendrail.{topic.name}.v1"


def test_a_tenants_topic_is_its_own_and_nobody_of_us_reads_it() -> None:
    assert (OUTCOMES.name("demo"), OUTCOMES.placeholder) == ("outcomes-demo", "outcomes-<tenant>")
    assert OUTCOMES.type == "io.lendrail.outcome.v1"
    assert OUTCOMES.consumers == ()
    prefixes = OUTCOMES.prefix, INTAKE.prefix, PUSH.prefix
    assert not any(topic.name.startswith(prefixes) for topic in TOPICS)


def test_ids_are_kept_longer_than_records() -> None:
    assert all(topic.retention_hours > 0 and topic.partitions > 0 for topic in TOPICS)
