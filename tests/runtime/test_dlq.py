"""`dlq list | show | replay` on real Kafka and MongoDB: each record goes back once, whoever asks how often."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from tests import make, support
from tests.runtime.stepping import TOPIC, Bench, at_least
from tests.runtime.stepping import bench as bench  # the fixture

from lendrail.contracts.event import Record
from lendrail.local.auditing import verdicts_of
from lendrail.runtime import dlq
from lendrail.runtime.dead_letters import Original
from lendrail.runtime.dlq_arguments import parser
from lendrail.runtime.dlq_store import DATABASE
from lendrail.runtime.mongo import Document
from lendrail.runtime.settings import Stores

ME = ("--who", "jane.d", "--why", "the key is there again")


@pytest.fixture(scope="module", autouse=True)
def _topics(kafka: str) -> None:
    asyncio.run(support.topics(kafka, TOPIC, "application-rejected"))


class Desk:
    """The command as an operator has it, on the servers of a bench."""

    def __init__(self, bench: Bench, mongo: str, prefix: str, folder: Path, capsys: Any) -> None:
        self.bench, self.mongo, self.prefix, self._capsys = bench, mongo, prefix, capsys
        self._environment = support.environment(folder, kafka=bench.kafka, mongo=mongo, prefix=prefix)
        (folder / "master.key").write_text(base64.b64encode(b"0" * 32).decode())

    async def __call__(self, *arguments: str) -> list[str]:
        """The lines that it prints. Raises `dlq.Refused`."""
        with pytest.MonkeyPatch.context() as patched:
            for name, value in self._environment.items():
                patched.setenv(name, value)
            settings = Stores()
        self._capsys.readouterr()
        assert await dlq.run(settings, parser().parse_args(arguments)) == 0
        lines: list[str] = self._capsys.readouterr().out.splitlines()
        return lines

    async def mine(self, *arguments: str) -> list[str]:
        return await self(*arguments, "--service", self.bench.service)

    async def unreadable(self) -> Record:
        """An event whose data key is not there: a backup of the keys was late, say."""
        event = make.received()
        aside = (await self.bench.vault.create([event.key_id]))[event.key_id]
        record = make.record(event, aside)
        keys = self.bench.vault._keys
        self.hidden: Any = await keys.find_one_and_delete({"_id": event.key_id})
        self.bench.vault.forget([event.key_id])
        await self.bench.send(record)
        return record

    async def key_comes_back(self) -> None:
        await self.bench.vault._keys.insert_one(self.hidden)

    async def on_topic(self, record: Record) -> list[Any]:
        return await self.bench.read(TOPIC, lambda each: each.key == record.key)

    async def stored(self, name: str) -> list[Document]:
        client: AsyncMongoClient[Document] = AsyncMongoClient(self.mongo, tz_aware=True)
        async with client:
            return await client[f"{self.prefix}{DATABASE}"][name].find({}).to_list()


@pytest.fixture
async def desk(bench: Bench, mongo: str, database_prefix: str, tmp_path: Path, capsys: Any) -> Desk:
    return Desk(bench, mongo, database_prefix, tmp_path, capsys)


async def letters(bench: Bench, count: int) -> None:
    async def there() -> bool:
        return len(await bench.letters()) >= count

    await support.eventually(there)


async def test_a_record_goes_back_once_and_takes_effect_once(desk: Desk) -> None:
    bench = desk.bench
    record = await desk.unreadable()
    await bench.run(bench.reject)
    await letters(bench, 1)
    told = await desk.mine("replay", "--dry-run")
    assert "cannot be read now either: ce_keyid names no data key" in told[0]
    again = await desk.mine("replay", *ME)
    assert (again[0], again[-1][:13]) == (told[0], "0 put back; 0")
    await desk.key_comes_back()
    told = await desk.mine("replay", "--dry-run")
    assert "it can be read now" in told[0]
    assert told[1].startswith("1 would be put back")
    assert len(await desk.on_topic(record)) == 1, "a dry run changes nothing"
    assert await desk.stored("dead_letters") == []
    runs = [await desk.mine("replay", *ME) for _ in range(3)]
    assert [run[-1][:24] for run in runs] == ["1 put back; 0 were befor"] + ["0 put back; 1 were befor"] * 2
    assert "was put back by jane.d" in runs[2][0]
    first, again = await desk.on_topic(record)
    assert (first.key, first.value, first.headers) == (again.key, again.value, again.headers)
    assert first.partition == again.partition
    await support.eventually(lambda: at_least(bench.effects, 1))
    assert bench.computed == 1
    assert len(await bench.letters()) == 1


async def test_who_and_why_are_entered_before_it_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that dies before Kafka has the record leaves its entry, and the next one does it."""
    bench = desk.bench
    record = await desk.unreadable()
    await bench.run(bench.reject)
    await letters(bench, 1)
    await desk.key_comes_back()

    class Killed(BaseException):
        pass

    async def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("lendrail.runtime.publisher.KafkaPublisher.publish", dies)
        with pytest.raises(Killed):
            await desk.mine("replay", *ME)
    (entered,) = await desk.stored("dead_letters")
    assert [entry["who"] for entry in entered["audit"]] == ["operator:jane.d"]
    assert "the key is there" not in repr(entered)
    assert "somebody else puts it back" in (await desk.mine("replay", *ME))[0], "it may still be alive"
    monkeypatch.setattr("lendrail.runtime.dlq_store.CLAIM_SECONDS", 0.0)
    client: AsyncMongoClient[Document] = AsyncMongoClient(desk.mongo)
    async with client:
        collection = client[f"{desk.prefix}{DATABASE}"]["dead_letters"]
        await collection.update_many({}, [{"$set": {"until": "$$NOW"}}])
    assert (await desk.mine("replay", *ME))[-1].startswith("1 put back")
    assert len(await desk.on_topic(record)) == 2
    (entered,) = await desk.stored("dead_letters")
    assert [entry["what"] for entry in entered["audit"]] == ["dead-letter-replayed"] * 2
    verdict = (await verdicts_of(desk.mongo, desk.prefix, {}))[DATABASE]
    assert (verdict.links, verdict.waiting, verdict.broken) == (2, 0, None)


async def test_nothing_of_the_content_is_shown_but_by_reveal(desk: Desk) -> None:
    bench = desk.bench
    good = await bench.event()
    headers = [("ce_id", b"900-12-3456"), ("x-note", b"Zqpoison"), ("ce_type", None), ("ce_source", b"gateway")]
    await bench.send(Record(TOPIC, b"Zqpoison", b"Zqpoison \x1b[2J", good.headers), headers=headers)
    await bench.run(bench.reject)
    await letters(bench, 1)
    (letter,) = await bench.letters()
    listed = await desk("list", "--each", "--topic", TOPIC)
    assert any(line.startswith(letter.id) for line in listed)
    shown = await desk("show", letter.id)
    assert {"  ce_id: (11 bytes of another form)", "  ce_type: (null)", "  ce_source: gateway"} <= set(shown)
    assert not any(word in line for word in ("Zqpoison", "900-12") for line in (*listed, *shown))
    with pytest.raises(dlq.Refused, match="--who"):
        await desk("show", letter.id, "--reveal")
    assert await desk.stored("dead_letters") == []
    revealed = await desk("show", letter.id, "--reveal", *ME)
    assert revealed[-1] == "value: Zqpoison \\x1b[2J"
    (entered,) = await desk.stored("dead_letters")
    assert [entry["what"] for entry in entered["audit"]] == ["dead-letter-revealed"]


async def test_what_cannot_be_put_back_is_said(desk: Desk) -> None:
    bench = desk.bench
    good = await bench.event()
    await bench.send(Record(TOPIC, b"k", b"x" * 500_000, good.headers), Record(TOPIC, b"k", b"{", good.headers))
    await bench.run(bench.reject)
    await letters(bench, 2)
    told = await desk.mine("replay", *ME, "--even-if-unreadable")
    assert sum("it was too long to be kept" in line for line in told) == 1
    assert sum("put back onto" in line for line in told) == 1
    await letters(bench, 3)
    await bench.vault._keys.delete_many({"_id": {"$regex": "^intake-"}})
    told = await desk.mine("replay", *ME, "--even-if-unreadable")
    assert any("the intake key" in line and "is destroyed" in line for line in told)


async def test_an_event_that_comes_back_is_not_put_back_again(desk: Desk) -> None:
    """Our code fails on it again, from another place: without --again that would go on for ever."""
    bench = desk.bench
    bad = await bench.event()

    async def fails(_: Any) -> list[Record]:
        raise ZeroDivisionError

    await bench.send(bad)
    await bench.run(fails)
    await letters(bench, 1)
    assert (await desk.mine("replay", *ME))[-1].startswith("1 put back")
    await letters(bench, 2)
    told = await desk.mine("replay", *ME)
    assert told[-1].startswith("0 put back; 1 were before; 1 cannot")
    assert any("came here again" in line for line in told)
    assert (await desk.mine("replay", *ME, "--again"))[-1].startswith("1 put back")


async def test_two_who_replay_at_once_put_it_back_once(desk: Desk) -> None:
    bench = desk.bench
    record = await desk.unreadable()
    await bench.run(bench.reject)
    await letters(bench, 1)
    await desk.key_comes_back()
    await asyncio.gather(*(desk.mine("replay", *ME) for _ in range(4)))
    assert len(await desk.on_topic(record)) == 2


async def test_a_null_key_and_null_values_stay_null(desk: Desk) -> None:
    bench = desk.bench
    nothing: Any = None
    await bench.send(Record(TOPIC, nothing, b"", ()), Record(TOPIC, b"", nothing, ()), headers=[("x", None)])
    await bench.run(bench.reject)
    await letters(bench, 2)
    await desk.mine("replay", *ME, "--even-if-unreadable")
    await letters(bench, 4)
    headers = (("x", None),)
    wanted = [Original(TOPIC, None, b"", headers), Original(TOPIC, b"", None, headers)] * 2
    assert sorted(map(repr, await bench.originals())) == sorted(map(repr, wanted))


async def test_a_selection_must_be_made(desk: Desk) -> None:
    with pytest.raises(dlq.Refused, match="--all"):
        await desk("replay", "--dry-run")
    assert await desk("replay", "--dry-run", "--id", "nobody's") == [
        "0 would be put back; 0 were before; 0 cannot, or are better not put back"
    ]
