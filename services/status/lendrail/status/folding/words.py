"""Words of partners that no table of ours knows, and what a person said they mean. Pure.

A mapping is a plain value: the fold gets it and stays what it is. Which mapping holds for whom is `vocabulary.py`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence

from lendrail.contracts.terms import Report, Status
from lendrail.status.folding.observation import Observation

Words = Mapping[str, Status]
"""What words of one partner mean, beside what its own table says."""
NO_WORDS: Words = {}
MAPPED = "word-mapped"
"""Flag: what we show is so because a person said what the partner's word means."""
UNMAPPED = "unmapped-word"
"""A report says so itself where it comes from a file."""
MEANINGS = frozenset(
    {
        Status.SUBMITTED,
        Status.IN_REVIEW,
        Status.INFO_REQUIRED,
        Status.REFERRED,
        Status.APPROVED,
        Status.DECLINED,
        Status.DUPLICATE,
        Status.ACCEPTED,
        Status.FUNDED,
        Status.WITHDRAWN,
        Status.EXPIRED,
    }
)
"""What a partner's word can mean; the other statuses are ours to state."""
LONGEST_GENERAL, MOST_DIGITS = 120, 6


def report_of(each: Observation) -> Report | None:
    """What the partner says in it, if it says anything."""
    report = getattr(each.said, "report", None)
    return report if isinstance(report, Report) else None


def held(observations: Iterable[Observation]) -> dict[str, dt.datetime]:
    """The words that no table knows, each with when it first came."""
    found: dict[str, dt.datetime] = {}
    for each in observations:
        report = report_of(each)
        if report is not None and report.status is None and report.words:
            found[report.words] = min(found.get(report.words, each.received_at), each.received_at)
    return found


def translated(each: Observation, words: Words) -> Observation:
    """The same, with the status that its word was said to mean."""
    report = report_of(each)
    if report is None or report.status is not None or report.words not in words:
        return each
    flags = tuple(flag for flag in report.flags if flag != UNMAPPED)
    known = report.model_copy(update={"status": words[report.words], "flags": flags})
    return each.model_copy(update={"said": each.said.model_copy(update={"report": known})})


def read_with(words: Words, observations: Sequence[Observation]) -> tuple[list[Observation], frozenset[str]]:
    """All of them as `words` says, and the ids of those that it gave a meaning."""
    if not words:
        return list(observations), frozenset()
    read = [translated(each, words) for each in observations]
    pairs = zip(observations, read, strict=True)
    return read, frozenset(each.id for each, now in pairs if now is not each)


def is_general(word: str) -> bool:
    """Whether it can be a word for many deals. One with an address or a long number tells of a single one, and perhaps
    of its applicant: such a deal is corrected by itself, and the word is not kept.
    """
    plain = 0 < len(word) <= LONGEST_GENERAL and word.isprintable() and "@" not in word
    return plain and len(re.findall(r"\d", word)) <= MOST_DIGITS
