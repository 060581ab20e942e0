"""When a chaos run counts as quiet: by what the stores say is still to be done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from proofs.chaos import quiet
from pymongo import MongoClient
from pymongo.database import Database


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
