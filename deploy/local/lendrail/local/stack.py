"""One running stack: start everything, restart one program, stop everything."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from lendrail.local import topics
from lendrail.local.accounts import Where
from lendrail.local.configure import CLIENT, PARTNER, Files, load_secrets, write_files
from lendrail.local.programs import (
    KAFKA,
    MONGO,
    PORTS,
    SANDBOX,
    SANDBOX_SMTP,
    SERVICES,
    SMTP,
    TOKEN_PATH,
    Addresses,
    command,
    environment,
)
from lendrail.local.servers import Kafka, Mongo, ServerError
from lendrail.local.servers.ports import listening
from lendrail.local.servers.process import Process, started_at
from lendrail.local.state import State, write_private

READY_SECONDS = 60.0
PROBE_SECONDS = 5.0
"""Longer than a service takes to find that its store is away: a gateway is ready all the same while it takes calls."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    rate_limit: bool = True
    compression: bool = True
    email: bool = True
    outcomes: bool = True
    partners_at: str = ""
    """Where the services reach the sandbox, when something stands between; and its mail server (host and port)."""
    partners_mail_at: str = ""


class Stack:
    """Started and stopped by its supervisor, in one thread."""

    def __init__(self, state: State, options: Options, say: Say) -> None:
        self.state, self.options, self._say = state, options, say
        self.kafka: Kafka | None = None
        self.mongo: Mongo | None = None
        self.processes: dict[str, Process] = {}
        self._health: dict[str, str] = {}

    def start(self) -> None:
        """Everything, in the order in which it is needed. Raises ServerError: what did not start and its last words."""
        ports = self.state.ports(PORTS)
        addresses = self._begin_servers(ports)
        options = self.options
        certificate = self.state.data / SANDBOX / "tls-cert.pem"
        mail = options.partners_mail_at or f"127.0.0.1:{addresses.ports[SANDBOX_SMTP]}"
        where = Where(options.partners_at or addresses.url(SANDBOX), mail, certificate)
        files = write_files(
            self.state, where, rate_limit=options.rate_limit, email=options.email, outcomes=options.outcomes
        )
        for name in (SMTP, SANDBOX):
            self._begin(name, files, addresses)
        with self._told("Kafka, MongoDB, mail sink"):
            for server in (self.kafka, self.mongo):
                if server:
                    server.wait()
            self._wait(SMTP)  # its certificate is read by those who send
        with self._told("topics"):
            try:
                asyncio.run(topics.apply(addresses.kafka, *topics.of_tenants(files.tenants)))
            except topics.TopicsError as error:
                raise ServerError(str(error)) from error
        for name in SERVICES:
            self._begin(name, files, addresses)
        with self._told("services"):
            for name in (SANDBOX, *SERVICES):
                self._wait(name)
        self._publish_endpoints(addresses)

    def _begin_servers(self, ports: dict[str, int]) -> Addresses:
        """Start those that the environment does not name."""
        kafka, mongo = os.environ.get("KAFKA_BOOTSTRAP_SERVERS"), os.environ.get("MONGO_URL")
        compression = self.options.compression
        if not kafka:
            folder, controller = self.state.data / KAFKA, ports["kafka-controller"]
            self.kafka = Kafka(folder, port=ports[KAFKA], controller_port=controller, compression=compression)
            self._adopt(KAFKA, self.kafka.process)
            self.kafka.begin()
        if not mongo:
            self.mongo = Mongo(self.state.data / MONGO, port=ports[MONGO], compression=compression)
            self._adopt(MONGO, self.mongo.process)
            self.mongo.begin()
        self.save_processes()
        kafka = self.kafka.bootstrap if self.kafka else kafka or ""
        return Addresses(kafka, self.mongo.url if self.mongo else mongo or "", ports)

    def _adopt(self, name: str, process: Process) -> None:
        process.log = self.state.log(name)
        self.processes[name] = process

    def _begin(self, name: str, files: Files, addresses: Addresses) -> None:
        told = environment(name, self.state, files, addresses)
        process = Process(name, command(name, self.state, addresses), self.state.log(name), told)
        self.processes[name] = process
        if name == SMTP:
            self._smtp_port = addresses.ports[SMTP]
        else:
            self._health[name] = addresses.url(name) + "/ready"
        process.start()
        self.save_processes()

    def _wait(self, name: str) -> None:
        """Until it is ready. Raises ServerError: it ended, or took longer than READY_SECONDS."""
        process, end = self.processes[name], time.monotonic() + READY_SECONDS
        said = "no answer"
        while True:
            process.must_live()
            ready, said = self._ready(name)
            if ready:
                return
            if time.monotonic() > end:
                last = f"(last answer: {said}); the end of its log:\n{process.tail()}"
                raise ServerError(f"{name} was not ready within {READY_SECONDS:.0f} s {last}")
            time.sleep(0.05)

    def _ready(self, name: str) -> tuple[bool, str]:
        if name == SMTP:
            return listening(self._smtp_port), "not listening"
        return probe(self._health[name])

    def restart(self, name: str, extra: dict[str, str], *, wait: bool = True) -> None:
        """Stop one program if it lives and start it with the same port and data.

        `extra` is added to its environment for this start. Raises ServerError: it did not get ready. Without `wait`
        a program of ours gets ready in its own time.
        """
        process, usual = self.processes[name], self.processes[name].environment
        process.stop()
        process.environment = (usual or dict(os.environ)) | extra
        try:
            server = {KAFKA: self.kafka, MONGO: self.mongo}.get(name)
            if server:
                server.start()
            else:
                process.start()
                self.save_processes()
                if wait:
                    self._wait(name)
        finally:
            process.environment = usual
            self.save_processes()
            self._refresh_endpoints()

    def halt(self, name: str) -> None:
        """Stop one program; `restart` starts it again."""
        self.processes[name].stop()
        self.save_processes()

    def reap(self) -> None:
        """Collect the exit status of what has ended, so that it is seen as dead and not as a zombie."""
        for process in self.processes.values():
            process.alive()

    def stop(self) -> None:
        """First those that use the servers, then the servers; each politely, then by force."""
        self.state.endpoints.unlink(missing_ok=True)
        servers = [name for name in (KAFKA, MONGO) if name in self.processes]
        others = [name for name in self.processes if name not in servers]
        for names in (others, servers):
            for name in names:
                self.processes[name].ask_to_stop()
            for name in names:
                self.processes[name].stop()
        self.state.processes.unlink(missing_ok=True)

    def save_processes(self) -> None:
        """Who runs, for `status` and for the next `up` after a crash of ours."""
        known = {
            name: {"pid": process.pid, "started": started_at(process.pid), **self._links(name)}
            for name, process in self.processes.items()
            if process.pid
        }
        write_private(self.state.processes, json.dumps(known, indent=1))

    def _links(self, name: str) -> dict[str, str | None]:
        return {"health": self._health.get(name), "log": str(self.processes[name].log)}

    def _services(self) -> dict[str, dict[str, str | int | None]]:
        return {name: {"pid": process.pid, **self._links(name)} for name, process in self.processes.items()}

    def _publish_endpoints(self, addresses: Addresses) -> None:
        secret, gateway, sandbox = load_secrets(self.state), addresses.url("gateway"), addresses.url(SANDBOX)
        partner = {"base_url": f"{sandbox}/{PARTNER}/v1", "api_key": secret("api_key")}
        endpoints = {
            "gateway": gateway,
            "oauth": {"token_url": gateway + TOKEN_PATH, "client_id": CLIENT, "client_secret": secret("client")},
            "kafka": addresses.kafka,
            "mongo": addresses.mongo,
            "smtp": f"127.0.0.1:{addresses.ports[SMTP]}",
            "mail": str(self.state.mail),
            "sandbox": {"url": sandbox, "partners": {PARTNER: partner}},
            "services": self._services(),
        }
        write_private(self.state.endpoints, json.dumps(endpoints, indent=1))

    def _refresh_endpoints(self) -> None:
        endpoints = json.loads(self.state.endpoints.read_text())
        write_private(self.state.endpoints, json.dumps(endpoints | {"services": self._services()}, indent=1))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._say(f"{what}: ready after {time.monotonic() - begin:.1f} s")


def probe(url: str) -> tuple[bool, str]:
    """Whether a health address answers 200, and what it says otherwise."""
    try:
        answer = httpx.get(url, timeout=PROBE_SECONDS, trust_env=False, follow_redirects=False)
    except httpx.HTTPError as error:
        return False, type(error).__name__
    return answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
