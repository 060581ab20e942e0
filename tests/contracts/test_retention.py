"""`docs/retention.md` against the services as they are built: what is kept has a row, and the row tells the truth."""

import re
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from tests.contracts.test_topics import SERVICES
from tests.contracts.test_topics import built as built

from lendrail.contracts.topics import DEAD_LETTER_RETENTION_HOURS, FAMILIES, INTAKE, OUTCOMES, PUSH, TOPICS
from lendrail.runtime.service import Service
from lendrail.runtime.settings import ServiceSettings
from lendrail.runtime.vault import INTAKE_KEY_DAYS
from lendrail.validation.answers import Answers

EVER, DONE = "for ever", "until done"
INBOXES = {
    ("gateway", "application-validated"): "facts",
    ("gateway", "application-rejected"): "facts",
    ("gateway", "status-updated"): "facts",
    ("gateway", INTAKE.prefix): "applications changes",
    ("gateway", PUSH.prefix): "webhooks",
    ("validation", "application-received"): "reports",
    ("validation", "application-amended"): "reports",
    ("documents", "application-validated"): "packages",
    ("submission", "submit"): "opportunities",
    ("submission", "status-updated"): "opportunities",
    ("status", "application-validated"): "opportunities",
    ("status", "application-rejected"): "opportunities",
    ("status", "partner-ack"): "opportunities",
    ("status", "partner-webhook"): "opportunities orphans",
    ("notifications", "status-updated"): "notices",
    ("notifications", "notify"): "deliveries",
}
"""Where each consumer remembers the ids of what it heard."""


@pytest.fixture(scope="module")
def page() -> str:
    return (Path(__file__).resolve().parents[2] / "docs" / "retention.md").read_text()


@pytest.fixture
def rows(page: str) -> dict[str, list[str]]:
    """Of MongoDB: the other cells by what is kept. What every service has is there for each of those that have it."""
    found = re.findall(r"^\| `([a-z*]+\.[a-z_.]+)` \| (.+) \|$", page, re.MULTILINE)
    return {kept: re.split(r"\s*\|\s*", cells) for kept, cells in found}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every collection that somebody lays hands on, as `database.collection`."""
    found: set[str] = set()
    make = AsyncCollection.__init__

    def noted(self: Any, database: Any, name: str, *more: Any, **options: Any) -> None:
        found.add(f"{database.name}.{name}")
        make(self, database, name, *more, **options)

    monkeypatch.setattr(AsyncCollection, "__init__", noted)
    return found


def row_of(rows: dict[str, list[str]], kept: str) -> list[str] | None:
    return rows.get(kept) or rows.get(f"*.{kept.partition('.')[2]}")


async def test_all_that_is_kept_has_a_row(
    seen: set[str], built: dict[str, Service], rows: dict[str, list[str]], project: Path
) -> None:
    for path in (project / "libs" / "runtime").glob(
        "**/*.py"
    ):  # what the runtime opens for every service, when it runs
        named = re.findall(r"self\.database\[\"([a-z_.]+)\"\]", path.read_text())
        seen |= {f"{service}.{name}" for service in SERVICES for name in named}
    assert {"gateway.forgotten", "documents.fs.chunks", "keys.data_keys", "submission.audit"} <= seen
    assert [kept for kept in sorted(seen) if row_of(rows, kept) is None] == []
    there = seen | {f"*.{kept.partition('.')[2]}" for kept in seen}
    assert [kept for kept in rows if kept not in there] == []
    for path in (project / "services").glob("*/lendrail/*/*.py"):
        service = path.parent.name
        for name in re.findall(r"\bdatabase\[\"([a-z_.]+)\"\]", path.read_text()):
            assert f"{service}.{name}" in seen or service == "sandbox", (path.name, name)


@pytest.fixture
async def prepared(
    built: dict[str, Service], mongo: str, database_prefix: str
) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Indexes of every collection on a real server, after each service made its own."""
    client: AsyncMongoClient[Any] = AsyncMongoClient(mongo)
    services = dict(built)
    for name, service in services.items():
        await service.client.close()
        settings = service.settings.model_copy(update={"database_prefix": database_prefix})
        again = import_module(f"lendrail.{name}.app").build(settings, client=AsyncMongoClient(mongo, tz_aware=True))[0]
        for action in again._prepare:
            await action()
        built[name] = again
        await service.http.aclose()
    answers = built["validation"].database["abn_answers"]
    await Answers(answers, b"fake", 1).prepare()  # the service does so where a register is configured
    found: dict[str, dict[str, Any]] = {}
    for name in await client.list_database_names():
        if name.startswith(database_prefix):
            for collection in await client[name].list_collection_names():
                indexes = await client[name][collection].index_information()
                found[f"{name.removeprefix(database_prefix)}.{collection}"] = dict(indexes)
    yield found
    for name in await client.list_database_names():
        if name.startswith(database_prefix):
            await client.drop_database(name)
    await client.close()


async def test_what_ends_by_an_index_says_so(prepared: dict[str, dict[str, Any]], rows: dict[str, list[str]]) -> None:
    """And what does not, does not. An index on a time to come ends what is there at that time."""
    ending = {
        kept: max(index["expireAfterSeconds"] for index in indexes.values() if "expireAfterSeconds" in index)
        for kept, indexes in prepared.items()
        if any("expireAfterSeconds" in index for index in indexes.values())
    }
    stated = {kept: cells[1] for kept, cells in rows.items()}
    assert {kept for kept, days in stated.items() if days not in (EVER, DONE)} | {"keys.data_keys"} == ending.keys()
    for kept, seconds in ending.items():
        if seconds:
            assert stated[kept].split()[0] == str(seconds // 86_400), kept
    for kept in ("gateway.changes", "gateway.webhooks", "gateway.conflicts", "status.orphans"):
        assert stated[kept] == str(INTAKE_KEY_DAYS)
    assert f"{INTAKE_KEY_DAYS} days" in rows["keys.data_keys"][0]


def test_ids_are_remembered_for_longer_than_events_can_come_again(rows: dict[str, list[str]]) -> None:
    heard = {(service, topic.name) for topic in TOPICS for service in topic.consumers}
    assert INBOXES.keys() == heard | {(service, family.prefix) for family in FAMILIES for service in family.consumers}
    hours = [topic.retention_hours for topic in TOPICS] + [family.retention_hours for family in (*FAMILIES, OUTCOMES)]
    longest = max(hours) + DEAD_LETTER_RETENTION_HOURS
    remembering = {f"{service}.{name}" for (service, _), names in INBOXES.items() for name in names.split()}
    assert {kept for kept, cells in rows.items() if cells[2] == "yes"} == remembering
    for kept in remembering:
        days = rows[kept][1]
        assert days == EVER or int(days.split()[0]) * 24 > longest, kept
    assert longest < INTAKE_KEY_DAYS * 24


def test_the_times_of_topics(page: str) -> None:
    stated = dict(re.findall(r"^\| ([^|]+) \| ([0-9]+) \| [^|]+ \|$", page, re.MULTILINE))
    said = {name.split(" (")[0].strip("`"): int(days) * 24 for name, days in stated.items()}
    ours = {topic.retention_hours for topic in TOPICS}
    assert ours == {said.pop("our topics")}
    families = {family.placeholder: family.retention_hours for family in (*FAMILIES, OUTCOMES)}
    assert said == families | {"dead letters": DEAD_LETTER_RETENTION_HOURS}


def test_settings_that_are_named_exist(page: str) -> None:
    shared = set(ServiceSettings.model_fields)
    known = shared.union(*(import_module(f"lendrail.{s}.settings").Settings.model_fields for s in SERVICES))
    named = {name.lower() for name in re.findall(r"LENDRAIL_([A-Z_]+)", page)}
    assert named <= known
    assert {"retention_live_days", "retention_test_days"} <= named
    defaults = import_module("lendrail.gateway.settings").Settings.model_fields
    assert f"ends {defaults['retention_live_days'].default} days after its last change when it is live" in page
    assert f"and {defaults['retention_test_days'].default} days after" in " ".join(page.split())
