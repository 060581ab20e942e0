"""Their option lists: how they are fetched, and how a word of ours finds one of theirs. Nothing is guessed."""

from __future__ import annotations

import re
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from lendrail.contracts.application_parts import Industry
from lendrail.partners.exchange import Reply, Request
from lendrail.partners.fields import Convert, Unfit
from lendrail.partners.industries import partners_word
from lendrail.partners.reading import Unreadable, strict_json
from lendrail.partners.valiant.profile import CONTENT_TYPE, Choice, Options

HEADERS = (("content-type", CONTENT_TYPE), ("accept", CONTENT_TYPE))
_LIST = TypeAdapter(tuple[Choice, ...])


def options_request(name: str) -> Request:
    """One of `profile.OPTION_NAMES`."""
    return Request(operation="options", method="GET", path=f"/options/{quote(name, safe='')}", headers=HEADERS)


def read_options(reply: Reply) -> tuple[Choice, ...] | None:
    """The list, in its order; None where the reply is none, so that the list before it stays in use."""
    if reply.status != 200:
        return None
    try:
        return _LIST.validate_python(strict_json(reply.content), strict=False) or None
    except (Unreadable, ValidationError):
        return None


def one_of(name: str, options: Options) -> Convert:
    """Their value for our word. A list that was never seen is left out, since nothing there needs it."""

    def convert(word: str) -> str | None:
        known = options.lists.get(name)
        if known is None:
            return None
        wanted = _folded(options.words.get(name, {}).get(word, word))
        for each in known:
            if wanted in (_folded(each.value), _folded(each.label)):
                return each.value
        raise Unfit("not-supported", f"is in no list of this partner; an operator can map it ({name})")

    return convert


def industry(options: Options) -> Convert:
    """By the row of its code, or by its own words where they are in their list."""
    table = options.words.get("industry", {})

    def convert(value: Industry) -> str | None:
        own = value.description.reveal() if value.description else ""
        theirs: str | None = one_of("industry", options)(partners_word(value, table) or own)
        return theirs

    return convert


def _folded(word: str) -> str:
    return " ".join(re.sub(r"[-_]", " ", word).casefold().split())
