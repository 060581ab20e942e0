"""Who carries out the looks: for each credential one worker for hints and one for sweeps.

So a credential whose budget is used up delays only itself, and a sweep that waits never stands in a hint's way. Where
there is a budget, the sweeps that are worth most go first.
"""

from __future__ import annotations

import asyncio

from lendrail.runtime.budget import Kind
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.due import Lease, Worker, claiming
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.partner_port import PartnerPort
from lendrail.runtime.tasks import end
from lendrail.status.polling.fetch import LEASE_SECONDS, LONGEST_SECONDS, Fetch
from lendrail.status.polling.order import Habits, Order
from lendrail.status.settings import Settings
from lendrail.status.timing import readable

LIMITED_LANES = 2
"""For a credential with a rate limit: more would only wait for its budget with a lease in hand."""
LOOK_FOR_CREDENTIALS_SECONDS = 2.0


class Workers:
    """Keeps two workers for each credential of the mounted file, as it changes."""

    def __init__(
        self,
        collection: Collection,
        fetch: Fetch,
        port: PartnerPort,
        credentials: Mounted[Credentials],
        settings: Settings,
        habits: Habits,
    ) -> None:
        self._collection, self._fetch, self._port = collection, fetch, port
        self._credentials, self._settings, self._habits = credentials, settings, habits
        self._hints: dict[str, Worker] = {}
        self._all: list[Worker] = []
        claiming(collection)  # so that its labels are known before there is any credential

    def wake(self, credential: str) -> None:
        """A hint of this credential is due."""
        if credential in self._hints:
            self._hints[credential].wake()

    async def run(self) -> None:
        """Until cancelled; a worker that dies ends this too, and liveness tells."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                running |= {asyncio.create_task(worker.run()) for worker in self._missing()}
                await asyncio.sleep(LOOK_FOR_CREDENTIALS_SECONDS)
                for task in running:
                    if task.done():
                        task.result()
        finally:
            await end(running)

    def _missing(self) -> list[Worker]:
        """Workers for credentials that have none yet."""
        new = []
        for credential in self._credentials.current.credentials:
            if credential.id not in self._hints and readable(credential.partner):
                self._hints[credential.id] = hints = self._worker(credential, "hint")
                new += [hints, self._worker(credential, "poll")]
        self._all += new
        return new

    async def drain(self, seconds: float) -> None:
        await asyncio.gather(*(worker.drain(seconds) for worker in self._all))

    def _worker(self, credential: Credential, kind: Kind) -> Worker:
        lanes = min(self._settings.fetch_lanes, LIMITED_LANES) if credential.rate else self._settings.fetch_lanes
        mine = {"credential": credential.id, "fetch.reason": "hint" if kind == "hint" else "sweep"}

        async def look(document: Document, lease: Lease, lane: int) -> None:
            await self._fetch.look(document, lease, lane, kind)

        async def where() -> Document | None:
            return None if credential.id in await self._port.paused() else mine

        shortest = min(
            self._settings.sweep_seconds, self._settings.longest_wait_seconds or self._settings.sweep_seconds
        )
        poll = 0.5 if kind == "hint" else min(0.7, shortest / 4)
        scarce = kind == "poll" and credential.rate is not None
        order = Order(self._collection, self._habits) if scarce else None
        return Worker(
            self._collection,
            look,
            where=where,
            lanes=lanes,
            lease_seconds=LEASE_SECONDS,
            longest_seconds=LONGEST_SECONDS,
            poll_seconds=poll,
            order=order,
        )
