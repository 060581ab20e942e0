"""Whether two names are those of one business, as far as spelling goes. Pure.

Case, accents, punctuation and spaces do not count, `&` is `and`, and the words for a company's form are the same long
and short. The form itself counts where both have one: Fake Bakery Ltd is not Fake Bakery Pty Ltd.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_SHORT = {
    "proprietary": "pty",
    "limited": "ltd",
    "incorporated": "inc",
    "corporation": "corp",
    "company": "co",
    "cooperative": "coop",
}
_FORM = frozenset({"pty", "ltd", "inc", "nl"})
"""Words at the end of a name that say what kind of company it is."""
_FORM_OF_OLD = re.compile(r"\bp\s*/\s*l\b")

Folded = tuple[str, str]
"""(the name's own words without spaces, its form)."""


def folded(name: str) -> Folded | None:
    """None: nothing of a name is left."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    plain = _FORM_OF_OLD.sub(" pty ltd ", plain).replace("&", " and ")
    words = [_SHORT.get(each, each) for each in re.findall(r"[^\W_]+", plain)]
    own = len(words)
    while own > 1 and words[own - 1] in _FORM:
        own -= 1
    return ("".join(words[:own]), " ".join(words[own:])) if words else None


def alike(ours: Iterable[str], theirs: Iterable[str]) -> bool:
    """Whether one of ours is one of theirs."""
    known = [each for each in map(folded, theirs) if each is not None]
    return any(_same(each, other) for each in map(folded, ours) if each is not None for other in known)


def _same(one: Folded, other: Folded) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or not one[1] or not other[1])
