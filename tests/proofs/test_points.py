"""The registry of points is whole: what is written is labelled, and what is labelled is known."""

import ast
import re
from pathlib import Path

import pytest
from proofs.matrix import cells

from lendrail.contracts.topics import TOPICS
from lendrail.local.programs import SERVICES
from proofs import points

ROUND_THE_PORT = re.compile(r"\.with_options\(|\.get_collection\(|\.client\[|AsyncMongoClient|broker\.publish\(")


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_the_points_of_its_ports(service: str) -> None:
    found = points.labels(service)
    topics = [topic.name for topic in TOPICS if service in topic.consumers]
    heard = {f"step.{topic}.{when}" for topic in topics for when in ("written", "published")}
    everybody = {"publish.before", "publish.after", "store.data_keys.before", "store.forgotten.after"}
    assert heard | everybody <= found
    stores = [label for label in found if label.startswith("store.")]
    assert {label.rpartition(".")[2] for label in stores} == {"before", "after"}
    for label in stores:
        assert {label.rpartition(".")[0] + end for end in (".before", ".after")} <= found


def test_points_are_where_they_are_known_to_be() -> None:
    assert {"partner.before", "partner.sending", "mail.after", "store.opportunities.claim.before"} <= points.labels(
        "submission"
    )
    assert {"webhook.before", "outcome.after", "mail.before"} <= points.labels("notifications")
    assert "relay.webhooks.published" in points.labels("gateway")
    assert "mail.after" not in points.labels("gateway")
    assert "partner.before" not in points.labels("notifications")


def test_no_application_passes_a_point_that_nobody_knows() -> None:
    passed = {(service, label) for of in cells._passes().values() for service, counts in of.items() for label in counts}
    assert {(service, label) for service, label in passed if label not in points.labels(service)} == set()
    assert len(passed) > 100


def test_every_label_in_a_text_can_be_read(project: Path) -> None:
    """A label that is put together anywhere but in a port would be missing from the registry."""
    for path in (project / "services").glob("*/lendrail/*/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in points.PASSED:
                assert isinstance(node.args[0], ast.Constant), (path.name, node.lineno)


def test_no_service_goes_round_the_ports(project: Path) -> None:
    for path in (project / "services").glob("*/lendrail/*/**/*.py"):
        if "sandbox" not in path.parts:
            assert ROUND_THE_PORT.search(path.read_text()) is None, path.name
