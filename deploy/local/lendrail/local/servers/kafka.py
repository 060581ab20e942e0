"""Apache Kafka 4 on this machine: one KRaft node, broker and controller in one process.

From nothing running it takes about 4 s: 1 s to format the folder (first time only), 2 to 3 s to start.
"""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Self

from lendrail.local.servers.errors import ServerError
from lendrail.local.servers.jars import class_path
from lendrail.local.servers.java import java
from lendrail.local.servers.ports import free_port, listening
from lendrail.local.servers.process import Process, wait_until

START_SECONDS = 60.0
STARTED = b"Kafka Server started"
LOGGING = {
    "defaultLogLevel": "warn",
    "log.kafka.server.KafkaRaftServer": "info",  # says STARTED
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "showThreadName": "false",
}


class Kafka:
    """A broker whose port and data survive `restart()`; `folder` holds everything it writes."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        controller_port: int | None = None,
        advertised_port: int | None = None,
        compression: bool = True,
    ) -> None:
        """`advertised_port` is where clients are told to come, when something stands between them and `port`."""
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.advertised_port = advertised_port or self.port
        self.controller_port = controller_port or free_port()
        self.compression = compression
        self.process = Process("Kafka", [], self.folder / "kafka.log")

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder of the topics' segment files."""
        return self.folder / "data"

    def start(self) -> Self:
        """Start and wait until it serves. Raises ServerError."""
        self.begin()
        self.wait()
        return self

    def begin(self) -> None:
        """Start without waiting, so that other programs can start meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        program, jars = str(java()), class_path()
        configuration = self.folder / "server.properties"
        configuration.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        if not (self.data / "meta.properties").exists():
            _format(program, jars, configuration)
        self._seen = self.process.log.stat().st_size if self.process.log.exists() else 0
        self.process.command = [
            *(program, "-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", jars),
            *(f"-Dorg.slf4j.simpleLogger.{key}={value}" for key, value in LOGGING.items()),
            *("kafka.Kafka", str(configuration)),
        ]
        self.process.start()

    def wait(self) -> None:
        wait_until(START_SECONDS, "Kafka did not start", self._serves, self.process)

    def _serves(self) -> bool:
        with self.process.log.open("rb") as log:
            log.seek(self._seen)
            return STARTED in log.read() and listening(self.port)

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """As a crash: SIGKILL."""
        self.process.kill()

    def restart(self) -> Self:
        """Stop if it runs, then start with the same port and data."""
        self.stop()
        return self.start()

    def _settings(self) -> dict[str, str | int]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.advertised_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.data),
            "auto.create.topics.enable": "false",
            "compression.type": "producer" if self.compression else "uncompressed",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.compression.codec": 0,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "log.segment.bytes": 64 * 1024 * 1024,
            "log.index.size.max.bytes": 1024 * 1024,
            "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
            "broker.session.timeout.ms": 1500,  # after a kill -9 the next start waits for the old session to end
            "broker.heartbeat.interval.ms": 300,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "num.recovery.threads.per.data.dir": 2,
            "controlled.shutdown.enable": "false",  # there is nobody to hand over to
            "message.max.bytes": 1024 * 1024,
        }


def _format(program: str, jars: str, configuration: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [program, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars, "kafka.tools.StorageTool"]
    command = [*tool, "format", "--ignore-formatted", f"--cluster-id={cluster}", "-c", str(configuration)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"Kafka: {program} could not be run to format its folder.") from error
    if done.returncode:
        raise ServerError(f"Kafka: formatting its folder failed:\n{(done.stderr or done.stdout)[-800:]}")
