"""Their option lists: how they are fetched, and how a word of ours finds one of theirs. Nothing is guessed."""

from __future__ import annotations

import re
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from lendrail.contracts.application_parts import Industry
from lendrail.partners import partner
from lendrail.partners.exchange import Choice, Reply, Request
from lendrail.partners.fields import Convert, Unfit
from lendrail.partners.industries import partners_word
from lendrail.partners.reading import Unreadable, strict_json
from lendrail.partners.valiant.profile import CONTENT_TYPE, Options

HEADERS = (("content-type", CONTENT_TYPE), ("accept", CONTENT_TYPE))
_LIST = TypeAdapter(tuple[Choice, ...])
_LISTS = TypeAdapter(dict[str, tuple[Choice, ...]])
MOST = 5000
"""Entries of one list; a longer one is none that people chose from."""


def options_request(name: str) -> Request:
    """One of `profile.OPTION_NAMES`."""
    return Request(operation="options", method="GET", path=f"/options/{quote(name, safe='')}", headers=HEADERS)


def read_options(reply: Reply) -> tuple[Choice, ...] | None:
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


def with_lists(options: partner.Options, lists: partner.Fetched) -> partner.Options:
    """Those that were fetched in place of the account's own of the same name. Raises ValueError for options that are
    none.
    """
    known = {**Options.model_validate(options).lists, **lists}
    return {**options, "lists": _LISTS.dump_json(known).decode()}


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
