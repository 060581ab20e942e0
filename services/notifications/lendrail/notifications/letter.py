"""The e-mail about an update. No personal data: mail is read on the way, so names, links of offers and a partner's free
words stay out, and a link to the API stands in for them.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
from email import policy
from email.message import EmailMessage
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Money, Offer
from lendrail.contracts.wanted import ToDo, to_do
from lendrail.notifications.news import headline, remarks

SUBJECT_CHARACTERS = 150
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")
"""Every relay carries it, also one without 8BITMIME."""


@cache
def _template(name: str) -> Template:
    loader = PackageLoader("lendrail.notifications", "templates")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(enabled_extensions=("html",)), undefined=StrictUndefined
    )
    return environment.get_template(name)


def letter(update: StatusUpdated, public_url: str) -> str:
    """Subject, text and HTML of the letter, as the JSON text that is stored."""
    about = {
        "application": str(update.application_id),
        "partner": update.partner or "",
        "status": headline(update),
        "remarks": remarks(update),
        "version": update.state_version,
        "observed": _time(update.observed_at),
        "references": [_line(f"{r.system} {r.kind}: {r.value}") for r in update.references],
        "offers": [_offer(offer) for offer in update.offers],
        "reasons": sorted({reason.code.value for reason in update.decline_reasons}),
        "terms": _terms(update),
        "matches": [_line(f"{match.id} ({match.kind})") for match in update.matches],
        "unknown": _unknown(update),
        "wanted": _wanted(update),
        "ways": _ways(update, public_url),
        "refusals": sorted({problem.code for problem in update.problems if not problem.pointer}),
        "problems": [f"{problem.pointer} ({problem.code})" for problem in update.problems if problem.pointer],
        "link": f"{public_url}/v1/applications/{update.application_id}",
        "test": update.mode == "test",
    }
    text, html = (_template(name).render(about) for name in ("letter.txt", "letter.html"))
    return json.dumps({"subject": _subject(update), "text": text, "html": html})


def compose(stored: str, *, notice_id: str, sender: str, recipient: str, stated: dt.datetime) -> EmailMessage:
    """The mail as it is sent; the same notice always makes the same mail, so a repeat is known by its Message-ID."""
    parts = json.loads(stored)
    mail = EmailMessage(policy=_SEVEN_BIT)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = parts["subject"]
    mail["Date"] = email.utils.format_datetime(stated.astimezone(dt.UTC))
    mail["Message-ID"] = f"<{notice_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(parts["text"])
    mail.add_alternative(parts["html"], subtype="html")
    mail.set_boundary(f"=={notice_id}==")
    return mail


def _subject(update: StatusUpdated) -> str:
    reference = next((r.value for r in update.references), str(update.application_id))
    whom = f" at {update.partner}" if update.partner else ""
    return _line(f"{headline(update)}{whom}: {reference}")


def _line(text: str) -> str:
    """One line without control characters: what others wrote must not become a header of its own."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SUBJECT_CHARACTERS]


def _time(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _terms(update: StatusUpdated) -> list[str]:
    """What the partner expects of the deal; whom to ask there is a person, and stays out."""
    chance = f"Chance: {update.close_chance:f} %" if update.close_chance is not None else ""
    closes = f"Closes: {update.closes_on.isoformat()}" if update.closes_on else ""
    commission = f"Commission: {_money(update.commission)}" if update.commission else ""
    return [each for each in (chance, closes, commission) if each]


def _to_do(update: StatusUpdated) -> ToDo:
    found = to_do(update.status, update.application_id, update.wanted, update.missing_info, update.problems)
    return found or ToDo()


def _wanted(update: StatusUpdated) -> list[str]:
    """Kinds of documents. The partner's own words may be personal, so of them only that they are there."""
    return [item.kind or "as the partner says, through the API" for item in _to_do(update).items]


def _ways(update: StatusUpdated, public_url: str) -> list[str]:
    return [f"{_WAYS[way.what]}: {way.method} {public_url}{way.path}" for way in _to_do(update).ways]


_WAYS = {"document": "A document", "correction": "A correction"}
_PLANS = {
    "repeat": "the same request is sent once more",
    "look-up": "the partner is asked for our reference",
    "wait": "the partner's word is awaited",
    "person": "a person decides",
}


def _unknown(update: StatusUpdated) -> str:
    """Since when nobody knows whether the partner has it, and what is done about it."""
    if update.unknown_since is None:
        return ""
    plan = f": {_PLANS[update.plan]}" if update.plan else ""
    check = f", next check {_time(update.next_check_at)}" if update.next_check_at else ""
    return f"Unknown since {_time(update.unknown_since)}{check}{plan}"


def _money(money: Money) -> str:
    return f"{money.amount:,f} {money.currency}"


def _offer(offer: Offer) -> str:
    parts = [_line(f"{offer.id} {offer.variant or ''}")]
    if offer.amount:
        parts.append(_money(offer.amount))
    if offer.term:
        parts.append(f"{offer.term.value} {offer.term.unit}")
    if offer.factor_rate is not None:
        parts.append(f"factor {offer.factor_rate:f}")
    return ", ".join(parts)
