"""Closed lists that a partner gives on request: reading one, and finding a word of ours in it. Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lendrail.contracts.application_parts import Industry
from lendrail.partners.exchange import Choice, Reply
from lendrail.partners.fields import Convert, Unfit
from lendrail.partners.industries import partners_word
from lendrail.partners.reading import Unreadable, strict_json

Lists = Mapping[str, tuple[Choice, ...]]
Words = Mapping[str, Mapping[str, str]]
"""By name of a list: our word to one of the partner's."""
_LIST = TypeAdapter(tuple[Choice, ...])
_LISTS = TypeAdapter(dict[str, tuple[Choice, ...]])
MOST = 5000
"""Entries of one list; a longer one is none that people chose from."""


def read_list(reply: Reply) -> tuple[Choice, ...] | None:
    """The list, in its order; None where the reply is none, so that the list before it stays in use."""
    if reply.status != 200:
        return None
    try:
        found = _LIST.validate_python(strict_json(reply.content))
    except (Unreadable, ValidationError):
        return None
    return found if 0 < len(found) <= MOST and all(_usable(each) for each in found) else None


def _usable(choice: Choice) -> bool:
    """Fit to be kept and sent: some characters, none of them broken."""
    return all(re.fullmatch(r"[^\x00-\x1f\ud800-\udfff]{1,255}", text) for text in (choice.label, choice.value))


def with_lists(options: Mapping[str, Any], own: Lists, fetched: Lists) -> Mapping[str, Any]:
    """The options with what was fetched in place of the account's `own` lists of the same name."""
    return {**options, "lists": _LISTS.dump_json({**own, **fetched}).decode()}


def one_of(name: str, lists: Lists, words: Words) -> Convert:
    """Their value for our word. A list that was never seen is left out, since nothing there needs it."""

    def convert(word: str) -> str | None:
        known = lists.get(name)
        if known is None:
            return None
        wanted = _folded(words.get(name, {}).get(word, word))
        for each in known:
            if wanted in (_folded(each.value), _folded(each.label)):
                return each.value
        raise Unfit("not-supported", f"is in no list of this partner; an operator can map it ({name})")

    return convert


def industry_of(name: str, lists: Lists, words: Words) -> Convert:
    """By the row of its code, or by its own words where they are in the list."""

    def convert(industry: Industry) -> Any:
        own = industry.description.reveal() if industry.description else ""
        return one_of(name, lists, words)(partners_word(industry, words.get(name, {})) or own)

    return convert


def _folded(word: str) -> str:
    return " ".join(re.sub(r"[-_]", " ", word).casefold().split())
