"""`python -m benchmarks.fold`: what an opportunity with a long history costs, without Kafka, MongoDB and HTTP.

For histories of growing length: folding them, and all that a write of one more observation does besides the store
itself (reading the document, folding, sealing, making the version). Cost for each observation must stay what it is: the
last column compares it with that of the shortest history. Answers, withdrawals that came too late, corrections and pins
are among what is heard, so that whatever looks back over a history is measured too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Money, Offer, Report, Status
from lendrail.runtime.mongo import Document
from lendrail.runtime.process import settle
from lendrail.runtime.vault import Key
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import (
    Answered,
    Corrected,
    Observation,
    Pinned,
    Reported,
    Said,
    Unpinned,
    Validated,
)
from lendrail.status.folding.written import Heard, Subject, cause_of, stored, together, written

console = Console(highlight=False, width=120)
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LENGTHS = (125, 250, 500, 1000, 2000)
ROUNDS = 9
SLACK = 1.3
"""So much dearer an observation of the longest history may be; a quadratic fold would show sixteen times."""
APPLICATION = str(uuid.uuid5(uuid.NAMESPACE_OID, "fake-application"))
KEY = Key(APPLICATION, b"k" * 32)
SUBJECT = Subject(str(uuid.uuid5(uuid.NAMESPACE_OID, "fake-opportunity")), APPLICATION, "fake-tenant", "test")
CAUSE = cause_of({"id": "fake-event", "correlation_id": "fake-event", "traceparent": None})
WORDS = (Status.IN_REVIEW, Status.APPROVED, Status.INFO_REQUIRED, Status.REFERRED)
WHY = SensitiveText("invented")


def said(number: int) -> tuple[Said, str]:
    """What is heard at place `number`, and from where: mostly the partner, now and then us or a person."""
    if number == 0:
        return Validated(status=Status.SUBMITTING, revision=1, received_at=BEGIN), "validation"
    if number % 50 == 7:
        return Corrected(status=Status.REFERRED, by="fake-operator", why=WHY), "person"
    if number % 50 == 17:
        return Pinned(
            status=Status.DECLINED, by="fake-operator", why=WHY, until_partner_says=(Status.FUNDED,)
        ), "person"
    if number % 50 == 27:
        return Unpinned(), "person"
    if number % 5 == 3:
        operation: Any = ("withdraw", "document", "update")[number % 3]
        attempt = uuid.uuid5(uuid.NAMESPACE_OID, f"fake-attempt-{number}")
        at = BEGIN + number * MINUTE
        return Answered(attempt_id=attempt, version=1, operation=operation, outcome="accepted", done_at=at), "ack"
    offer = Offer(id="base", amount=Money(amount=str(10_000 + number), currency="USD"))
    report = Report(status=WORDS[number % len(WORDS)], words=f"word {number % 9}", offers=(offer,))
    return Reported(report=report), ("poll", "webhook", "csv")[number % 3]


def observation(number: int) -> Observation:
    what, source = said(number)
    at = BEGIN + number * MINUTE
    times = {"looked_at": at} if source == "poll" else {"partner_time": at} if source in ("webhook", "csv") else {}
    return Observation.model_validate(
        {"id": f"fake-{number}", "source": source, "at": at, "received_at": at, "said": what} | times
    )


def document(history: list[Observation]) -> Document:
    """As it rests after all was heard at once."""
    heard = [Heard(SUBJECT, each, KEY, CAUSE) for each in history]
    known, fresh = together(None, heard)
    change = written(None, known, fresh, heard[-1], history[-1].received_at)
    assert change is not None
    return change.after | {"observations": [stored(each) for each in change.fresh]}


def add(before: Document, one: Observation) -> None:
    heard = Heard(SUBJECT, one, KEY, CAUSE)
    known, fresh = together(before, [heard])
    assert written(before, known, fresh, heard, one.received_at) is not None


def quickest(works: Sequence[Callable[[], object]]) -> list[float]:
    """Seconds of processor time of each, the best of some rounds, in turns: whatever else the machine does only adds
    to it, and meets all.
    """
    found = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            gc.collect()
            work()  # the collector also gives back memory that would be used again
            began = time.thread_time()
            work()
            found[number] = min(found[number], time.thread_time() - began)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    lengths = sorted(parser.parse_args().lengths)
    table = Table("observations", "fold ms", "µs each", "write ms", "µs each", "fold, write: against the shortest")
    histories = [[observation(number) for number in range(length)] for length in lengths]
    documents = [(document(history), observation(len(history))) for history in histories]
    settle()  # as a service does before it serves
    folding = quickest([partial(fold, history) for history in histories])
    writing = quickest([partial(add, resting, one) for resting, one in documents])
    first = folding[0] / lengths[0], writing[0] / lengths[0]
    worst = 0.0
    for length, folded, wrote in zip(lengths, folding, writing, strict=True):
        ratios = folded / length / first[0], wrote / length / first[1]
        worst = max(worst, *ratios)
        cells = (folded * 1e3, folded / length * 1e6, wrote * 1e3, wrote / length * 1e6)
        table.add_row(str(length), *(f"{cell:.1f}" for cell in cells), f"{ratios[0]:.2f}, {ratios[1]:.2f}")
    console.print(table)
    if worst > SLACK:
        console.print(f"an observation of a long history costs {worst:.1f} times as much: no longer linear")
    return int(worst > SLACK)


if __name__ == "__main__":
    sys.exit(main())
