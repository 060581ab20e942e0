"""The reference partner's state of an application and its webhooks in our words: one to one, field by field."""

from __future__ import annotations

from typing import Any, get_args

from pydantic.alias_generators import to_camel

from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.terms import Contact, DeclineReason, Fee, Offer, ReasonCode, Report, Term, TermUnit, Wanted
from lendrail.partners import reading
from lendrail.partners.answers import answered, contact, reported
from lendrail.partners.exchange import Hint, Known, Listing, Reply
from lendrail.partners.reference.profile import STATUSES
from lendrail.partners.told import Reader, Told

STATUS_CHANGED = "status"
_UNITS = get_args(TermUnit)


def report(reply: Reply) -> Report:
    return _state(answered(reply, 200, 201))


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
    found = _state(Told(state))
    return found if found.words else None


def _state(told: Told) -> Report:
    return reported(told, "status", STATUSES, _more)


def _more(told: Told) -> dict[str, Any]:
    offers = tuple(_offer(each, place) for place, each in enumerate(told.list_of("offers"), start=1))
    reasons = tuple(_reason(each) for each in told.list_of("declineReasons"))
    told.flags.extend([] if all(each.mapped for each in reasons) else ["unmapped-reason"])
    said = _missing(told) | {"partner_time": told.read("statusAt", reading.moment)}
    return said | {"offers": offers, "decline_reasons": reasons} | told.take(_REST)


def _missing(told: Told) -> dict[str, Any]:
    """Its words, and below them each document that it wants; these once more, one by one."""
    words = told.read("missingInfo", lambda raw: reading.words(raw, 5_000))
    wanted = [each.take(_WANTED) for each in told.list_of("documentsWanted")]
    lines = [": ".join(each[name] for name in _WANTED if name in each) for each in wanted]
    text = reading.sensitive_words("; ".join(each for each in (words, *lines) if each))
    return {"missing_info": text, "wanted": tuple(_wanted(**each) for each in wanted if each)}


def _wanted(kind: str | None = None, description: str | None = None) -> Wanted:
    """A kind that is not one of ours is said in words."""
    if kind in list(UploadKind):
        return Wanted(kind=kind, words=reading.sensitive_words(description))
    return Wanted(words=reading.sensitive_words(": ".join(filter(None, (kind, description)))))


def _offer(told: Told, place: int) -> Offer:
    return Offer(**{"id": f"offer-{place}"} | told.take(_OFFER))


def _reason(told: Told) -> DeclineReason:
    code = told.read("code", reading.words) or ""
    mapped = code in list(ReasonCode)
    words = told.read("words", reading.words) or code
    return DeclineReason(code=ReasonCode(code) if mapped else ReasonCode.OTHER, words=words, mapped=mapped)


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
    read = [each.take(_FEE) for each in entries]
    return tuple(Fee(**each) for each in read) if all("name" in each for each in read) else None


def _contact(raw: Any) -> Contact | None:
    told = Told(raw if isinstance(raw, dict) else {})
    found = contact(told)
    return None if told.flags else found


def _percent(raw: Any) -> Any:
    value = reading.decimal(raw)
    return value if value is not None and value <= 100 else None


def _rows(**readers: Reader) -> dict[str, tuple[str, Reader]]:
    """Its names are ours."""
    return {name: (to_camel(name), reader) for name, reader in readers.items()}


_FEE = _rows(name=reading.short, percent=reading.decimal, amount=reading.money_object)
_OFFER = _rows(
    id=reading.words,
    variant=reading.short,
    amount=reading.money_object,
    term=_term,
    factor_rate=reading.decimal,
    cost_per_thousand=reading.money_object,
    net_funded=reading.money_object,
    fees=_fees,
    details=_details,
    conditions=_texts,
    action_link=reading.link,
    expires_at=reading.moment,
)
_WANTED = _rows(kind=reading.short, description=reading.words)
_REST = _rows(
    decline_notes=reading.sensitive_words,
    notes=reading.sensitive_words,
    contact=_contact,
    close_chance=_percent,
    closes_on=reading.day,
    commission=reading.money_object,
)
