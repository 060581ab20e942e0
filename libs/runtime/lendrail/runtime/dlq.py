"""`python -m lendrail.runtime.dlq`: what could not be read, why, and putting it back. See docs/dead-letters.md.

Needs KAFKA_BOOTSTRAP_SERVERS, MONGO_URL and LENDRAIL_MASTER_KEY_FILE as every service has them, so it runs wherever a
service does. Nothing of a record's content is shown but by `show --reveal`, which enters who looked and why.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from aiokafka.errors import KafkaError
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from lendrail.contracts.event import Record
from lendrail.contracts.sensitive import SensitiveText
from lendrail.runtime import mongo
from lendrail.runtime.dead_letters import Letter, Original
from lendrail.runtime.dlq_arguments import parser
from lendrail.runtime.dlq_letters import Judged, judged, letters, shown_headers
from lendrail.runtime.dlq_store import DATABASE, DeadLetters, Operator
from lendrail.runtime.publisher import KafkaPublisher
from lendrail.runtime.settings import Stores, read_key
from lendrail.runtime.vault import LocalWrapper, Vault

AT_ONCE = 200
"""Records that are entered, put back and marked together."""
WHO = r"[a-z0-9][a-z0-9._-]{0,63}"


class Refused(Exception):
    """The command cannot be carried out; the text says why."""


@dataclass
class _Heap:
    """What one topic of dead letters holds."""

    reasons: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)
    times: list[Any] = field(default_factory=list)
    records: set[str] = field(default_factory=set)


class Dlq:
    """The three commands, on servers that are there."""

    def __init__(self, settings: Stores) -> None:
        self._servers = settings.kafka_bootstrap_servers
        self._client = mongo.connect(settings)
        keys = mongo.database(self._client, settings, "keys")["data_keys"]
        self.vault = Vault(keys, LocalWrapper(read_key(settings.master_key_file)))
        self.store = DeadLetters(mongo.database(self._client, settings, DATABASE))

    async def close(self) -> None:
        await self._client.close()

    async def list(self, asked: argparse.Namespace) -> int:
        heaps: dict[str, _Heap] = {}
        foreign: Counter[str] = Counter()
        async for letter in letters(self._servers, asked.topic or ()):
            if isinstance(letter, str):
                foreign[letter] += 1
                continue
            heap = heaps.setdefault(letter.topic, _Heap())
            heap.reasons[letter.reason] += 1
            heap.services[letter.service] += 1
            heap.times = [min([letter.at, *heap.times]), max([letter.at, *heap.times])]
            heap.records.add(letter.record)
            if asked.each:
                _say(f"{letter.id}  {letter.at:%Y-%m-%d %H:%M:%S}  {letter.service}  {letter.place}  {letter.reason}")
        for topic, heap in sorted(heaps.items()):
            await self._tell(topic, heap)
        for name, count in sorted(foreign.items()):
            _say(f"{name}: {count} records that are no dead letters of ours")
        if not heaps and not foreign:
            _say("There are no dead letters.")
        return 0

    async def _tell(self, topic: str, heap: _Heap) -> None:
        back = 0
        ids = sorted(heap.records)
        for begin in range(0, len(ids), 1000):
            known = await self.store.known(ids[begin : begin + 1000])
            back += sum(each.state == "replayed" for each in known.values())
        by = ", ".join(f"{service} {count}" for service, count in heap.services.most_common())
        first, last = heap.times
        _say(
            f"{topic}: {heap.services.total()} letters about {len(ids)} records ({by}), oldest {first:%Y-%m-%d %H:%M},"
            f" newest {last:%Y-%m-%d %H:%M} UTC; put back {back}"
        )
        for reason, count in heap.reasons.most_common():
            _say(f"  {count:>7}  {reason}")

    async def show(self, asked: argparse.Namespace) -> int:
        async for letter in letters(self._servers):
            if isinstance(letter, Letter) and letter.id == asked.id:
                return await self._show(await judged(letter, self.vault), asked)
        raise Refused("There is no such letter; `list --each` names them all.")

    async def _show(self, found: Judged, asked: argparse.Namespace) -> int:
        letter = found.letter
        known = (await self.store.known([letter.record])).get(letter.record)
        _say(f"topic {letter.topic}, partition {letter.partition}, offset {letter.offset}")
        _say(f"put aside by {letter.service} at {letter.at:%Y-%m-%d %H:%M:%S} UTC: {letter.reason}")
        _say(f"now: {found.said}")
        if known is not None and known.state != "seen":
            _say(f"{known.state} by {known.who}" + (f" at {known.at:%Y-%m-%d %H:%M:%S} UTC" if known.at else ""))
        if found.original is None:
            return 0
        for line in shown_headers(found.original):
            _say(f"  {line}")
        size = "no value" if found.original.value is None else f"a value of {len(found.original.value)} bytes"
        _say(f"{size}, sealed under {letter.key_id}")
        if asked.reveal:
            await self.store.prepare()
            await self.store.looked(found, await self._operator(asked))
            await self.store.chained()
            _reveal(found.original)
        return 0

    async def replay(self, asked: argparse.Namespace) -> int:
        wanted, told, batch = set(asked.id or ()), Counter[str](), list[Judged]()
        operator = None
        if not asked.dry_run:
            await self.store.prepare()
            operator = await self._operator(asked)
        publisher = KafkaPublisher(self._servers, "lendrail-dlq")
        connecting = asyncio.create_task(publisher.run())
        seen: set[str] = set()
        try:
            async for letter in letters(self._servers, asked.topic or ()):
                if isinstance(letter, str) or not _selected(letter, asked, wanted) or letter.record in seen:
                    continue
                seen.add(letter.record)
                batch.append(await judged(letter, self.vault))
                if len(batch) >= AT_ONCE:
                    await self._batch(batch, asked, operator, publisher, told)
                    batch = []
            await self._batch(batch, asked, operator, publisher, told)
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await publisher.stop()
            if operator is not None:
                await self.store.chained()
        done = "would be put back" if asked.dry_run else "put back"
        _say(f"{told[done]} {done}; {told['already']} were before; {told['not']} cannot, or are better not put back")
        return 0

    async def _batch(
        self,
        batch: Sequence[Judged],
        asked: argparse.Namespace,
        operator: Operator | None,
        publisher: KafkaPublisher,
        told: Counter[str],
    ) -> None:
        known = await self.store.known([each.letter.record for each in batch])
        back = await self.store.came_back(batch)
        going: list[Judged] = []
        for each in batch:
            before = known.get(each.letter.record)
            if before is not None and before.state == "replayed":
                told["already"] += 1
                _say(f"{each.letter.id}  was put back by {before.who} at {before.at:%Y-%m-%d %H:%M:%S} UTC")
            elif each.original is None or (each.readable is False and not asked.even_if_unreadable):
                told["not"] += 1
                _say(f"{each.letter.id}  not put back: {each.said}")
            elif each.letter.record in back and not asked.again:
                told["not"] += 1
                _say(f"{each.letter.id}  not put back: its event was put back before and came here again (--again)")
            else:
                going.append(each)
        if operator is None:
            told["would be put back"] += len(going)
            for each in going:
                _say(f"{each.letter.id}  would go back onto {each.letter.topic}; {each.said}")
        elif going:
            await self._put_back(going, operator, publisher, told)

    async def _put_back(
        self, going: Sequence[Judged], operator: Operator, publisher: KafkaPublisher, told: Counter[str]
    ) -> None:
        """Enter, publish, mark. Whoever dies in between is followed by one who publishes once more, which receivers
        take for the same event.
        """
        lacking = set(await publisher.lacking({each.letter.topic for each in going}))
        for each in going:
            if each.letter.topic in lacking:
                told["not"] += 1
                _say(f"{each.letter.id}  not put back: Kafka has no topic {each.letter.topic}")
        there = [each for each in going if each.letter.topic not in lacking]
        mine = await self.store.claim(there, operator)
        ours = [each for each in there if each.letter.record in mine]
        await publisher.publish([_record(each.original) for each in ours if each.original is not None])
        await self.store.done([each.letter.record for each in ours], operator)
        for each in there:
            said = f"put back onto {each.letter.topic}" if each in ours else "somebody else puts it back at this moment"
            told["put back" if each in ours else "not"] += 1
            _say(f"{each.letter.id}  {said}")

    async def _operator(self, asked: argparse.Namespace) -> Operator:
        """Raises `Refused`."""
        if not asked.who or not re.fullmatch(WHO, asked.who) or not asked.why:
            raise Refused("State --who (an id such as jane.d, no address) and --why; both are kept in the audit.")
        action = str(uuid.uuid4())
        key = (await self.vault.create([action]))[action]
        return Operator(asked.who, SensitiveText(asked.why), action, key)


def _selected(letter: Letter, asked: argparse.Namespace, wanted: set[str]) -> bool:
    return (
        (not wanted or letter.id in wanted)
        and (not asked.reason or letter.reason in asked.reason)
        and (not asked.service or letter.service in asked.service)
    )


def _record(original: Original) -> Record:
    """As it was: a null key and null headers go through the port as they are."""
    return Record(
        original.topic, cast("bytes", original.key), cast("bytes", original.value), cast(Any, original.headers)
    )


def _reveal(original: Original) -> None:
    _say(f"key: {_readable(original.key)}")
    for name, value in original.headers:
        _say(f"header {name!r}: {_readable(value)}")
    _say(f"value: {_readable(original.value)}")


def _readable(value: bytes | None) -> str:
    """Text where it is text; control characters and what is none as escapes, so that no terminal obeys them."""
    return "(null)" if value is None else ascii(value.decode("utf-8", "backslashreplace"))[1:-1]


def _say(text: str) -> None:
    print(text, flush=True)


async def run(settings: Stores, asked: argparse.Namespace) -> int:
    if asked.command == "replay" and not (asked.all or asked.topic or asked.id or asked.reason or asked.service):
        raise Refused("Say which: --topic, --reason, --service, --id, or --all.")
    dlq = Dlq(settings)
    try:
        return int(await getattr(dlq, asked.command)(asked))
    finally:
        await dlq.close()


def main(arguments: Sequence[str]) -> int:
    """The command; its exit code."""
    asked = parser().parse_args(arguments)
    try:
        return asyncio.run(run(Stores(), asked))
    except (Refused, ValidationError, ValueError) as error:
        _say(str(error) if not isinstance(error, ValidationError) else _missing(error))
    except (KafkaError, PyMongoError, OSError) as error:
        _say(f"{type(error).__name__}: Kafka or MongoDB does not answer. Repeat the command: nothing is done twice.")
    return 1


def _missing(error: ValidationError) -> str:
    names = ", ".join(
        str(each["loc"][0]) for each in error.errors(include_url=False, include_input=False) if each["loc"]
    )
    return f"The environment lacks, or has wrong: {names}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
