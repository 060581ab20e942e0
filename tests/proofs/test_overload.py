"""The proof of overload can fail: each thing that must not be turns its verdict; and its clients do what they say."""

import asyncio
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from proofs.overload.burst import Answer, Book, Burst, Door, Template
from proofs.overload.gauges import SERVICES
from proofs.overload.report import checks, document
from proofs.overload.run import BURST, CALM, DRAIN, Outcome


def good() -> Outcome:
    found = Outcome(10, 120, through=40, body=3000, took=120.5, most_waiting=900, drained=30.0)
    taken, refused = Answer(202, "", None, "a", 0.1), Answer(429, "too-many-requests", 2, "", 0.01)
    for answer in (taken, refused, Answer(503, "overloaded", 1, "", 0.01)):
        found.burst.note(answer)
    found.burst.offered = found.quiet.offered = 1
    found.quiet.note(taken)
    for phase, megabytes in ((CALM, 90.0), (BURST, 120.0), (DRAIN, 110.0)):
        found.memory.samples[phase] = {service: [megabytes] * 9 for service in SERVICES}
    found.groups.looks, found.groups.first = 9, {"gateway.intake": ("Stable",)}
    found.health.seconds["/ready"] = [0.1]
    return found


def failed(found: Outcome) -> list[str]:
    return [check.what for check in checks(found) if not check.kept]


def test_a_good_run_is_kept_and_told() -> None:
    found = good()
    assert failed(found) == []
    page = document(found, 0.1)
    assert "**All kept.**" in page
    assert "429 too-many-requests" in page
    assert all(f"| {service} | 90 | 120 |" in page for service in SERVICES)


def growing(found: Outcome) -> None:
    found.memory.samples[BURST]["gateway"] = [100.0 + 10 * n for n in range(9)]


def silent(found: Outcome) -> None:
    found.quiet.note(Answer(429, "too-many-requests", 1, "", 0.1))
    found.quiet.offered += 1


SPOILT: list[tuple[Callable[[Outcome], Any], str]] = [
    (lambda found: found.burst.note(Answer(503, "overloaded", None, "", 0.1)), "each refusal says when"),
    (lambda found: found.burst.note(Answer(500, "internal-error", None, "", 0.1)), "no other failure"),
    (lambda found: found.burst.note(Answer(0, "ConnectionResetError", None, "", 0.1)), "no other failure"),
    (lambda found: found.burst.answers.clear(), "something was refused"),
    (growing, "memory of gateway"),
    (lambda found: found.memory.samples[DRAIN].update(status=[500.0]), "memory of status"),
    (lambda found: found.memory.samples[BURST].pop("documents"), "memory of documents"),
    (silent, "the other tenant"),
    (lambda found: found.health.bad.append("/ready: 503"), "health is told"),
    (lambda found: found.groups.changes.append("status.partner-ack"), "consumers keep"),
    (lambda found: found.lost.append("a"), "accepted and lost"),
    (lambda found: found.doubled.append("a"), "twice at the partner"),
    (lambda found: setattr(found, "drained", None), "the backlog is done"),
]


@pytest.mark.parametrize(("spoil", "what"), SPOILT)
def test_what_must_not_be_turns_the_verdict(spoil: Callable[[Outcome], Any], what: str) -> None:
    found = good()
    spoil(found)
    assert any(each.startswith(what) for each in failed(found)), failed(found)
    assert "**NOT all kept.**" in document(found, 0.1)


class Desk:
    """Refuses the first two requests of each key, then takes it."""

    def __init__(self) -> None:
        self.came: dict[str, list[float]] = {}
        self.bodies: set[bytes] = set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length, key = (re.search(f"{name}: (.*)\r\n", head) for name in ("Content-Length", "Idempotency-Key"))
                assert length is not None
                assert key is not None
                self.bodies.add(await reader.readexactly(int(length[1])))
                times = self.came.setdefault(key[1], [])
                times.append(time.monotonic())
                taken = len(times) > 2
                body = json.dumps({"applicationId": key[1]} if taken else {"code": "overloaded"}).encode()
                first = "202 Accepted" if taken else "503 Busy\r\nRetry-After: 1"
                writer.write(f"HTTP/1.1 {first}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        except asyncio.IncompleteReadError:
            writer.close()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    server = await asyncio.start_server(desk.serve, "127.0.0.1", 0)
    desk.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield desk
    server.close()


async def test_patient_clients_wait_as_they_are_told_and_the_others_do_not(desk: Desk) -> None:
    door, book = Door(desk.url, 8), Book()
    burst = Burst(door, Template(desk.url, "token", ["forward-financing"]), book)
    patient, hasty = time.monotonic() + 60, time.monotonic() + 60
    await burst._client(patient=True, until=patient)
    (times,) = desk.came.values()
    assert [round(b - a) for a, b in itertools.pairwise(times)] == [1, 1]
    await burst._client(patient=False, until=hasty)
    times = list(desk.came.values())[1]
    assert times[2] - times[0] < 0.5
    door.close()
    assert book.answers == {"202": 2, "503 overloaded": 4}
    assert (book.refused, book.came_back, book.gave_up, book.unsaid, book.unexpected) == (4, 2, 0, 0, {})
    assert len(book.accepted) == len(desk.came) == 2
    first, second = (json.loads(body) for body in sorted(desk.bodies))
    assert first["business"]["legalName"] != second["business"]["legalName"]
    assert first["owners"][0]["ssn"] != second["owners"][0]["ssn"]


async def test_no_answer_at_all_is_a_failure(desk: Desk) -> None:
    door, book = Door("http://127.0.0.1:1", 8), Book()
    burst = Burst(door, Template(desk.url, "token", []), book)
    await burst._client(patient=False, until=time.monotonic() + 60)
    assert (book.gave_up, sum(book.unexpected.values()), book.accepted) == (1, 3, {})
