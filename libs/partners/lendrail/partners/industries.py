"""From the official codes of an industry to a partner's own word, by a table that people keep; nothing is guessed.

Rows are `scheme:prefix` (`naics:4248`, `sic:46342`, `anzsic:H45`): the longest prefix of a code wins. `sic` comes
first, since it says most in the countries that have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lendrail.contracts.application_parts import Industry
from lendrail.partners.fields import Convert, Unfit

_SCHEMES = ("sic", "naics", "anzsic")


def partners_word(industry: Industry, table: Mapping[str, str], known: Iterable[str] = ()) -> str | None:
    """The applicant's own description where it is one of the partner's words, else the row of a code, else None."""
    own = industry.description.reveal().casefold() if industry.description else ""
    words = {word.casefold(): word for word in (*known, *table.values())}
    return words.get(own) or next((table[key] for key in _keys(industry) if key in table), None)


def by_industry(table: Mapping[str, str], known: Iterable[str] = ()) -> Convert:
    """The partner's word for an industry, for those who take nothing without one."""

    def convert(industry: Industry) -> str:
        if word := partners_word(industry, table, known):
            return word
        raise Unfit("not-supported", "no sector of this partner is known for this industry; an operator can map one")

    return convert


def _keys(industry: Industry) -> Iterator[str]:
    for scheme in _SCHEMES:
        code: str | None = getattr(industry, scheme)
        for length in range(len(code or ""), 0, -1):
            yield f"{scheme}:{(code or '')[:length]}"
