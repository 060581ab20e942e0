"""The ground that a run is fought on: a whole stack with a proxy between it and everything that is not it.

Kafka and MongoDB are started here and not by the stack, so that they can be killed and started again while its
supervisor is busy; Kafka tells its clients the proxy's port. The stack itself is `lendrail up`, told of the proxy by
its environment and by two options. It runs as our child: when we die, however we do, the kernel ends it and all that it
started.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.flow.stack import FAST

from lendrail.local.programs import KAFKA, MONGO, PORTS, SANDBOX, SANDBOX_SMTP
from lendrail.local.servers import Kafka, Mongo, ServerError
from lendrail.local.servers.process import Process, wait_until
from lendrail.local.state import State
from proofs.chaos.plan import MAIL_PARTNERS
from proofs.chaos.proxy import BYTES, HTTP, MAIL
from proofs.chaos.remote import UUID, Gate, Remote

UP_SECONDS, DOWN_SECONDS = 120.0, 60.0
PROXY = "proxy-"
PARTNERS, MAILS, CONTROL = "partners", "mails", "control"
DEADLINE_SECONDS = 4.0
"""How long services wait for a partner. Shorter is quicker, but on a machine with much to do a service is then itself
too late for answers that came in time, and what is unknown for that no fault has brought about.
"""
BUSY = {
    "LENDRAIL_LOG_LEVEL": "WARNING",
    "LENDRAIL_PARTNER_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
    "LENDRAIL_LEASE_SECONDS": "14",
}
UP = ("--no-rate-limit", "--no-email")
"""With their rate limits a few hundred applications would take hours; a proof of limits is not this one."""


class Ground:
    """Started and stopped by blocking calls; a context manager that leaves nothing behind."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        marks: str = UUID,
        environment: Mapping[str, str] | None = None,
        options: tuple[str, ...] = UP,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`marks`: what the proxy looks for in requests to partners. `options` are those of `lendrail up`."""
        self.state = State(folder)
        self.state.prepare()
        self.ports = self.state.ports([*PORTS, *(PROXY + name for name in (KAFKA, MONGO, PARTNERS, MAILS, CONTROL))])
        ports, data = self.ports, self.state.data
        advertised, controller = ports[PROXY + KAFKA], ports["kafka-controller"]
        self.kafka = Kafka(data / KAFKA, port=ports[KAFKA], controller_port=controller, advertised_port=advertised)
        self.mongo = Mongo(data / MONGO, port=ports[MONGO])
        for name, server in ((KAFKA, self.kafka), (MONGO, self.mongo)):
            server.process.log = self.state.log(name)
        self.proxy = Remote(self.state.folder, ports[PROXY + CONTROL], self._gates(), marks, seed)
        self._stack = Process(
            "lendrail up", self._command(options), self.state.log("up"), self._told(environment or {})
        )
        self._say = say

    def _gates(self) -> list[Gate]:
        ports, (mail,) = self.ports, MAIL_PARTNERS
        return [
            Gate(PARTNERS, HTTP, ports[PROXY + PARTNERS], ports[SANDBOX]),
            Gate(mail, MAIL, ports[PROXY + MAILS], ports[SANDBOX_SMTP]),
            *(Gate(name, BYTES, ports[PROXY + name], ports[name]) for name in (KAFKA, MONGO)),
        ]

    def _command(self, options: tuple[str, ...]) -> list[str]:
        partners = f"http://127.0.0.1:{self.ports[PROXY + PARTNERS]}"
        mails = f"127.0.0.1:{self.ports[PROXY + MAILS]}"
        between = ["--partners-at", partners, "--partners-mail-at", mails]
        return [sys.executable, "-m", "lendrail.local", "up", "--state", str(self.state.folder), *between, *options]

    def _told(self, environment: Mapping[str, str]) -> dict[str, str]:
        kafka = f"127.0.0.1:{self.ports[PROXY + KAFKA]}"
        mongo = f"mongodb://127.0.0.1:{self.ports[PROXY + MONGO]}/?directConnection=true"
        servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGO_URL": mongo}
        return {**os.environ, **FAST, **BUSY, **servers, **environment}

    def start(self) -> Self:
        """Raises ServerError: what did not start, and its last words."""
        begin = time.monotonic()
        try:
            self.proxy.start()
            self.kafka.begin()
            self.mongo.begin()
            self.kafka.wait()
            self.mongo.wait()
            self._stack.start()
            wait_until(UP_SECONDS, "the stack did not come up", self.state.endpoints.exists, self._stack)
        except BaseException:
            self.stop()
            raise
        self._say(f"the stack is up after {time.monotonic() - begin:.1f} s; its logs are in {self.state.logs}")
        return self

    def stop(self) -> None:
        """First those that use the servers; nothing that we started is left."""
        for process, seconds in ((self._stack, DOWN_SECONDS), (self.kafka.process, 10.0), (self.mongo.process, 10.0)):
            process.stop(seconds)
        self.proxy.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def endpoints(self) -> dict[str, Any]:
        """What `lendrail up` tells: where everything is, by way of the proxy."""
        content: dict[str, Any] = json.loads(self.state.endpoints.read_text())
        return content

    @property
    def sandbox(self) -> str:
        """Address of the partners' simulators, without the proxy: for dials and ledgers."""
        return f"http://127.0.0.1:{self.ports[SANDBOX]}"

    def ready_at(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}/ready"

    def server(self, name: str) -> Kafka | Mongo:
        return self.kafka if name == KAFKA else self.mongo

    def must_live(self) -> None:
        """Raises ServerError: the supervisor or the proxy, which nobody kills, has ended."""
        for process in (self._stack, self.proxy.process):
            if not process.alive():
                raise ServerError(f"{process.name} has ended; the end of its log:\n{process.tail()}")
