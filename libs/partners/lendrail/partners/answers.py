"""What most answers have in common, said once: a status word, reasons, fees, whom to ask, and what a webhook names.

Each reads what is there and flags what makes no sense; what a partner's words mean stays with the partner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lendrail.contracts.terms import Contact, DeclineReason, Fee, ReasonCode, Report, Status
from lendrail.partners import reading
from lendrail.partners.exchange import Accepted, Hint, Outcome, Reply, Unknown
from lendrail.partners.told import Reader, Told

CONTACT: Mapping[str, tuple[str, Reader]] = {
    "name": ("name", reading.sensitive_words),
    "email": ("email", reading.email),
    "phone": ("phone", reading.phone),
}


def answered(reply: Reply, *statuses: int) -> Told:
    """The object of a good answer (200, else one of `statuses`); empty where it is none."""
    good = reply.status in (statuses or (200,))
    return Told((reading.json_object(reply.content) if good else None) or {})


def readable(told: Told, name: str) -> Outcome:
    """Whether an answer to a question has its status word."""
    return Unknown("unreadable-reply") if reading.words(told.body.get(name)) is None else Accepted()


def reported(
    told: Told,
    name: str,
    statuses: Mapping[str, Status],
    more: Callable[[Told], dict[str, Any]],
    unknown: str = "unknown-stage",
) -> Report:
    """The status word at `name` and `more`. A word that is not in `statuses` has no status, and is flagged."""
    word = told.read(name, reading.words)
    if word is None:
        return Report(status=None, words="", flags=("unreadable-reply",))
    told.flags.extend([unknown] if word not in statuses else [])
    return Report(status=statuses.get(word), words=word, **more(told), flags=told.seen)


def decline_reasons(
    told: Told,
    words: Iterable[str],
    code: Callable[[str], ReasonCode | None],
    flag: str = "unmapped-reason",
) -> tuple[DeclineReason, ...]:
    """Each in the partner's words, with our code for it; where `code` knows none it is `other`, and flagged."""
    known = [(each, code(each)) for each in words]
    told.flags.extend([flag] if any(found is None for _, found in known) else [])
    return tuple(
        DeclineReason(code=found or ReasonCode.OTHER, words=each, mapped=found is not None) for each, found in known
    )


def fees(told: Told, money: Reader, *, percent: Iterable[str] = (), amount: Iterable[str] = ()) -> tuple[Fee, ...]:
    """Those of the named fields that are told, under the partner's own names."""
    shares = [(each, told.read(each, reading.decimal)) for each in percent]
    sums = [(each, told.read(each, money)) for each in amount]
    found = [Fee(name=each, percent=share) for each, share in shares if share is not None]
    return (*found, *(Fee(name=each, amount=due) for each, due in sums if due is not None))


def contact(told: Told) -> Contact | None:
    """Of `{name, email, phone}`; None where none of them is told."""
    said = told.take(CONTACT)
    return Contact(**said) if said else None


def hint_of(
    id_name: str, word_name: str, *, inside: str = "", otherwise: str = "", by_address: bool = False
) -> Callable[[bytes, str | None], Hint | None]:
    """What a call to us names: an id and a word (`otherwise` where it has none), perhaps `inside` an object.

    With `by_address` the id may stand in the address that was called instead.
    """

    def read(body: bytes, path_id: str | None) -> Hint | None:
        whole = reading.json_object(body) or {}
        told = whole.get(inside) if inside else whole
        told = told if isinstance(told, dict) else {}
        foreign = reading.foreign_id(told.get(id_name)) or (reading.foreign_id(path_id) if by_address else None)
        word = reading.words(told.get(word_name)) or otherwise
        return Hint(foreign, word) if foreign and word else None

    return read


def json_api_errors(body: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """`errors` of JSON:API by the last step of their pointers; None where there are none."""
    found: dict[str, list[str]] = {}
    for each in Told(body).list_of("errors"):
        source = each.inner("source")
        pointer = source.read("pointer", reading.words) or source.read("parameter", reading.words) or ""
        text = each.read("detail", reading.words) or each.read("title", reading.words) or ""
        found.setdefault(pointer.rsplit("/", 1)[-1], []).append(text)
    return found or None
