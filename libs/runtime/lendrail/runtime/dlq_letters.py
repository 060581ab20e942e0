"""Reading the topics of dead letters, and telling of a letter whether its record could be put back and read now."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from lendrail.contracts.event import Malformed, read_envelope
from lendrail.contracts.sensitive import SealBroken
from lendrail.contracts.topics import FAMILIES, TOPICS, dead_letters_of
from lendrail.runtime.dead_letters import Letter, Original, read_letter
from lendrail.runtime.names import is_text
from lendrail.runtime.step import read_delivery
from lendrail.runtime.vault import Vault

_TOPICS = {topic.name: topic for topic in TOPICS}
_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PLAIN = {
    "content-type": r"application/json",
    "traceparent": r"[0-9a-f-]{55}",
    "ce_id": _ID,
    "ce_type": r"io\.lendrail\.[a-z-]{1,40}\.v[0-9]{1,3}",
    "ce_source": r"[a-z]{1,20}",
    "ce_specversion": r"[0-9.]{1,5}",
    "ce_time": r"[0-9T:.+Z-]{10,40}",
    "ce_subject": _ID,
    "ce_correlationid": _ID,
    "ce_causationid": _ID,
    "ce_mode": r"test|live",
    "ce_keyid": rf"{_ID}|intake-[0-9-]{{10}}",
}
"""What a header may hold to be shown to whoever only looks: what we write ourselves, and never a person's."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What would become of a letter's record if it were put back."""

    letter: Letter
    original: Original | None
    """None: it cannot be put back at all."""
    readable: bool | None
    """Whether it can be read now; None: only the gateway could tell."""
    said: str

    @property
    def event(self) -> str | None:
        """The id of its event, where that is one."""
        for name, value in self.original.headers if self.original else ():
            if name.lower() == "ce_id" and value and re.fullmatch(_ID, text := value.decode("latin-1")):
                return text
        return None


async def letters(servers: str, topics: Iterable[str] = ()) -> AsyncIterator[Letter | str]:
    """Every letter that Kafka has now, each once though it may stand there twice; of a record that is none of our
    letters the name of its topic. `topics` are the names of those that could not be read; none: all.
    """
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = await _places(servers, {dead_letters_of(name) for name in topics})
        consumer.assign(places)
        ends = await consumer.end_offsets(places) if places else {}
        await consumer.seek_to_beginning(*places) if places else None
        seen: set[str] = set()
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await consumer.getmany(timeout_ms=1000, max_records=500)).items():
                for record in records:
                    letter = _read(record)
                    if record.offset < ends[place] and (isinstance(letter, str) or letter.id not in seen):
                        seen.update(() if isinstance(letter, str) else (letter.id,))
                        yield letter
    finally:
        await consumer.stop()


async def _places(servers: str, wanted: set[str]) -> list[TopicPartition]:
    """All partitions of these topics of dead letters; of all there are, when none is named."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        return [
            TopicPartition(each["topic"], part["partition"])
            for each in await admin.describe_topics()
            for part in each["partitions"]
            if (each["topic"] in wanted if wanted else each["topic"].endswith(dead_letters_of("")))
        ]
    finally:
        await admin.close()


async def judged(letter: Letter, vault: Vault) -> Judged:
    if not letter.whole:
        said = f"it was too long to be kept; it stands at {letter.place} as long as that topic keeps it"
        return Judged(letter, None, False, said)
    key = (await vault.find([letter.key_id])).get(letter.key_id)
    if key is None:
        return Judged(letter, None, False, f"the intake key {letter.key_id} that sealed it is destroyed")
    try:
        original = letter.opened(key)
    except (SealBroken, ValueError):
        return Judged(letter, None, False, "the letter itself was altered")
    if not all(is_text(name) for name, _ in original.headers):
        return Judged(letter, None, False, "a header's name is no UTF-8, which our client cannot write")
    if original.key is None and original.value is None:
        return Judged(letter, None, False, "it has neither key nor value, which our client cannot write")
    return Judged(letter, original, *await _reading(original, vault))


async def _reading(original: Original, vault: Vault) -> tuple[bool | None, str]:
    """As a consumer of its topic would read it now."""
    topic = _TOPICS.get(original.topic)
    if topic is None:
        known = original.topic.startswith(tuple(family.prefix for family in FAMILIES))
        return (None, "the gateway tells whether it can be read") if known else (False, "nobody reads that topic")
    try:
        envelope = read_envelope(original.headers, topic.event.type())
        keys = await vault.find({envelope.key_id})
        if not keys and await vault.erased({envelope.key_id}):
            return False, "its person was erased: whoever read it would drop it"
        read_delivery(topic, original, envelope, keys)
    except Malformed as fault:
        return False, f"it cannot be read now either: {fault}"
    return True, "it can be read now"


def shown_headers(original: Original) -> list[str]:
    """For whoever may not see content: what we write ourselves, and of everything else how long it is."""
    lines = []
    for name, value in original.headers:
        known = _PLAIN.get(name.lower())
        text = (value or b"").decode("latin-1")
        if known is None:
            lines.append(f"(another header of {len(name)} and {len(value or b'')} bytes)")
        elif value is None:
            lines.append(f"{name.lower()}: (null)")
        else:
            shown = text if re.fullmatch(known, text) else f"({len(value)} bytes of another form)"
            lines.append(f"{name.lower()}: {shown}")
    return lines


def is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _read(record: Any) -> Letter | str:
    try:
        return read_letter(record)
    except Malformed:
        return str(record.topic)
