"""What goes to the spool, what comes out of it, and what happens to what cannot."""

import asyncio
import contextlib
import datetime as dt
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests import support

from lendrail.gateway import store
from lendrail.gateway.webhooks import drain
from lendrail.gateway.webhooks.calls import Call
from lendrail.gateway.webhooks.drain import Keeping
from lendrail.gateway.webhooks.segments import Keys
from lendrail.gateway.webhooks.spool import Spool
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import AutoReconnect

pytestmark = pytest.mark.asyncio
KEYS = Keys([os.urandom(32)])
NOW = dt.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)


def call(number: int) -> Call:
    return Call(
        tenant="demo",
        mode="test",
        partner="forward-financing",
        credential="demo-ff",
        raw=f"{number} \xff".encode("latin-1"),
        content_type="application/json",
        path_id=None,
        event_id="evt",
        verification="verified",
        received=NOW,
    )


class Store:
    """In place of MongoDB: away, slow, or refusing some calls."""

    def __init__(self) -> None:
        self.kept: list[Call] = []
        self.asked = 0
        self.fault: Callable[[Call], Exception | None] = lambda call: None
        self.slow = False

    async def keep(self, call: Call) -> None:
        self.asked += 1
        if self.slow:
            await asyncio.sleep(60)
        if (error := self.fault(call)) is not None:
            raise error
        if call not in self.kept:
            self.kept.append(call)


class Stage:
    def __init__(self, folder: Path) -> None:
        self.store, self.folder = Store(), folder / "spool"
        self.spool: Spool | None = None
        self.keeping = self.make()

    def make(self, most: int = 1024 * 1024) -> Keeping:
        self.spool = Spool(self.folder, KEYS, most)
        stand_in: Any = self.store
        self.keeping = Keeping(stand_in, self.spool)
        return self.keeping

    @contextlib.asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeping.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def empty(self) -> bool:
        return not list(self.folder.glob("calls-*.spool"))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for name, value in (("FIRST_WAIT", 0.02), ("LONGEST_WAIT", 0.1), ("HELD_SECONDS", 0.5)):
        monkeypatch.setattr(drain, name, value)
    monkeypatch.setattr(store, "PATIENCE_SECONDS", 0.2)
    return Stage(tmp_path)


def away(_: Call) -> Exception:
    return AutoReconnect("fake")


async def test_a_call_survives_the_spool_as_it_was() -> None:
    assert Call.unpacked(call(1).packed()) == call(1)
    assert Call.unpacked(call(1).packed()).id == call(1).id


async def test_a_call_of_a_newer_version_can_be_read() -> None:
    """After a step back to the version before."""
    assert Call.unpacked(call(1).packed().replace(b"{", b'{"added":7,', 1)) == call(1)


async def test_while_the_store_answers_the_disk_is_not_touched(stage: Stage) -> None:
    await stage.keeping.keep(call(1))
    assert stage.store.kept == [call(1)]
    assert not stage.folder.exists()


async def test_an_outage_costs_one_wait_and_ends_by_itself(stage: Stage) -> None:
    stage.store.fault = away
    async with stage.draining():
        for n in range(20):
            await stage.keeping.keep(call(n))
        assert await stage.keeping.ready()
        await asyncio.sleep(0.4)
        assert stage.store.kept == []
        before = stage.store.asked
        await stage.keeping.keep(call(20))
        assert stage.store.asked - before <= 21, "nobody asks for a call of its own while it is known to be away"
        stage.store.fault = lambda _: None
        await support.eventually(stage.empty)
        assert stage.store.kept == [call(n) for n in range(21)], "in their order"
        await stage.keeping.keep(call(21))
        assert stage.store.kept[-1] == call(21)
        assert await stage.empty(), "and directly again"


async def test_a_store_that_is_only_slow_is_not_waited_for(stage: Stage) -> None:
    stage.store.slow = True
    begun = asyncio.get_running_loop().time()
    await stage.keeping.keep(call(1))
    await stage.keeping.keep(call(2))
    assert asyncio.get_running_loop().time() - begun < 0.35, "the second one knew"
    assert not await stage.empty()


async def test_the_next_process_drains_what_this_one_left(stage: Stage) -> None:
    stage.store.fault = away
    await asyncio.gather(*(stage.keeping.keep(call(n)) for n in range(5)))
    await stage.keeping.close(1)
    stage.make()
    stage.store.fault = lambda _: None
    async with stage.draining():
        await support.eventually(stage.empty)
    assert sorted(each.raw for each in stage.store.kept) == sorted(call(n).raw for n in range(5))


async def test_a_full_spool_says_when_to_come_again(stage: Stage) -> None:
    stage.make(most=4000)
    stage.store.fault = away
    with capture_logs() as logs:
        done = await asyncio.gather(*(stage.keeping.keep(call(n)) for n in range(100)), return_exceptions=True)
    assert len([each for each in logs if each["log_level"] == "error"]) == 1, "told, and not a hundred times"
    refused = [each for each in done if each is not None]
    assert len(refused) > 80
    for each in refused:
        assert isinstance(each, Problem)
        assert (each.status, each.code, each.headers) == (503, "unavailable", {"Retry-After": "30"})
    stage.store.fault = lambda _: None
    async with stage.draining():
        await support.eventually(stage.empty)
        await stage.keeping.keep(call(999))
    assert stage.store.kept[-1] == call(999)


async def test_without_a_spool_it_is_as_it_was(stage: Stage) -> None:
    stand_in: Any = stage.store
    keeping = Keeping(stand_in, None)
    stage.store.fault = away
    with pytest.raises(AutoReconnect):
        await keeping.keep(call(1))
    assert not await keeping.ready()
    await keeping.run()


async def test_one_call_that_cannot_be_written_stops_no_other_and_is_not_lost(stage: Stage) -> None:
    """A fault of ours: it goes to the spool, others pass it by, and it is written when the fault is mended."""
    stage.store.fault = lambda each: KeyError("fake") if each == call(3) else None
    async with stage.draining():
        for n in range(6):
            await stage.keeping.keep(call(n))
        await asyncio.sleep(0.2)
        assert [n for n in range(6) if call(n) in stage.store.kept] == [0, 1, 2, 4, 5]
        assert not await stage.empty()
        stage.store.fault = lambda _: None
        await support.eventually(stage.empty)
    assert call(3) in stage.store.kept


async def test_a_file_of_another_key_is_kept_and_the_others_go_on(stage: Stage) -> None:
    stage.store.fault = away
    await stage.keeping.keep(call(1))
    await stage.keeping.close(1)
    mine = stage.folder / "calls-000000000001.spool"
    content = mine.read_bytes()
    mine.write_bytes(content[:8] + bytes(8) + content[16:])
    stage.make()
    await stage.keeping.keep(call(2))
    stage.store.fault = lambda _: None
    async with stage.draining():

        async def drained() -> bool:
            return stage.store.kept == [call(2)]

        await support.eventually(drained)
        await support.eventually(lambda: _left(stage, [mine.name]))
        mine.write_bytes(content)
        await support.eventually(stage.empty)
    assert call(1) in stage.store.kept


async def _left(stage: Stage, names: list[str]) -> bool:
    return [each.name for each in stage.folder.glob("calls-*")] == names


async def test_what_the_disk_damaged_is_kept_for_a_person(stage: Stage) -> None:
    stage.store.fault = away
    for n in range(3):
        await stage.keeping.keep(call(n))
    await stage.keeping.close(1)
    [file] = stage.folder.glob("calls-*")
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    stage.make()
    stage.store.fault = lambda _: None
    async with stage.draining():
        await support.eventually(lambda: _left(stage, ["calls-000000000001.damaged"]))
    assert stage.store.kept == [call(1), call(2)]
