"""Letters of spoilt records are compared with what was sent, byte for byte; whatever is wrong with one is named."""

import base64
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from proofs.poison import counting, report
from proofs.poison.attack import Verdict
from proofs.poison.counting import Letters, sent
from proofs.poison.mutations import MARK, Raw

from lendrail.runtime.dead_letters import Letter, dead_letter, read_letter
from lendrail.runtime.vault import Key

RAW = Raw("submit", b"key", b"\xff{", (("ce_id", b"1"), ("x", None), ("x", b"")), "cut")
KEY = Key("intake-2026-03-02", b"k" * 32)


class Vault:
    def __init__(self, *_: Any) -> None:
        pass

    async def intake(self, _: dt.datetime) -> Key:
        return KEY

    async def find(self, ids: set[str]) -> dict[str, Key]:
        assert ids == {KEY.id}
        return {KEY.id: KEY}


class Consumed:
    """The record of `RAW` as a consumer has it."""

    partition, timestamp = 1, 5

    def __init__(self, raw: Raw, offset: int) -> None:
        self.offset = offset
        self.topic, self.key, self.value, self.headers = raw.topic, raw.key, raw.value, raw.headers


async def letter(
    raw: Raw = RAW, reason: str = "the body: json_invalid", offset: int = 7, by: str = "submission"
) -> Letter:
    vault: Any = Vault()
    written = await dead_letter(Consumed(raw, offset), reason, by, vault)
    return read_letter(type("Record", (), {"topic": "submit-dlq", "value": written.value, "headers": written.headers}))


async def seen(raw: Raw, known: Raw, reason: str = "the body: json_invalid") -> Letters:
    found = Letters()
    found.look(await letter(raw, reason), sent(known), KEY)
    return found


async def test_a_letter_that_holds_its_record_is_good() -> None:
    found = await seen(RAW, RAW)
    assert (found.count, found.changed, found.unexplained, found.leaked, found.too_long) == (1, [], [], [], 0)


@pytest.mark.parametrize(
    "other",
    [
        Raw("submit", b"key", b"\xff[", RAW.headers, "cut"),
        Raw("submit", None, RAW.value, RAW.headers, "cut"),
        Raw("submit", b"key", RAW.value, (("ce_id", b"1"), ("x", b""), ("x", None)), "cut"),
    ],
    ids=["another value", "no key", "null and empty changed"],
)
async def test_a_letter_of_something_else_is_named(other: Raw) -> None:
    assert (await seen(other, RAW)).changed == ["cut: submit|1|7"]


async def test_only_what_is_too_long_may_lack_a_part() -> None:
    long = Raw("submit", b"key", b"v" * 500_000, RAW.headers, "too long")
    found = await seen(long, long)
    assert (found.too_long, found.changed) == (1, [])
    assert (await seen(long, RAW)).changed == ["cut: submit|1|7 lacks a part"]


async def test_a_reason_that_lacks_or_tells_too_much_is_named() -> None:
    assert (await seen(RAW, RAW, "")).unexplained == ["submit|1|7"]
    assert (await seen(RAW, RAW, f"header {MARK} is missing")).leaked == ["reason of submit|1|7"]


async def counted(monkeypatch: pytest.MonkeyPatch, folder: Path, read: Sequence[Letter | str], sent_: int) -> Letters:
    """Of records at offsets from 0 on, which two services read."""

    async def letters(_: str) -> AsyncIterator[Letter | str]:
        for each in read:
            yield each

    monkeypatch.setattr(counting, "letters", letters)
    monkeypatch.setattr(counting, "Vault", Vault)
    monkeypatch.setattr(counting, "AT_ONCE", 2)
    (folder / "config").mkdir()
    (folder / "config" / "master.key").write_text(base64.b64encode(b"m" * 32).decode())
    placed = {("submit", 1, offset): sent(RAW) for offset in range(sent_)}
    readers = {"submit": ("submission", "status")}
    return await counting.count("nowhere", "mongodb://127.0.0.1:1", folder, placed, readers)


async def test_each_reader_has_one_letter_of_each_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    both = [await letter(offset=n, by=service) for n in range(5) for service in ("submission", "status")]
    beside: list[Letter | str] = ["notify-dlq", await letter(offset=99), *both]
    found = await counted(monkeypatch, tmp_path, beside, 5)
    assert (found.count, found.silent, found.repeated, found.changed) == (10, [], [], [])


async def test_a_silent_reader_and_a_second_letter_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read = [await letter(offset=0), await letter(offset=0), await letter(offset=1), await letter(offset=1, by="status")]
    found = await counted(monkeypatch, tmp_path, read, 2)
    assert found.silent == ["status: cut at ('submit', 1, 0)"]
    assert found.repeated == ["submission: ('submit', 1, 0)"]


def test_the_page_says_what_is_not_kept() -> None:
    good = Verdict(sent=10, letters=10, good=2, calls=1)
    assert all(check.kept for check in report.checks(good))
    assert not all(check.kept for check in report.checks(Verdict()))
    for name in report.MEANING:
        bad = Verdict(sent=10, good=2, calls=1)
        setattr(bad, name, ["here"])
        assert [check.kept for check in report.checks(bad)].count(False) == 1
        assert report.tables(bad, 1)[-1].rows == [(name, "here")]
