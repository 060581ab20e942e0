"""What Kafka can be filled with again: everything that services state, as they are built."""

import re
from pathlib import Path

from tests.contracts.test_topics import SERVICES
from tests.contracts.test_topics import built as built

from lendrail.contracts.topics import OUTCOMES, TOPICS
from lendrail.runtime.service import Service

STORED = {
    "gateway": {"applications": "_id", "webhooks": "_id"},
    "validation": {"reports": "application"},
    "documents": {"packages": "application"},
    "submission": {"opportunities": "_id"},
    "status": {"opportunities": "_id"},
    "notifications": {"deliveries": "_id"},
}
"""Where events rest, and by which field those of one history belong together."""


async def test_each_service_that_states_facts_states_them_again(built: dict[str, Service]) -> None:
    found = {name: {each.collection.name: each.about for each in service.sources} for name, service in built.items()}
    assert found == STORED
    assert {service for topic in TOPICS for service in topic.producers} | set(OUTCOMES.producers) == found.keys()


def test_the_page_names_the_command_of_every_service(project: Path) -> None:
    page = (project / "docs" / "rebuild.md").read_text()
    assert re.findall(r"python -m lendrail\.(\w+) republish", page) == list(SERVICES)
