"""A service: what it is made of, in which order that starts and stops, and how healthy it is.

`app.py` of each service builds one `Service`, hands its clients and stores to the step functions, and `main` serves it.
HTTP is up at once; Kafka and MongoDB may come later, and readiness says what is still missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import structlog
from fastapi import FastAPI, Response
from faststream.kafka import KafkaBroker
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from lendrail.contracts.topics import Topic
from lendrail.runtime import http, mongo, tasks
from lendrail.runtime.admission import Gate
from lendrail.runtime.broker import assigned, make_broker, start_when_there
from lendrail.runtime.clock import STORE
from lendrail.runtime.failures import DefectMeter
from lendrail.runtime.forgetting import Forget, Forgetting
from lendrail.runtime.publisher import KafkaPublisher, Publisher
from lendrail.runtime.settings import ServiceSettings, read_key
from lendrail.runtime.sharing import Sharing
from lendrail.runtime.step import Handler, Steps
from lendrail.runtime.stored_events import Source
from lendrail.runtime.tokens import PublishedKeys, ServiceTokens, Verifier
from lendrail.runtime.vault import LocalWrapper, Vault

log = structlog.get_logger()
Prepare = Callable[[], Awaitable[Any]]
STOP_SECONDS = 20.0
CLOCK_SECONDS = 10.0
"""Between looks at the store's clock."""


class Service:
    """Clients, steps, background work and HTTP of one service."""

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        broker: KafkaBroker | None = None,
        publisher: Publisher | None = None,
        client: AsyncMongoClient[mongo.Document] | None = None,
    ) -> None:
        """Tests hand in a broker, a publisher or a client of their own."""
        self.name, self.settings = name, settings
        self.client = client or mongo.connect(settings)
        self.broker = broker or make_broker(settings, name)
        self.kafka = None if publisher else KafkaPublisher(settings.kafka_bootstrap_servers, settings.instance or name)
        self.publisher: Publisher = publisher or self.kafka  # type: ignore[assignment]
        keys = mongo.database(self.client, settings, "keys")["data_keys"]
        self.vault = Vault(keys, LocalWrapper(read_key(settings.master_key_file)))
        self.tokens = ServiceTokens(read_key(settings.service_key_file), name)
        self.http = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=10)
        self.defects = DefectMeter()
        self.steps = Steps(name, settings, self.broker, self.publisher, self.vault, self.defects)
        self._subscribers: list[Any] = []
        self._prepare: list[Prepare] = [self._look_at_clock, self.vault.prepare]
        self._loops: list[Callable[[], Coroutine[Any, Any, None]]] = [self._follow_clock, self._forgetting]
        self._drains: list[Callable[[float], Awaitable[None]]] = []
        self._forget: list[Forget] = []
        self.sources: list[Source] = []
        self._forgotten = self.database["forgotten"]
        self._tasks: list[asyncio.Task[None]] = []
        self._prepared = False
        self.needs_broker = True
        self.instead_of_mongo: tuple[str, Callable[[], Awaitable[bool]]] | None = None
        """What may stand in while MongoDB does not answer: its name in the answer, and whether it can be used."""

    @property
    def database(self) -> AsyncDatabase[mongo.Document]:
        """The database that this service alone reads and writes."""
        return mongo.database(self.client, self.settings, self.name)

    def shared(self, name: str) -> AsyncDatabase[mongo.Document]:
        """A database that several services share: `keys` or `partners`."""
        return mongo.database(self.client, self.settings, name)

    def on(self, topic: Topic[Any], handle: Handler[Any]) -> None:
        """Hear `topic` with `handle`."""
        self.watch(self.steps.on(topic, handle))

    def watch(self, subscriber: Any) -> None:
        """Let readiness and liveness look at this subscriber."""
        self._subscribers.append(subscriber)

    def prepare(self, action: Prepare) -> None:
        """Run `action` (indexes) when MongoDB is there, before any work starts."""
        self._prepare.append(action)

    def loop(self, run: Callable[[], Coroutine[Any, Any, None]], drain: Any = None) -> None:
        """Run `run` as long as the service lives; on stop, `drain(seconds)` finishes what is under way."""
        self._loops.append(run)
        if drain is not None:
            self._drains.append(drain)

    def forgets(self, forget: Forget) -> None:
        """Call `forget` with the ids of applications whose person was erased: once soon, and once more later."""
        self._forget.append(forget)

    def republishes(self, *sources: Source) -> None:
        """What the command `republish` fills Kafka with again."""
        self.sources += sources

    @property
    def republished(self) -> mongo.Collection:
        """Where that command stands."""
        return self.database["republished"]

    async def _look_at_clock(self) -> None:
        began = time.monotonic()
        said = await self.client.admin.command("hello")
        STORE.seen(said["localTime"], began, time.monotonic())

    async def _follow_clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            try:
                await self._look_at_clock()
            except mongo.OUTAGES as error:
                log.debug("the store's clock cannot be seen", error=type(error).__name__)

    async def _forgetting(self) -> None:
        await Forgetting(self.vault, self._forgotten, self._forget).run()

    def api(self, title: str, verifier: Verifier | None = None) -> FastAPI:
        """The HTTP application, with health, error answers and the service's life tied to it."""
        app = FastAPI(title=title, version="1", lifespan=self._lifespan, docs_url=None, redoc_url=None)
        jwks = PublishedKeys(str(self.settings.jwks_url or ""), self.http)
        app.state.verifier = verifier or Verifier(self.settings.issuer, jwks)
        app.state.tokens = self.tokens
        gate = Gate(self.settings.requests_at_once, self.settings.request_bytes_at_once)
        http.install(app, self.settings.max_body_bytes, gate, body_seconds=self.settings.body_seconds)
        app.add_api_route("/live", self._live, include_in_schema=False)
        app.add_api_route("/ready", self._ready, include_in_schema=False)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self) -> None:
        if self.kafka is not None:
            self._spawn(self.kafka.run())
        self._spawn(self._begin())

    async def _begin(self) -> None:
        """Indexes first, then loops and consumers; each waits for its server as long as it takes."""
        while not self._prepared:
            try:
                for action in self._prepare:
                    await action()
                self._prepared = True
            except mongo.OUTAGES as error:
                log.warning("mongodb is not there yet", error=type(error).__name__)
                await asyncio.sleep(0.5)
        for run in self._loops:
            self._spawn(tasks.kept(run, self.defects))
        if self._subscribers:
            await start_when_there(self.broker, lambda e: log.warning("kafka is not there yet", error=type(e).__name__))
            sharing = Sharing(self.settings.kafka_bootstrap_servers, self._subscribers)
            self._spawn(tasks.kept(sharing.run, self.defects))

    async def stop(self) -> None:
        """Stop reading, finish what is under way, then let go of the clients. Bounded in time."""
        try:
            await asyncio.wait_for(self.broker.stop(), STOP_SECONDS)
        except TimeoutError:
            log.warning("consumers did not stop in time; their batch comes again")
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*(drain(STOP_SECONDS) for drain in self._drains))
        await tasks.end(self._tasks)
        if self.kafka is not None:
            await self.kafka.stop()
        await self.http.aclose()
        await self.client.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_report)
        self._tasks.append(task)

    def _live(self, response: Response) -> dict[str, Any]:
        """Alive while no background task has died and no consumer was stopped by defects."""
        dead = [t for t in self._tasks if t.done() and not t.cancelled() and t.exception() is not None]
        checks = {"tasks": not dead, "defects": not self.defects.tripped}
        return _answer(response, checks)

    async def _ready(self, response: Response) -> dict[str, Any]:
        answers = await self._mongo_answers()
        checks = {"mongo": self._prepared and answers}
        if self.needs_broker:
            checks["kafka"] = self.publisher.ready
            checks["consumers"] = all(assigned(subscriber) for subscriber in self._subscribers)
        if answers or self.instead_of_mongo is None:
            return _answer(response, checks)
        name, usable = self.instead_of_mongo
        checks[name] = await usable()
        return _answer(response, checks, excused={"mongo"})

    async def _mongo_answers(self) -> bool:
        try:
            await asyncio.wait_for(self.client.admin.command("ping"), 2)
        except (*mongo.OUTAGES, TimeoutError):
            return False
        return True


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("a background task died", exc_info=task.exception())


def _answer(response: Response, checks: dict[str, bool], excused: Collection[str] = ()) -> dict[str, Any]:
    good = all(passed for name, passed in checks.items() if name not in excused)
    response.status_code = 200 if good else 503
    return {"status": "ok" if good else "unavailable", "checks": checks}
