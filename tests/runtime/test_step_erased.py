"""What a step does with the events of a person who was erased, on real Kafka and MongoDB."""

from typing import Any

import orjson
from tests import support
from tests.runtime.stepping import OUT, TOPIC, Bench, about
from tests.runtime.stepping import _topics as _topics
from tests.runtime.stepping import bench as bench


async def test_an_event_of_an_erased_person_is_dropped_and_kept_nowhere(bench: Bench) -> None:
    """Nobody can read it any more; a dead letter would keep it for a month, and say that there was somebody."""
    gone, others = await bench.event(), [await bench.event() for _ in range(6)]
    await bench.vault.erase(dict(gone.headers)["ce_keyid"].decode())
    await bench.send(gone, *others)
    (place,) = await bench.read(TOPIC, about([gone]))
    await bench.run(bench.reject)

    async def done() -> bool:
        return await bench.effects.count_documents({}) == 6 and await bench.committed(place) > place.offset

    def of_it(record: Any) -> bool:
        told = orjson.loads(record.value)
        return (told["service"], told["partition"], told["offset"]) == (bench.service, place.partition, place.offset)

    await support.eventually(done)
    assert await bench.read(f"{TOPIC}-dlq", of_it) == [], "a letter is kept of an erased person"
    assert len(await bench.read(OUT, about([gone, *others]))) == 6
