"""kill -9 around an amendment that comes before its application: one fact of each, whoever finishes the work.

Which of the two is published first is not asked here: who dies between storing and publishing publishes late.
"""

from pathlib import Path
from typing import Any

from tests import make, support
from tests.validation.amended import amended, withdrawn
from tests.validation.process import stage
from tests.validation.sound import sound

from lendrail.runtime.clock import utc_now

EARLY = (
    ("store.amendments.before", {"amendments": 0}),
    ("store.amendments.after", {"amendments": 1}),
    ("store.amendments.claim.before", {"amendments": 1}),
)
"""Before the application is there; and how much is stored then."""
TOGETHER = (
    ("store.reports.after", {"reports": 1, "pending": 0}),
    ("store.reports.before", {"reports": 1, "pending": 0}),
    ("store.reports.after", {"reports": 2, "pending": 1}),
    ("relay.reports.published", {"reports": 2, "pending": 1}),
)
"""First the application's report, then the amendment's, which finds the lease of the one before. It waits to be
published: nobody but the worker judges it, since Kafka does not bring it again.
"""


async def test_killed_while_it_waits_and_when_it_is_released(
    kafka: str, mongo: str, tmp_path: Path, database_prefix: str
) -> None:
    event = make.received(application=sound(), received_at=utc_now())  # an old one loses its fingerprints meanwhile
    early = amended(event, 2, withdrawn(), amended_at=utc_now())
    async with stage(tmp_path, kafka, mongo, database_prefix) as validation:
        place = await validation.send(early)
        for window, left in EARLY:
            await validation.killed_at(window)
            assert left.items() <= (await _stored(validation.database)).items(), window
        await validation.read_past(place)
        await validation.send(event)
        for window, left in TOGETHER:
            await validation.killed_at(window)
            assert left.items() <= (await _stored(validation.database)).items(), window

        async def all_done() -> bool:
            facts = await validation.facts(event.key.encode())
            quiet = {"amendments": 0, "reports": 2, "pending": 0}
            return await _stored(validation.database) == quiet and len(facts) == 2

        async with validation.running():
            await support.eventually(all_done, 60)
        facts = await validation.facts(event.key.encode())
    assert [each.topic for each in facts] == ["application-validated"] * 2, "where one came twice, the same bytes"
    assert {each.cause for each in facts} == {event.id, early.id}


async def _stored(database: Any) -> dict[str, int]:
    """Amendments that wait, reports, and those of them that wait to be published."""
    return {
        "amendments": await database["amendments"].count_documents({}),
        "reports": await database["reports"].count_documents({}),
        "pending": await database["reports"].count_documents({"pending": {"$exists": True}}),
    }
