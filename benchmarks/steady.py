"""What a run of recoveries needs beside the stack: a light steady load, and a second replica of each service."""

from __future__ import annotations

import asyncio
import random
import sys
import uuid
from contextlib import suppress
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from proofs.loans import loans

from benchmarks.sides import Lendrail
from lendrail.local import publish
from lendrail.local.servers.ports import free_port
from lendrail.local.servers.process import Process

RATE = 6.0
"""Applications a second, at random times; each goes through all services."""
DIFFERENT = 12_000
"""Applications before the first one comes again: more than any run takes."""


class Load:
    """A light steady one: to the Kafka intake, or to the REST door, which takes applications while Kafka is down."""

    def __init__(self, side: Lendrail) -> None:
        self._side, self._made = side, 0
        self._key = publish.public_key(side.folder / "config" / "intake.jwk")
        self._contents = loans(DIFFERENT, 0)
        self.rest = self.paused = False

    async def run(self) -> None:
        """Until cancelled."""
        producer: Any = AIOKafkaProducer(bootstrap_servers=self._side.kafka, acks="all", enable_idempotence=True)
        api, sends = publish.Api(self._side.endpoints), set[asyncio.Task[None]]()
        await producer.start()
        try:
            async with api.client:
                while True:
                    await asyncio.sleep(random.expovariate(RATE))
                    if self.paused:
                        continue
                    send = asyncio.create_task(self._by_rest(api) if self.rest else self._by_kafka(producer))
                    sends.add(send)
                    send.add_done_callback(sends.discard)
        finally:
            for send in sends:
                send.cancel()
            await asyncio.gather(*sends, return_exceptions=True)
            await producer.stop()

    def _next(self) -> dict[str, Any]:
        self._made += 1
        return self._contents[self._made % len(self._contents)]

    async def _by_kafka(self, producer: Any) -> None:
        value, headers, event = publish.record(self._next(), self._key)
        with suppress(KafkaError):  # it is a load, and no proof that nothing is lost
            await producer.send_and_wait(self._side.topic, value, key=event.encode(), headers=headers)

    async def _by_rest(self, api: publish.Api) -> None:
        content, key = self._next(), str(uuid.uuid4())
        for _ in range(60):
            with suppress(httpx.HTTPError):
                if (await api.post("/v1/applications", content, key)).status_code == 202:
                    return
            await asyncio.sleep(0.5)


class Replicas:
    """A second process of each service, with the environment of the first and another name and port."""

    def __init__(self, side: Lendrail) -> None:
        self._side = side
        self._running: dict[str, Process] = {}

    def start(self, service: str) -> None:
        told = psutil.Process(self._side.read()["services"][service]["pid"]).environ()
        told |= {"LENDRAIL_INSTANCE": name_of(service), "LENDRAIL_PORT": str(free_port())}
        log = self._side.folder / "logs" / f"{name_of(service)}.log"
        process = Process(name_of(service), [sys.executable, "-m", f"lendrail.{service}"], log, told)
        process.start()
        self._running[service] = process

    def kill(self, service: str) -> None:
        self._running.pop(service).kill()

    def stop(self) -> None:
        for service in list(self._running):
            self.kill(service)


def name_of(service: str) -> str:
    """Of the second one; the first is `-1`."""
    return f"{service}-2"
