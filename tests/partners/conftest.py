"""One simulated partner as a separate program with a durable ledger: the judge of what was really sent."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.partners.cast import REHEARSALS
from tests.partners.rehearsals import Sandbox

from lendrail.local.servers.ports import free_port

USERS = [user for rehearsal in REHEARSALS for user in rehearsal.users]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "users.json").write_text(json.dumps({"users": USERS}))
    port, tls_port = free_port(), free_port()
    settings = {
        "LENDRAIL_PORT": str(port),
        "LENDRAIL_SANDBOX_LEDGER": str(folder / "ledger"),
        "LENDRAIL_SANDBOX_CONFIG": str(folder / "users.json"),
        "LENDRAIL_SANDBOX_TLS_PORT": str(tls_port),
        "LENDRAIL_SANDBOX_SMTP_PORT": str(free_port()),
    }
    with (folder / "log").open("wb") as log:
        program = subprocess.Popen(
            [sys.executable, "-m", "lendrail.sandbox"], env=os.environ | settings, stdout=log, stderr=log
        )
    running = Sandbox(f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}", folder / "ledger" / "tls-cert.pem")
    try:
        _wait_until_ready(running, program, folder / "log")
        yield running
    finally:
        program.terminate()
        program.wait(10)


def _wait_until_ready(running: Sandbox, program: "subprocess.Popen[bytes]", log: Path) -> None:
    patience = time.monotonic() + 20
    while time.monotonic() < patience:
        if program.poll() is not None:
            break
        try:
            if httpx.get(f"{running.url}/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the sandbox did not start: {log.read_text()}")
