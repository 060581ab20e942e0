"""When a chaos run counts as quiet: by what the stores say is still to be done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from proofs.chaos import quiet
from pymongo import MongoClient
from pymongo.database import Database

from lendrail.status.polling.fetch import LEASE_SECONDS


@pytest.fixture
def status(mongo: str) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo) as client:
        client.drop_database("status")
        yield client["status"]
        client.drop_database("status")


def within(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def test_a_file_that_is_not_read_is_work(mongo: str, status: Database[dict[str, Any]]) -> None:
    before = quiet.due(mongo)
    status["imports"].insert_many([{"state": "running", "due": within(-5)}, {"state": "done"}])
    assert quiet.due(mongo) == before + 1


def test_a_look_that_a_process_left_behind_is_waited_for(mongo: str, status: Database[dict[str, Any]]) -> None:
    """One that has just begun is not: there are always some."""
    for place, seconds in enumerate((LEASE_SECONDS - 1, -1)):
        status["opportunities"].insert_one({"_id": place, "lease": {"until": within(seconds)}})
    assert quiet.begun(mongo) == 0
    status["opportunities"].insert_one({"lease": {"until": within(LEASE_SECONDS / 2)}})
    status["feeds"].insert_one({"lease": {"until": within(1)}})
    assert quiet.begun(mongo) == 2
