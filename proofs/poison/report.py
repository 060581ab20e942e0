"""What a run with spoilt records has shown, on the terminal and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from proofs.page import PAGES, Check, Table, verdict
from proofs.poison.attack import Verdict
from proofs.poison.watching import BLOCKED_SECONDS

PAGE = PAGES / "poison.md"
MOST = 20
"""Of one kind of fault that are listed."""
MOST_REASONS = 40
MEANING = {
    "silent": "every reader wrote a letter of each spoilt record",
    "repeated": "and only one",
    "unexplained": "each letter says why it is one",
    "changed": "each letter holds its record byte for byte",
    "stuck": "good applications between them came to their end",
    "lost": "calls by Kafka between them were kept and heard, each of them",
    "foreign": "each once, and nothing else",
    "blocked": f"no partition stood still for {BLOCKED_SECONDS:g} s",
    "leaked": "nothing of what was written into them stands in clear",
}
HEAD = """# Poison: records that nobody can read

Written by `python -m proofs.poison`. On a stack of its own spoilt records go onto every topic that a service reads,
turn by turn, while good applications go their way between them. Each spoilt record is made from a real one and can be
read by nobody, by its construction: `proofs/poison/mutations.py` has all kinds. Where several services read a topic,
each of them writes a letter of its own. Letters are found by the place of their record, opened, and compared with what
was sent. On the topics of two partners that call by Kafka records are fuzzed too: what must not be taken is a letter,
all else must be kept once, byte for byte, and be heard (`proofs/poison/pushes.py`).
"""


def checks(found: Verdict) -> list[Check]:
    """All that must be empty, and that something was sent at all."""
    judged = [Check("something was sent", min(found.sent, found.good, found.calls) > 0, f"{found.sent} records")]
    for name, said in MEANING.items():
        bad: list[str] = getattr(found, name)
        judged.append(Check(said, not bad, f"{len(bad)} are otherwise" if bad else "all"))
    return judged


def tables(found: Verdict, seed: int) -> list[Table]:
    counted = [
        ("spoilt records", str(found.sent)),
        ("letters", str(found.letters)),
        ("of them not whole, since the record was too long", str(found.too_long)),
        ("good applications between them", str(found.good)),
        ("calls by Kafka between them, right and strange ones", str(found.calls)),
        ("longest that a partition stood still, s", f"{found.longest_stand:.1f}"),
        ("seconds in all", f"{found.seconds:.0f}"),
        ("seed", str(seed)),
    ]
    return [
        Table("What was counted", ("", ""), counted),
        Table("What was wrong with them", ("kind", "records"), _most(found.kinds)),
        Table(f"What letters say, at most {MOST_REASONS} reasons", ("reason", "letters"), _most(found.reasons)),
        verdict(checks(found)),
        *_bad(found),
    ]


def _most(counts: Counter[str]) -> list[tuple[str, str]]:
    return [(name, str(count)) for name, count in counts.most_common(MOST_REASONS)]


def _bad(found: Verdict) -> Iterator[Table]:
    if found.bad:
        rows = [(name, each) for name, bad in found.bad.items() for each in bad[:MOST]]
        yield Table(f"What is otherwise, at most {MOST} of each", ("", "where"), rows)
