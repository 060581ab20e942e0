"""Mutants of right calls: the verifier believes one exactly when it is as good as a signed call, and never raises."""

from collections import Counter
from collections.abc import Iterable

import pytest
from tests.partners import signature_mutations as mutations
from tests.partners.signature_calls import PROOFS, VECTORS, Call, verified
from tests.partners.signature_reference import right

RIGHT = [each.call for each in VECTORS if each.accepted]
FIRST = {each.call.scheme: each.call for each in reversed(VECTORS) if each.accepted}
"""Of each scheme the first."""
MIXED, LEAST = 40_000, 50_000


def judged(calls: Iterable[Call]) -> Counter[bool]:
    """How many were believed, and how many not. What is said wrongly fails here, with the call."""
    verdicts: Counter[bool] = Counter()
    for call in calls:
        said = verified(call)
        assert said is right(call), call
        verdicts[said] += 1
    return verdicts


@pytest.mark.parametrize("scheme", PROOFS)
def test_no_byte_can_be_another_one(scheme: str) -> None:
    verdicts = judged(mutations.each_byte(FIRST[scheme]))
    assert verdicts[False] > 400
    assert not verdicts[True] or scheme in ("bearer", "token"), (
        "those prove nothing of the body, whose bits are flipped too"
    )


@pytest.mark.parametrize("seed", range(4))
def test_mixed_changes_are_believed_when_they_change_nothing_that_was_signed(seed: int) -> None:
    verdicts = judged(mutations.mixed(RIGHT, MIXED // 4, seed))
    assert verdicts[False] > verdicts[True] > 100, "the believed ones show that the reference says more than no"


def test_there_are_enough() -> None:
    assert sum(1 for call in FIRST.values() for _ in mutations.each_byte(call)) + MIXED >= LEAST
