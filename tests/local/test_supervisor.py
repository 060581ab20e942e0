"""What the supervisor does when it is asked, and what a proxy in front of Kafka needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lendrail.local import supervisor
from lendrail.local.control import Request
from lendrail.local.servers import Kafka, ServerError


class Programs:
    """A stack of one program, that notes how it is started again."""

    def __init__(self, *, fails: bool = False) -> None:
        self.processes = {"status": object()}
        self.restarts: list[tuple[str, dict[str, str], bool]] = []
        self._fails = fails

    def restart(self, name: str, extra: dict[str, str], *, wait: bool = True) -> None:
        if self._fails:
            raise ServerError("status ended while it was starting")
        self.restarts.append((name, extra, wait))


def asked(stack: Any, do: str, service: str = "status") -> dict[str, Any]:
    request = Request(do, service, {"NAME": "value"})
    supervisor._carry_out(stack, request)
    return request.answer.get_nowait()


@pytest.mark.parametrize(("do", "waits", "says"), [("restart", True, "ready"), ("start", False, "started")])
def test_a_program_is_started_again_with_or_without_waiting(do: str, waits: bool, says: str) -> None:
    stack = Programs()
    answer = asked(stack, do)
    assert answer["ok"]
    assert says in answer["message"]
    assert stack.restarts == [("status", {"NAME": "value"}, waits)]


def test_a_start_that_fails_says_why() -> None:
    assert asked(Programs(fails=True), "start") == {"ok": False, "message": "status ended while it was starting"}


@pytest.mark.parametrize(("do", "service"), [("start", "nobody"), ("burn", "status")])
def test_what_is_not_there_is_not_done(do: str, service: str) -> None:
    stack = Programs()
    assert not asked(stack, do, service)["ok"]
    assert stack.restarts == []


def test_kafka_sends_its_clients_to_what_stands_between(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path, port=20_001, controller_port=20_002, advertised_port=20_003)
    settings = kafka._settings()
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20003"
    assert str(settings["listeners"]).startswith("PLAINTEXT://127.0.0.1:20001,")
    assert Kafka(tmp_path, port=20_001)._settings()["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20001"
