"""Real servers for tests: what the environment names, else Docker when a daemon answers, else embedded ones."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from lendrail.local.servers import Kafka, Mongo

CURRENT_TEST = "PYTEST_CURRENT_TEST"
"""pytest's own."""


def _docker_answers() -> bool:
    """Whether the optional library testcontainers is there and a daemon answers within 3 s."""
    if find_spec("testcontainers") is None or not shutil.which("docker"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=3, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """What the tests of one file put into the environment ends with them: the next file may start whole stacks."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys() - {CURRENT_TEST}:
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if name != CURRENT_TEST})


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """An embedded broker that the test may kill and restart."""
    server = Kafka(tmp_path_factory.mktemp("kafka")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """An embedded MongoDB that the test may kill and restart."""
    server = Mongo(tmp_path_factory.mktemp("mongo")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """Bootstrap servers of a real Kafka."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
    elif _docker_answers():
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer("apache/kafka:4.3.0") as container:
            yield container.get_bootstrap_server()
    else:
        yield request.getfixturevalue("kafka_server").bootstrap


@pytest.fixture(scope="session")
def mongo(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a real MongoDB replica set."""
    if given := os.environ.get("MONGO_URL"):
        yield given
    elif _docker_answers():
        from testcontainers.mongodb import MongoDbContainer

        with MongoDbContainer("mongo:8", replicaset="rs0") as container:
            yield container.get_connection_url()
    else:
        yield request.getfixturevalue("mongo_server").url


@pytest.fixture
def database_prefix() -> str:
    """Keeps the databases of one test apart from all others of the same server."""
    return f"t{uuid.uuid4().hex[:10]}_"


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
