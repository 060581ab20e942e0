"""`lendrail erase` says what the gateway answered, and ends with 1 where nothing was erased."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local.door import Door, served
from typer.testing import CliRunner

from lendrail.local.cli import app

APPLICATION = "01a1ff63-2649-7157-83e5-b3cc66b18dd7"
OPEN = {"errors": [{"partner": "finpace", "message": "opportunity 7 is in-review"}]}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with served(tmp_path, lambda _: (200, {"applicationId": APPLICATION, "status": "erased"})) as door:
        yield door


def erase(folder: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["erase", *more, "--state", str(folder)])
    return result.exit_code, result.output


def test_what_is_asked_and_said(tmp_path: Path, door: Door) -> None:
    assert erase(tmp_path, APPLICATION, "--reason", "test-data") == (0, f"{APPLICATION} erased\n")
    (asked,) = door.asked
    assert asked.what == f"POST /v1/applications/{APPLICATION}/erase"
    assert asked.body == {"reason": "test-data", "evenIfOpen": False}
    assert asked.headers["Idempotency-Key"]
    erase(tmp_path, APPLICATION, "--reason", "test-data", "--even-if-open")
    assert door.asked[1].body["evenIfOpen"] is True


def test_what_was_not_erased(tmp_path: Path, door: Door) -> None:
    open_still = {"code": "still-open", "detail": "A partner still works on it."} | OPEN
    door.answers = lambda _: (409, open_still)
    code, said = erase(tmp_path, APPLICATION, "--reason", "legal-obligation")
    assert code == 1
    assert "still-open" in said
    assert "finpace: opportunity 7 is in-review" in said
    assert erase(tmp_path, "7/../8", "--reason", "test-data")[0] == 1
    assert erase(tmp_path, APPLICATION, "--reason", "because")[0] == 2
    assert len(door.asked) == 1
    assert erase(tmp_path / "nowhere", APPLICATION, "--reason", "test-data")[0] == 1


def test_the_reasons_are_those_of_the_door() -> None:
    from typing import get_args

    from lendrail.gateway.erasing import routes as of_the_gateway
    from lendrail.local.erasing import Reason

    assert [each.value for each in Reason] == list(get_args(of_the_gateway.Reason))
