"""`lendrail up` as a person uses it: the real command, all programs, real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from lendrail.local.programs import SERVICES
from lendrail.local.servers.process import started_at

EVERYTHING = {"kafka", "mongo", "smtp", "sandbox", *SERVICES}


class Command:
    """The command `lendrail` against one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mine = {
            name: value for name, value in os.environ.items() if name not in ("KAFKA_BOOTSTRAP_SERVERS", "MONGO_URL")
        }
        self.environment = mine | {"LENDRAIL_STATE": str(folder), "COLUMNS": "200"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lendrail.local", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def endpoints(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "endpoints.json").read_text())
        return found

    def pids(self) -> dict[str, int]:
        return {name: service["pid"] for name, service in self.endpoints()["services"].items()}

    def everyone(self) -> set[int]:
        """The programs and whatever they started themselves."""
        grown = {each.pid for pid in self.pids().values() for each in psutil.Process(pid).children(recursive=True)}
        return grown | set(self.pids().values())

    def supervisor(self) -> int:
        return int(json.loads((self.folder / "supervisor.json").read_text())["pid"])


def eventually(happened: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """A stack that is up, whatever the last test did to it."""
    command = Command(tmp_path_factory.mktemp("stack") / "state")
    started = command.run("up", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    yield command
    command.run("down")


def test_endpoints_file_has_its_documented_shape(up: Command) -> None:
    told = up.endpoints()
    assert set(told) == {"gateway", "oauth", "kafka", "mongo", "smtp", "mail", "sandbox", "services"}
    assert set(told["oauth"]) == {"token_url", "client_id", "client_secret"}
    assert set(told["sandbox"]) == {"url", "partners"}
    assert told["sandbox"]["partners"]["forward-financing"]["base_url"].startswith(told["sandbox"]["url"])
    assert set(told["services"]) == EVERYTHING
    for name, service in told["services"].items():
        assert set(service) == {"pid", "health", "log"}, name
        assert Path(service["log"]).exists(), name
        assert started_at(service["pid"]) is not None, name
    assert Path(told["mail"]).is_dir()


def test_secrets_are_for_the_owner_only(up: Command) -> None:
    for file in (up.folder / "endpoints.json", *(up.folder / "config").iterdir()):
        assert file.stat().st_mode & 0o777 == 0o600, file.name
    secret = up.endpoints()["oauth"]["client_secret"]
    for pid in up.pids().values():
        assert secret not in " ".join(psutil.Process(pid).cmdline())


def test_the_client_gets_a_token(up: Command) -> None:
    oauth = up.endpoints()["oauth"]
    identity = oauth["client_id"], oauth["client_secret"]
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(oauth["token_url"], data=form, auth=identity, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["access_token"]


def test_up_twice_says_so(up: Command) -> None:
    before = up.pids()
    again = up.run("up")
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert up.pids() == before


def test_every_program_listens_on_loopback_only(up: Command) -> None:
    for name, pid in up.pids().items():
        listening = [c for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}, name


@pytest.mark.parametrize("name", ["validation", "mongo", "kafka"])
def test_a_dead_program_is_shown_and_comes_back_where_it_was(up: Command, name: str) -> None:
    before = up.endpoints()
    os.kill(up.pids()[name], signal.SIGKILL)
    eventually(lambda: started_at(before["services"][name]["pid"]) is None)
    shown = up.run("status")
    assert shown.returncode == 1
    (line,) = (line for line in shown.stdout.splitlines() if line.split()[:1] == [name])
    assert "dead" in line
    restarted = up.run("restart", name)
    assert restarted.returncode == 0, restarted.stdout
    after = up.endpoints()
    assert after["services"][name]["pid"] != before["services"][name]["pid"]
    assert {key: after[key] for key in after if key != "services"} == {k: before[k] for k in before if k != "services"}
    assert after["services"][name]["health"] == before["services"][name]["health"]
    eventually(lambda: up.run("status").returncode == 0, 60)


def test_an_unknown_program_is_a_sentence(up: Command) -> None:
    answer = up.run("restart", "nobody")
    assert answer.returncode == 1
    assert "there is no nobody" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


def test_a_kill_of_the_supervisor_leaves_nothing_and_the_next_up_works(up: Command) -> None:
    pids, port = up.everyone(), up.endpoints()["gateway"]
    os.kill(up.supervisor(), signal.SIGKILL)
    eventually(lambda: all(started_at(pid) is None for pid in pids))
    assert "down" in up.run("status").stdout
    started = up.run("up", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    assert up.endpoints()["gateway"] == port


def test_ctrl_c_leaves_no_process_and_no_lock(up: Command) -> None:
    pids = up.everyone()
    supervisor = psutil.Process(up.supervisor())
    supervisor.send_signal(signal.SIGINT)
    supervisor.wait(40)
    assert all(started_at(pid) is None for pid in pids)
    left = {file.name for file in up.folder.iterdir()}
    assert left == {"config", "data", "logs", "mail", "ports.json"}


def test_down_and_reset_of_what_is_not_up_are_fine(tmp_path: Path) -> None:
    command = Command(tmp_path / "state")
    assert "Nothing was running" in command.run("down").stdout
    assert command.run("status").returncode == 1
    assert command.run("reset").returncode == 0
    assert not command.folder.exists()
