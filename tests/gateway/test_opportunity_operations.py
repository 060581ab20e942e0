"""What the description says an operator may set is what status takes."""

import pytest

from lendrail.contracts.terms import Status
from lendrail.gateway.description.opportunities import CORRECTION, OPPORTUNITY, OURS, PINNING, UNPINNING
from lendrail.status.desk.correcting import SETTABLE, Correction, Pinning, Unpinning
from lendrail.status.folding.history import AS_OF, KNOWN_AT


def test_the_statuses_are_the_same() -> None:
    assert set(Status) - OURS == SETTABLE
    assert CORRECTION["properties"]["status"]["enum"] == sorted(SETTABLE)


@pytest.mark.parametrize(("described", "taken"), [(CORRECTION, Correction), (PINNING, Pinning), (UNPINNING, Unpinning)])
def test_the_fields_are_the_same(described: dict[str, object], taken: type[Correction | Pinning | Unpinning]) -> None:
    schema = taken.model_json_schema()
    assert described["properties"].keys() == schema["properties"].keys()  # type: ignore[attr-defined]
    assert set(described["required"]) == set(schema["required"])  # type: ignore[call-overload]


def test_both_times_are_described() -> None:
    names = [each["name"] for each in OPPORTUNITY["get", "/v1/opportunities/{id}"].parameters]
    assert names == [AS_OF, KNOWN_AT]
