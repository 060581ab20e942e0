"""What was heard of an opportunity, drawn at random: any order and any repetition must fold to the same state.

Quicker than hypothesis by building the parts once, so that a hundred thousand histories take minutes. What fails is
repeated by its number: a history is drawn from the seed and its own number alone.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable
from typing import Any, get_args

from lendrail.contracts.partner_ack import Operation, Outcome
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, Money, Offer, Report, Status
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import (
    AcceptReported,
    Amended,
    Answered,
    Corrected,
    Missing,
    Observation,
    Pinned,
    Reported,
    Said,
    Unpinned,
    Validated,
)

NOW = dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC)
PROBLEM = FieldProblem(pointer="/business", code="refused", message="was refused by the partner", phase="partner")
FLAGS = ("unknown-stage", "unreadable-offers", "review-company-name-mismatch")
OFFERS = tuple(Offer(id=name, amount=Money(amount=amount, currency="USD")) for name in "ab" for amount in ("1", "2"))
WHY = SensitiveText("a person said so")
PARTS = 600
"""Of each kind so many different things are said."""
MOST = 12
ORDERS = 3
"""In so many orders each history is folded, beside its own."""
Draw = Callable[[random.Random], Said]


def _moment(chance: random.Random) -> dt.datetime | None:
    return chance.choice([None, *(NOW + dt.timedelta(days=n) for n in range(-1, 6))])


def _report(chance: random.Random) -> Report:
    return Report(
        status=chance.choice([None, *Status]),
        words=chance.choice(["", "Approval Sent", "Hold", "x"]),
        flags=tuple(chance.sample(FLAGS, chance.randint(0, 2))),
        missing_info=chance.choice([None, SensitiveText("more")]),
        offers=tuple(chance.sample(OFFERS, chance.randint(0, 2))),
    )  # fmt: skip


def _validated(chance: random.Random) -> Said:
    problems = chance.choice([(), (PROBLEM,)])
    return Validated(status=chance.choice([*Status]), revision=chance.randint(1, 3), received_at=NOW, problems=problems)


def _answered(chance: random.Random) -> Said:
    return Answered(
        attempt_id=uuid.UUID(int=chance.randint(1, 3)),
        version=chance.randint(1, 3),
        operation=chance.choice(get_args(Operation)),
        outcome=chance.choice(get_args(Outcome)),
        document=chance.choice([None, "a.pdf"]),
        partner_id=chance.choice([None, "L1", "L2"]),
        report=chance.choice([None, _report(chance)]),
        reason=chance.choice([None, "outcome-unknown"]),
        next_check_at=chance.choice([None, NOW]),
        unknown_since=chance.choice([None, NOW]),
        problems=chance.choice([(), (PROBLEM,)]),
        at_registry=chance.random() < 0.5,
        done_at=_moment(chance),
    )


def _reported(chance: random.Random) -> Said:
    return Reported(report=_report(chance))


def _amended(chance: random.Random) -> Said:
    operation: Any = chance.choice(["document", "accept", "withdraw"])
    document = chance.choice([None, "a.pdf"])
    return Amended(
        revision=chance.randint(2, 3), operation=operation, document=document, problems=chance.choice([(), (PROBLEM,)])
    )


def _corrected(chance: random.Random) -> Said:
    return Corrected(status=chance.choice([*Status]), by="operator", why=WHY)


def _pinned(chance: random.Random) -> Said:
    words = tuple(chance.sample([*Status], chance.randint(0, 3)))
    return Pinned(
        status=chance.choice([*Status]), by="operator", why=WHY, until=_moment(chance), until_partner_says=words
    )


KINDS: tuple[tuple[Draw, tuple[str, ...]], ...] = (
    (_validated, ("validation",)),
    (_answered, ("ack",)),
    (_answered, ("ack",)),
    (_reported, ("fetch", "poll", "webhook", "feed", "csv")),
    (_reported, ("fetch", "poll", "webhook", "feed", "csv")),
    (lambda _: Missing(), ("fetch", "poll")),
    (_amended, ("validation",)),
    (lambda chance: AcceptReported(revision=chance.randint(2, 3), offer_id="offer-1"), ("person",)),
    (_corrected, ("person",)),
    (_pinned, ("person",)),
    (lambda _: Unpinned(), ("person",)),
)


class Histories:
    """All that can be heard with one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = random.Random(f"{seed}|parts")
        self._said = [[draw(chance) for _ in range(PARTS)] for draw, _ in KINDS]

    def history(self, number: int) -> list[Observation]:
        chance = random.Random(f"{self._seed}|{number}")
        return [self._heard(each, chance) for each in range(chance.randint(1, MOST))]

    def _heard(self, number: int, chance: random.Random) -> Observation:
        kind = chance.randrange(len(KINDS))
        at = NOW + dt.timedelta(days=chance.randint(0, 4))
        times = {"looked_at": _moment(chance), "partner_time": _moment(chance)}
        source: Any = chance.choice(KINDS[kind][1])
        said = chance.choice(self._said[kind])
        return Observation(id=f"o{number}", source=source, at=at, received_at=at, said=said, **times)

    def check(self, number: int) -> str | None:
        """What is wrong with this one, if anything."""
        heard = self.history(number)
        wanted = fold(heard)
        chance = random.Random(f"{self._seed}|{number}|orders")
        for _ in range(ORDERS):
            again = heard + chance.choices(heard, k=chance.randint(0, 6))
            chance.shuffle(again)
            if fold(again) != wanted:
                return f"history {number} of seed {self._seed} folds to another state in another order"
        return None
