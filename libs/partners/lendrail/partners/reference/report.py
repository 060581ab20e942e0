"""The reference partner's state of an application and its webhooks in our words: one to one, field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from lendrail.contracts.terms import Contact, DeclineReason, Fee, Offer, ReasonCode, Report, Term, TermUnit
from lendrail.partners import reading
from lendrail.partners.exchange import Hint, Known, Listing, Reply
from lendrail.partners.reference.profile import STATUSES
from lendrail.partners.told import Told

Readers = Mapping[str, Callable[[Any], Any]]
STATUS_CHANGED = "status"
_UNITS = get_args(TermUnit)


def report(reply: Reply) -> Report:
    body = reading.json_object(reply.content) if reply.status in (200, 201) else None
    return _state(body or {})


def listed(reply: Reply) -> Listing | None:
    """A page of the list."""
    body = reading.json_object(reply.content) if reply.status == 200 else None
    entries = (body or {}).get("applications")
    if body is None or not isinstance(entries, list):
        return None
    known = [_known(Told(each)) for each in entries if isinstance(each, dict)]
    found = tuple(each for each in known if each is not None)
    return Listing(found, reading.foreign_id(body.get("nextPageToken")), len(entries) - len(found))


def _known(told: Told) -> Known | None:
    foreign, words = told.read("id", reading.foreign_id), told.read("status", reading.words) or ""
    reference, at = told.read("reference", reading.words), told.read("statusAt", reading.moment)
    return Known(foreign, reference, words, STATUSES.get(words), at) if foreign else None


def hint(body: bytes, path_id: str | None) -> Hint | None:
    told = reading.json_object(body) or {}
    foreign, event = reading.foreign_id(told.get("id")), reading.words(told.get("event"), 80)
    value, reference = reading.words(told.get("value"), 80), reading.words(told.get("reference"), 80)
    return Hint(foreign, f"{event}: {value}" if value else event, reference) if foreign and event else None


def proven(body: bytes) -> Report | None:
    """What a proven webhook says by itself; None where its parts disagree or it tells of something else."""
    told = reading.json_object(body) or {}
    state = told.get("application")
    if told.get("event") != STATUS_CHANGED or not isinstance(state, dict):
        return None
    if (state.get("id"), state.get("status")) != (told.get("id"), told.get("value")):
        return None
    found = _state(state)
    return found if found.words else None


def _state(body: Mapping[str, Any]) -> Report:
    told = Told(body)
    status = told.read("status", reading.words)
    if status is None:
        return Report(status=None, words="", flags=("unreadable-reply",))
    if status not in STATUSES:
        told.flags.append("unknown-stage")
    offers = tuple(_offer(each, place) for place, each in enumerate(told.list_of("offers"), start=1))
    reasons = tuple(_reason(each) for each in told.list_of("declineReasons"))
    if not all(each.mapped for each in reasons):
        told.flags.append("unmapped-reason")
    said = {"missingInfo": _missing(told), "partnerTime": told.read("statusAt", reading.moment)} | _read(told, _REST)
    return Report.model_validate(
        said
        | {"status": STATUSES.get(status), "words": status, "offers": offers, "declineReasons": reasons}
        | {"flags": tuple(dict.fromkeys(told.flags))}
    )


def _missing(told: Told) -> Any:
    """Its words, and below them each document that it wants."""
    words = told.read("missingInfo", lambda raw: reading.words(raw, 5_000))
    wanted = [_read(each, _WANTED) for each in told.list_of("documentsWanted")]
    lines = [": ".join(each[name] for name in _WANTED if name in each) for each in wanted]
    return reading.sensitive_words("; ".join(each for each in (words, *lines) if each))


def _offer(told: Told, place: int) -> Offer:
    return Offer.model_validate({"id": f"offer-{place}"} | _read(told, _OFFER))


def _reason(told: Told) -> DeclineReason:
    code = told.read("code", reading.words) or ""
    mapped = code in list(ReasonCode)
    words = told.read("words", reading.words) or code
    return DeclineReason(code=ReasonCode(code) if mapped else ReasonCode.OTHER, words=words, mapped=mapped)


def _read(told: Told, readers: Readers) -> dict[str, Any]:
    found = {name: told.read(name, reader) for name, reader in readers.items()}
    return {name: value for name, value in found.items() if value is not None}


def _term(raw: Any) -> Term | None:
    told = raw if isinstance(raw, dict) else {}
    value = reading.count(told.get("value"))
    return Term(value=value, unit=told["unit"]) if value is not None and told.get("unit") in _UNITS else None


def _texts(raw: Any) -> tuple[str, ...] | None:
    read = [reading.words(each) for each in raw] if isinstance(raw, list) else [None]
    return None if None in read else tuple(each for each in read if each)


def _details(raw: Any) -> dict[str, str] | None:
    told = raw if isinstance(raw, dict) else {"": ""}
    read = {reading.words(name, 80): reading.words(text) for name, text in told.items()}
    whole = {name: text for name, text in read.items() if name and text}
    return whole if len(whole) == len(told) else None


def _fees(raw: Any) -> tuple[Fee, ...] | None:
    entries = Told({"fees": raw}).list_of("fees") if isinstance(raw, list) else None
    if entries is None or len(entries) != len(raw):
        return None
    read = [_read(each, _FEE) for each in entries]
    return tuple(Fee.model_validate(each) for each in read) if all("name" in each for each in read) else None


def _contact(raw: Any) -> Contact | None:
    told = Told(raw if isinstance(raw, dict) else {})
    read = _read(told, _CONTACT)
    return Contact.model_validate(read) if read and not told.flags else None


def _percent(raw: Any) -> Any:
    value = reading.decimal(raw)
    return value if value is not None and value <= 100 else None


_FEE: Readers = {
    "name": lambda raw: reading.words(raw, 80),
    "percent": reading.decimal,
    "amount": reading.money_object,
}
_OFFER: Readers = {
    "id": reading.words,
    "variant": lambda raw: reading.words(raw, 80),
    "amount": reading.money_object,
    "term": _term,
    "factorRate": reading.decimal,
    "costPerThousand": reading.money_object,
    "netFunded": reading.money_object,
    "fees": _fees,
    "details": _details,
    "conditions": _texts,
    "actionLink": reading.link,
    "expiresAt": reading.moment,
}
_CONTACT: Readers = {"name": reading.sensitive_words, "email": reading.email, "phone": reading.phone}
_WANTED: Readers = {"kind": lambda raw: reading.words(raw, 80), "description": reading.words}
_REST: Readers = {
    "declineNotes": reading.sensitive_words,
    "notes": reading.sensitive_words,
    "contact": _contact,
    "closeChance": _percent,
    "closesOn": reading.day,
    "commission": reading.money_object,
}
