"""Kafka's jars, exactly those of `kafka.lock.toml`: jgo downloads, the committed SHA-256 decide.

After changing KAFKA, `write_lock()` resolves it anew and rewrites the lock.
"""

import hashlib
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.env import LockedDependency, LockFile
from jgo.maven import MavenContext

from lendrail.local.servers.cache import cached
from lendrail.local.servers.errors import ADVICE, ServerError

KAFKA = "org.apache.kafka:kafka_2.13:4.3.0"
LOGGER = "org.slf4j:slf4j-simple:1.7.36"  # Kafka brings only the interface
LOCK = Path(__file__).with_name("kafka.lock.toml")
LANES = 6  # parallel downloads: 45 jars one after the other take 8 s, six lanes 2 s


def class_path() -> str:
    """What `java -cp` needs for Kafka; downloads the jars on the first call on a machine.

    Raises ServerError: a jar could not be had, or is not the locked one.
    """
    version = KAFKA.rpartition(":")[2]
    return f"{cached(f'kafka-{version}', _download_all)}/*"


def _download_all(folder: Path) -> None:
    wanted: list[LockedDependency] = LockFile.load(LOCK).dependencies
    print(f"Kafka: downloading {KAFKA} ({len(wanted)} jars) ...", file=sys.stderr, flush=True)
    logging.getLogger("jgo").setLevel(logging.ERROR)  # its warnings name addresses; ours name the jar
    with tempfile.TemporaryDirectory(dir=folder) as repository, ThreadPoolExecutor(LANES) as lanes:
        context = MavenContext(repo_cache=Path(repository), timeout=60)
        for failure in lanes.map(lambda jar: _download(context, jar, folder), wanted):
            if failure:
                lanes.shutdown(wait=True, cancel_futures=True)
                raise ServerError(f"Kafka: the jar {failure}: {ADVICE}.")


def _download(context: MavenContext, jar: LockedDependency, folder: Path) -> str | None:
    """Put one verified jar into `folder`; says what went wrong, if anything did."""
    name = f"{jar.groupId}:{jar.artifactId}:{jar.version}"
    component = context.project(jar.groupId, jar.artifactId).at_version(jar.version)
    try:
        file = component.artifact(classifier=jar.classifier or "", packaging=jar.packaging).resolve()
    except Exception:  # whatever requests or jgo raise, one sentence says it; their texts hold addresses
        return f"{name} could not be downloaded"
    if hashlib.sha256(file.read_bytes()).hexdigest() != jar.sha256:
        return f"{name} was refused, its checksum is not the locked one"
    shutil.move(file, folder / file.name)
    return None


def write_lock() -> None:
    """Resolve KAFKA with its transitive dependencies and write the lock: coordinates and SHA-256, no address."""
    with tempfile.TemporaryDirectory() as repository:
        context = MavenContext(repo_cache=Path(repository), timeout=60)
        inputs, transitive = context.resolver.resolve([context.create_dependency(name) for name in (KAFKA, LOGGER)])
        needed = [found for found in (*inputs, *transitive) if found.scope in (None, "compile", "runtime")]
        LockFile.from_resolved_dependencies(needed, environment_name="kafka", min_java_version=17).save(LOCK)
    LOCK.write_text("".join(_without_time(LOCK.read_text().splitlines(keepends=True))))


def _without_time(lines: Iterable[str]) -> Iterable[str]:
    return (line for line in lines if not line.startswith("generated"))
