"""Points: what strikes there, and that no write to the store goes without."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymongo import AsyncMongoClient, InsertOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from lendrail.runtime import faults
from lendrail.runtime.faults import Fault, Induced, call_point, naming, point
from lendrail.runtime.mongo import OUTAGES, Database, Document, LabelledCollection, doing

READS = {
    "aggregate",
    "aggregate_raw_batches",
    "count_documents",
    "distinct",
    "estimated_document_count",
    "find_one",
    "index_information",
    "list_indexes",
    "list_search_indexes",
    "options",
    "watch",
}
OF_THE_SCHEMA = {
    "create_index",
    "create_indexes",
    "create_search_index",
    "create_search_indexes",
    "drop",
    "drop_index",
    "drop_indexes",
    "drop_search_index",
    "rename",
    "update_search_index",
}
WRITES: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "insert_one": lambda c: c.insert_one({"_id": 2}),
    "insert_many": lambda c: c.insert_many([{"_id": 2}, {"_id": 3}]),
    "update_one": lambda c: c.update_one({"_id": 1}, {"$set": {"n": 1}}),
    "update_many": lambda c: c.update_many({}, {"$set": {"n": 1}}),
    "replace_one": lambda c: c.replace_one({"_id": 1}, {"n": 1}),
    "delete_one": lambda c: c.delete_one({"_id": 1}),
    "delete_many": lambda c: c.delete_many({}),
    "bulk_write": lambda c: c.bulk_write([InsertOne({"_id": 2})]),
    "find_one_and_update": lambda c: c.find_one_and_update({"_id": 1}, {"$set": {"n": 1}}),
    "find_one_and_replace": lambda c: c.find_one_and_replace({"_id": 1}, {"n": 1}),
    "find_one_and_delete": lambda c: c.find_one_and_delete({"_id": 1}),
}
Arm = Callable[[str], None]


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Arms this process."""
    return lambda text: monkeypatch.setattr(faults, "_armed", faults._Armed(Fault.read(text)))


@pytest.fixture
async def things(mongo: str, database_prefix: str) -> AsyncIterator[LabelledCollection]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True)
    yield Database(client, f"{database_prefix}test")["things"]
    await client.drop_database(f"{database_prefix}test")
    await client.close()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("store.a_b.claim.before", Fault("store.a_b.claim.before")),
        ("step.partner-ack.written#3", Fault("step.partner-ack.written", 3)),
        ("publish.after:kill", Fault("publish.after")),
        ("mail.after#2:error", Fault("mail.after", 2, "error")),
        ("partner.sending#1:hang=2.5", Fault("partner.sending", 1, "hang", 2.5)),
    ],
)
def test_a_fault_is_read_as_it_is_written(text: str, fault: Fault) -> None:
    assert Fault.read(text) == fault
    assert Fault.read(str(fault)) == fault


SLIPS = ["a#0", "a#", "a:", "a:stop", "a:hang", "a:hang=", "a:kill=3", "a b", "#1", "a:error:kill"]


@pytest.mark.parametrize("text", SLIPS)
def test_a_slip_of_the_pen_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError, match="must have the form"):
        Fault.read(text)


def armed(text: str, passing: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a process that is told this by its environment."""
    command = [sys.executable, "-u", "-c", f"from lendrail.runtime.faults import point\n{passing}"]
    environment = os.environ | {faults.VARIABLE: text}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_stops_the_process_before_anything_is_done() -> None:
    done = armed(SLIPS[0], "print('begun')")
    assert (done.returncode, done.stdout) == (1, "")


def test_a_kill_is_a_kill_and_is_told_before() -> None:
    done = armed("x#2:kill", "for n in range(3): point('x'); print(n)")
    assert done.returncode == -signal.SIGKILL
    first, told = done.stdout.splitlines()
    assert first == "0"
    assert faults.STRUCK in told


def test_who_only_tells_strikes_nowhere() -> None:
    done = armed(faults.TELL, "point('x'); point('y')")
    assert (done.returncode, done.stdout.count(faults.PASSED)) == (0, 2)


def test_an_error_strikes_once_at_its_pass(arm: Arm) -> None:
    arm("here#2:error")
    point("here")
    point("there")
    with pytest.raises(Induced):
        point("here")
    point("here")


async def test_a_hang_stops_the_process_and_at_a_call_only_the_call(arm: Arm) -> None:
    async def others() -> float:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def passes() -> None:
        await asyncio.sleep(0)
        point("here")

    arm("here:hang=0.3")
    waited, _ = await asyncio.gather(others(), passes())
    assert waited >= 0.3
    arm("here:hang=0.3")
    began = time.monotonic()
    waited, _ = await asyncio.gather(others(), call_point("here"))
    assert waited < 0.2
    assert time.monotonic() - began >= 0.3


def test_everything_that_the_driver_writes_with_is_labelled() -> None:
    """A later driver may have more; it is then decided here what that is."""
    public = {name for name, each in inspect.getmembers(AsyncCollection) if not name.startswith("_")}
    does = {name for name in public if inspect.iscoroutinefunction(getattr(AsyncCollection, name))}
    labelled = {name for name in vars(LabelledCollection) if name in does}
    assert does - READS - OF_THE_SCHEMA == labelled == WRITES.keys()


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_stands_between_its_points(things: LabelledCollection, arm: Arm, name: str) -> None:
    """An error right before it leaves nothing, one right after it leaves the effect, and both are outages."""
    await things.insert_one({"_id": 1})
    for when, changed in (("before", False), ("after", True)):
        arm(f"store.things.{when}:error")
        with pytest.raises(OUTAGES):
            await WRITES[name](things)
        assert (await things.find({}).to_list() != [{"_id": 1}]) == changed


async def test_a_key_that_is_taken_is_an_answer(things: LabelledCollection, arm: Arm) -> None:
    await things.insert_one({"_id": 1})
    arm("store.things.after:error")
    with pytest.raises(OUTAGES):
        await things.insert_many([{"_id": 1}, {"_id": 2}], ordered=False)
    with pytest.raises(BulkWriteError):
        await things.insert_many([{"_id": 1}, {"_id": 3}], ordered=False)


async def test_what_the_runtime_writes_has_labels_of_its_own(things: LabelledCollection, arm: Arm) -> None:
    with naming() as names:
        claims = doing(things, "claim")
    assert names == {"store.things.claim.before", "store.things.claim.after"}
    assert doing(things, "claim") is claims
    arm("store.things.before:error")
    await claims.insert_one({"_id": 1})
    with pytest.raises(OUTAGES):
        await things.insert_one({"_id": 2})
    assert [each["_id"] async for each in claims.find({})] == [1]
