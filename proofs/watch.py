"""Reads result topics without a group and remembers when each application got where; and what the processes used."""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition


@dataclass
class Seen:
    """When (seconds since the epoch) each key was first seen as decided."""

    decided: dict[str, float] = field(default_factory=dict)


async def watch(
    kafka: str, topic: str, decided: Callable[[Any], tuple[str, float] | None], wanted: int, seen: Seen
) -> None:
    """Return when `wanted` keys are decided."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or range(6)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    try:
        while len(seen.decided) < wanted:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    found = decided(record)
                    if found is not None:
                        seen.decided.setdefault(*found)
    finally:
        await consumer.stop()


def header_time(record: Any) -> float:
    text = dict(record.headers)["ce_time"].decode()
    return dt.datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True)
class Usage:
    """CPU seconds and peak resident memory (MB) of one process."""

    cpu: float
    peak: float


def usage(pids: dict[str, int]) -> dict[str, Usage]:
    """Of each named process and its children."""
    found = {}
    for name, pid in pids.items():
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        cpu = sum(sum(process.cpu_times()[:2]) for process in family)
        found[name] = Usage(cpu, sum(_peak(process.pid) for process in family))
    return found


def _peak(pid: int) -> float:
    with open(f"/proc/{pid}/status") as lines:
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def percentile(values: Iterable[float], percent: int) -> float:
    ordered = sorted(values)
    if len(ordered) < 2:
        return ordered[0] if ordered else float("nan")
    return statistics.quantiles(ordered, n=100, method="inclusive")[percent - 1]


async def until(check: Callable[[], Any], seconds: float) -> Any:
    """The first truthy answer. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (answer := await asyncio.to_thread(check)):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.2)
    return answer
