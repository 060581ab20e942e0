"""What a step does with records that nobody can read or believe, on real Kafka and MongoDB: a letter each, and on."""

from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from tests import make, support
from tests.runtime.stepping import OUT, TOPIC, Bench, about, at_least
from tests.runtime.stepping import _topics as _topics
from tests.runtime.stepping import bench as bench

from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.runtime.dead_letters import Original
from lendrail.runtime.vault import Key


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(bench: Bench) -> None:
    good = [await bench.event() for _ in range(6)]
    await bench.send(good[0])
    await bench.send(Record(TOPIC, b"p1", b"{not json", good[0].headers))
    await bench.send(Record(TOPIC, b"p2", good[0].value, ()))
    await bench.send(Record(TOPIC, b"p3", b"1", ()), headers=[("ce_id", None), ("x", b"\xff\xfe")])
    await bench.send(Record(TOPIC, b"p4", good[1].value, good[2].headers))
    await bench.send(*good[1:])
    await bench.run(bench.reject)
    done = about(good)
    await support.eventually(lambda: at_least(bench.effects, 6))
    assert len(await bench.read(OUT, done)) == 6
    letters, originals = await bench.letters(), await bench.originals()
    assert len({letter.id for letter in letters}) == len(letters) == 4
    assert all(letter.reason and "not json" not in repr(letter) for letter in letters)
    by_key = {each.key: each for each in originals}
    assert by_key[b"p3"].headers == (("ce_id", None), ("x", b"\xff\xfe"))
    assert by_key[b"p1"] == Original(TOPIC, b"p1", b"{not json", good[0].headers)


async def test_nothing_of_what_a_sender_chose_stands_in_a_reason_or_in_the_clear(bench: Bench) -> None:
    """Names of headers and of members, the key, and values that nobody sealed."""
    good, mark = await bench.event(), "Zqpoison"
    body = orjson.loads(good.value)
    body["application"]["metadata"] = {mark: [mark]}
    await bench.send(Record(TOPIC, mark.encode(), orjson.dumps(body), good.headers))
    await bench.send(Record(TOPIC, mark.encode(), good.value, (*good.headers, (f"x-{mark}", b"\xff"))))
    await bench.run(bench.reject)

    async def both() -> bool:
        return len(await bench.letters()) == 2

    await support.eventually(both)
    letters = await bench.read(f"{TOPIC}-dlq", lambda record: orjson.loads(record.value)["service"] == bench.service)
    assert not any(mark.encode() in part for r in letters for part in (r.key, r.value, repr(r.headers).encode()))
    assert {each.key for each in await bench.originals()} == {mark.encode()}


async def test_what_is_too_long_for_a_letter_stops_nothing(bench: Bench) -> None:
    """Also when it is the headers or the key: a letter that no broker takes would come again for ever."""
    good, long = await bench.event(), b"x" * 2_500_000
    await bench.send(Record(TOPIC, b"k", long, good.headers), Record(TOPIC, long, b"{", good.headers))
    await bench.send(Record(TOPIC, b"k", b"{", (*good.headers, ("x-long", long))), good)
    await bench.run(bench.reject)
    await support.eventually(lambda: at_least(bench.effects, 1))

    async def all_three() -> bool:
        return len(await bench.letters()) == 3

    await support.eventually(all_three)
    assert sorted((letter.whole, *letter.sealed) for letter in await bench.letters()) == [
        (False, "key", "headers"), (False, "value"), (False, "value"),
    ]  # fmt: skip


async def test_what_is_sealed_under_another_key_is_a_letter_and_no_defect(bench: Bench) -> None:
    """However many there are: our code is not at fault, so the consumer goes on."""
    event, good = make.received(), await bench.event()
    await bench.vault.create([event.key_id])
    foreign = make.record(event, Key(event.key_id, b"another key, of thirty-two bytes"))
    await bench.send(*[foreign] * 5, good)
    await bench.run(bench.reject, defects=2)
    await support.eventually(lambda: at_least(bench.effects, 1))
    assert ["seal_broken" in letter.reason for letter in await bench.letters()] == [True] * 5


class RawName(str):
    """A header's name as clients in C, Go or Rust may write it: any bytes."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfename"


async def test_a_header_whose_name_is_no_text_loses_nothing_of_its_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own reader breaks in the middle of it, and with it the consumer."""
    good = [await bench.event() for _ in range(4)]
    monkeypatch.setattr(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    producer: Any = AIOKafkaProducer(bootstrap_servers=bench.kafka, max_batch_size=1024 * 1024)
    await producer.start()
    batch = producer.create_batch()
    odd = [*good[1].headers, (RawName("name"), b"\xff")]
    for record, headers in ((good[0], good[0].headers), (good[1], odd), (good[2], good[2].headers)):
        assert batch.append(key=record.key, value=record.value, timestamp=None, headers=list(headers))
    await (await producer.send_batch(batch, TOPIC, partition=0))
    await producer.stop()
    await bench.send(good[3])
    await bench.run(bench.reject)
    await support.eventually(lambda: at_least(bench.effects, 3))
    (original,) = await bench.originals()
    assert original.headers == (*good[1].headers, ("\udcff\udcfename", b"\xff"))


async def test_headers_that_tell_of_another_application_than_the_body_are_not_believed(bench: Bench) -> None:
    one, other = await bench.event(), make.received()
    key = (await bench.vault.create([other.key_id]))[other.key_id]
    envelope = envelope_of(other, "test", make.NOW)
    swapped = encode(other, envelope, key)
    headers = tuple((n, b"live" if n == "ce_mode" else v) for n, v in swapped.headers)
    await bench.send(Record(TOPIC, b"k", swapped.value, headers), one)
    await bench.run(bench.reject)
    await support.eventually(lambda: at_least(bench.effects, 1))
    (letter,) = await bench.letters()
    assert "ce_mode" in letter.reason
