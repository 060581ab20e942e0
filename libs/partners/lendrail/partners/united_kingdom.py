"""Companies of the United Kingdom: how their numbers are written, and whether two spellings name one of them."""

from __future__ import annotations

import re
import unicodedata

from lendrail.partners.fields import matching, then

company_number = then(
    str.upper, matching("[A-Z0-9]{8}", "must be a company number of eight characters, zeros before it included")
)
"""Text: it may begin with zeros, or with letters as in Scotland and Northern Ireland."""

_FORMS = {
    "ltd": "ltd",
    "limited": "ltd",
    "plc": "plc",
    "public limited company": "plc",
    "llp": "llp",
    "limited liability partnership": "llp",
}


def same_company(theirs: str, ours: str) -> bool:
    """Case, accents, punctuation and spelling of the legal form do not count, and the form may be left out."""
    (base, form), (our_base, our_form) = _folded(theirs), _folded(ours)
    return bool(base) and base == our_base and (not form or not our_form or form == our_form)


def _folded(name: str) -> tuple[str, str]:
    """The name without its legal form, and the form."""
    plain = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
    text = " ".join(re.sub(r"[^\w\s]", "", plain).split())
    for words in sorted(_FORMS, key=len, reverse=True):
        if text.endswith(" " + words):
            return text.removesuffix(words).rstrip().removeprefix("the "), _FORMS[words]
    return text.removeprefix("the "), ""
