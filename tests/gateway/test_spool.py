"""The spool itself: durable together, bounded, owned by one process, honest when the disk fails."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lendrail.gateway.webhooks import spool as module
from lendrail.gateway.webhooks.segments import Keys, opened
from lendrail.gateway.webhooks.spool import Full, Spool

pytestmark = pytest.mark.asyncio
KEYS = Keys([os.urandom(32)])
MOST = 1024 * 1024


def new(folder: Path, most: int = MOST, segment: int = 64 * 1024) -> Spool:
    return Spool(folder / "spool", KEYS, most, segment)


async def drained(spool: Spool) -> list[bytes]:
    """All of it, in the order in which it comes out."""
    found: list[bytes] = []
    while (path := await spool.oldest()) is not None:
        found += (await spool.read(path)).records
        await spool.remove(path)
    return found


async def test_one_sync_serves_all_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    really = os.fdatasync

    def counted(descriptor: int) -> None:
        synced.append(descriptor)
        really(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    spool = new(tmp_path)
    assert await spool.usable()
    await asyncio.gather(*(spool.append(f"{n}".encode()) for n in range(200)))
    assert 1 <= len(synced) < 20, "a group commit, not 200 syncs"
    assert await drained(spool) == [f"{n}".encode() for n in range(200)]
    assert os.listdir(tmp_path / "spool") == ["lock"]
    assert spool.held == 0


async def test_nobody_is_answered_before_the_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_sync, really = threading.Event(), os.fdatasync

    def held(descriptor: int) -> None:
        may_sync.wait(10)
        really(descriptor)

    monkeypatch.setattr(os, "fdatasync", held)
    spool = new(tmp_path)
    first = asyncio.create_task(spool.append(b"first"))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(spool.append(b"second"))
    await asyncio.sleep(0.2)
    assert not first.done(), "answered before it was on disk"
    assert not second.done(), "answered before it was on disk"
    may_sync.set()
    await asyncio.gather(first, second)
    assert await drained(spool) == [b"first", b"second"]


async def test_what_was_vouched_for_is_on_disk_sealed_and_there_for_the_next_process(tmp_path: Path) -> None:
    spool = new(tmp_path, segment=100)
    for n in range(5):
        await spool.append(f"Canarywitz {n}".encode())
        files = sorted((tmp_path / "spool").glob("calls-*"))
        assert sum(len(opened(KEYS, file.read_bytes()).records) for file in files) == n + 1
    assert all(b"Canarywitz" not in file.read_bytes() for file in files)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "spool").iterdir()} == {0o600}
    await spool.close()
    second = new(tmp_path)
    await second.append(b"later")
    assert await drained(second) == [*(f"Canarywitz {n}".encode() for n in range(5)), b"later"]


async def test_new_calls_come_while_old_ones_go(tmp_path: Path) -> None:
    spool, found = new(tmp_path, segment=2000), list[bytes]()
    wanted = [f"{n}".encode() for n in range(300)]

    async def fill() -> None:
        for each in wanted:
            await spool.append(each)

    filling = asyncio.create_task(fill())
    while not filling.done() or len(found) < len(wanted):
        found += await drained(spool)
        await asyncio.sleep(0)
    await filling
    assert found == wanted


async def test_it_is_bounded_and_there_is_room_again(tmp_path: Path) -> None:
    spool = new(tmp_path, most=8000)
    done = await asyncio.gather(*(spool.append(bytes(500)) for _ in range(100)), return_exceptions=True)
    taken, refused = done.count(None), sum(isinstance(each, Full) for each in done)
    assert taken + refused == 100
    assert 10 <= taken <= 15
    assert sum(file.stat().st_size for file in (tmp_path / "spool").iterdir()) <= 8000
    assert not await spool.usable() or spool.held < 4000
    with pytest.raises(Full):
        await spool.append(bytes(5000))
    assert len(await drained(spool)) == taken
    await spool.append(bytes(500))
    assert await spool.usable()


async def test_one_process_owns_the_folder(tmp_path: Path) -> None:
    first, second = new(tmp_path), new(tmp_path)
    await first.append(b"mine")
    assert not await second.usable()
    with pytest.raises(OSError):
        await second.append(b"yours")
    await first.close()
    await second.append(b"yours")
    assert await drained(second) == [b"mine", b"yours"]


async def test_a_disk_that_fails_is_not_believed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that failed may have lost what was written, and says so only once: the file is ended."""
    spool = new(tmp_path)
    await spool.append(b"before")

    def fails(_: int) -> None:
        raise OSError(5, "fake")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        done = await asyncio.gather(*(spool.append(b"lost?") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, OSError) for each in done)
    assert not await spool.usable()
    await spool.append(b"after")
    files = sorted((tmp_path / "spool").glob("calls-*"))
    assert len(files) == 2, "what comes after a failure goes into another file"
    found = await drained(spool)
    assert (found[0], found[-1]) == (b"before", b"after")
    monkeypatch.setattr(module, "DISTRUST_SECONDS", 0.0)
    assert await spool.usable()


async def test_a_full_disk_leaves_a_torn_record_and_no_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = new(tmp_path)
    await spool.append(b"before")
    really = os.write

    def half(descriptor: int, content: Any) -> int:
        if len(content) < 10:
            raise OSError(28, "fake")
        return really(descriptor, content[: len(content) // 2])

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", half)
        with pytest.raises(OSError):
            await spool.append(b"torn")
    await spool.append(b"after")
    assert await drained(spool) == [b"before", b"after"]


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    spool = new(tmp_path)
    assert not await spool.usable()
    with pytest.raises(OSError):
        await spool.append(b"x")


async def test_a_caller_that_goes_away_leaves_the_others_alone(tmp_path: Path) -> None:
    spool = new(tmp_path)
    callers = [asyncio.create_task(spool.append(f"{n}".encode())) for n in range(10)]
    await asyncio.sleep(0)
    for gone in callers[::2]:
        gone.cancel()
    done = await asyncio.gather(*callers, return_exceptions=True)
    assert done[1::2] == [None] * 5
    assert {b"1", b"3", b"5", b"7", b"9"} <= set(await drained(spool))


async def test_what_is_put_aside_stays_on_disk_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    spool = new(tmp_path)
    await spool.append(b"x")
    path = await spool.oldest()
    assert path is not None
    await spool.put_aside(path)
    assert await spool.oldest() is None
    await spool.close()
    again = new(tmp_path)
    await again.append(b"y")
    assert sorted(os.listdir(tmp_path / "spool")) == ["calls-000000000001.damaged", "calls-000000000002.spool", "lock"]
