"""The applications of a run: for every partner and class, each with a mark, and with an ending that is known before.

What a simulated partner decides follows from the last three digits of the amount, and docs/test-and-live.md has the
table; it is read here, and another test tries every field of it.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.flow.stack import deal
from tests.partners.optimum_finance.rehearsal import uk_application
from tests.partners.valiant.rehearsal import au_application

from proofs.chaos.shapes import Door

TABLE = Path(__file__).resolve().parents[2] / "docs" / "test-and-live.md"
REGISTRY, AUDIT = "monetago", "soap-lender audit mail"
"""The second is what an account at the SOAP lender sends beside: a mail for audit, once for each application."""
MARK = r"ZZ[0-9]{6}"
"""Also a company number, since one partner looks names up by these; no register gives any that begin so."""
DECLARED = "acme-lending"
PLAYED_AS = {DECLARED: "reference-partner"}
AMERICANS = ("forward-financing", "finpace", "soap-lender", "reference-partner", "email-lender")
Life = Literal["document", "accept", "withdraw"]
ENDINGS = ("000",) * 8 + ("001", "001", "002", "003", "004", "005", "006", "008", "090", "091")
STEADY = tuple(each for each in ENDINGS if each not in ("090", "091"))
"""Of applications to several partners: an answer that is lost at all of them would leave little to look at."""
LOST = {"time-out", "lost"}
AFTER_LOST = {"forward-financing": "submitted|approved|in-review", REGISTRY: "approved"}
"""What follows a lost answer, by the partner's guarantees; blind ones stay unknown, and keyed ones are approved."""
BLIND = frozenset({"optimum-finance", "valiant"})
WAITS = frozenset({"forward-financing", "soap-lender", "reference-partner"})
"""A document of ours that comes after their decision answers their question, so *info-required* may be over."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One application before it is sent."""

    mark: str
    at: float
    """Seconds after the run began."""
    door: Door
    body: dict[str, Any]
    wanted: dict[str, str]
    withheld: tuple[str, ...] = ()
    life: Life | None = None
    """What the upstream does with it later."""
    life_at: str = ""
    """The partner that it does this at."""

    @property
    def becomes(self) -> str:
        """Its status there after that."""
        return {"document": "approved", "accept": "accepted", "withdraw": "withdrawn"}[self.life or "document"]


def outcomes() -> dict[tuple[str, str], str]:
    """(partner, ending) → the field of the table; the ending of all others is `any other`."""
    _, _, rest = TABLE.read_text().partition("<!-- outcomes:")
    lines = re.findall(r"^\|(.*)\|$", rest, re.MULTILINE)
    head, _, *rows = [[field.strip() for field in line.split("|")] for line in lines]
    return {(name, row[0]): field for row in rows for name, field in zip(head[1:], row[1:], strict=True)}


def cast(count: int, seconds: float, seed: int) -> list[Planned]:
    """The same ones for the same numbers, in the order of their times."""
    return list(Cast(seed).all_of(count, seconds))


class Cast:
    def __init__(self, seed: int) -> None:
        self._draw, self._table = random.Random(seed), outcomes()

    def all_of(self, count: int, seconds: float) -> Iterator[Planned]:
        times = sorted(self._draw.uniform(0, seconds) for _ in range(count))
        makers = (self._one, self._one, self._one, self._several, self._cleared, self._british, self._australian)
        for number, at in enumerate(times):
            yield makers[number % len(makers)](number, at)

    def _planned(self, number: int, at: float, body: dict[str, Any], wanted: dict[str, str], **more: Any) -> Planned:
        door: Door = "kafka" if self._draw.random() < 0.4 else "rest"
        return Planned(mark=mark(number), at=at, door=door, body=body, wanted=wanted, **more)

    def _one(self, number: int, at: float) -> Planned:
        """For one American lender; some of these live on."""
        partner = AMERICANS[number // 7 % len(AMERICANS)]
        ending, life = self._draw.choice(ENDINGS), None
        if self._draw.random() < 0.25 and partner in LIVES:
            ending, life = LIVES[partner]
        body = american(number, ending, partner)
        return self._planned(number, at, body, self._wanted((partner,), ending), life=life, life_at=partner)

    def _several(self, number: int, at: float) -> Planned:
        partners = tuple(self._draw.sample(AMERICANS, self._draw.randint(2, len(AMERICANS))))
        ending = self._draw.choice(STEADY)
        return self._planned(number, at, american(number, ending, *partners), self._wanted(partners, ending))

    def _cleared(self, number: int, at: float) -> Planned:
        """Behind the registry. The lender by mail never says no, so the registration stays."""
        partners = ("email-lender", *self._draw.sample(AMERICANS[:-1], self._draw.randint(1, 2)))
        ending, clear = self._draw.choice(("000", "000", "001", "005")), self._draw.random() < 0.75
        body = american(number, ending, *partners, paper=f"INV-{mark(number)}")
        asked = self._draw.choice(("000", "000", "000", "091")) if clear else "006"
        body["invoices"][0]["requested"] = _money(f"40{asked}", "USD")
        gate = self._field(REGISTRY, asked)
        wanted = self._wanted(partners, ending) if clear else dict.fromkeys(partners, "duplicate")
        if not clear:
            return self._planned(number, at, body, wanted | {REGISTRY: gate}, withheld=partners)
        return self._planned(number, at, body, wanted | {REGISTRY: gate})

    def _british(self, number: int, at: float) -> Planned:
        partners = ("optimum-finance", "email-lender") if self._draw.random() < 0.3 else ("optimum-finance",)
        ending = self._draw.choice(ENDINGS)
        return self._planned(number, at, british(number, ending, *partners), self._wanted(partners, ending))

    def _australian(self, number: int, at: float) -> Planned:
        partner = self._draw.choice(("valiant", DECLARED))
        ending, life = self._draw.choice(ENDINGS), None
        if partner == DECLARED and self._draw.random() < 0.3:
            ending, life = LIVES["reference-partner"]
        wanted = self._wanted((partner,), ending)
        refused = tuple(name for name in wanted if self._table.get((name, ending)) == "refused")
        body = australian(number, ending, partner)
        return self._planned(number, at, body, wanted, withheld=refused, life=life, life_at=partner)

    def _wanted(self, partners: tuple[str, ...], ending: str) -> dict[str, str]:
        wanted = {partner: self._field(partner, ending) for partner in partners}
        return wanted | ({AUDIT: "submitted"} if "soap-lender" in partners else {})

    def _field(self, partner: str, ending: str) -> str:
        played = PLAYED_AS.get(partner, partner)
        field = self._table.get((played, ending)) or self._table[played, "any other"]
        if field in LOST:
            blind = "outcome-unknown" if partner in BLIND else "approved"
            return AFTER_LOST.get(partner, "submitted" if partner == "email-lender" else blind)
        if field == "info-required" and played in WAITS:
            return "info-required|approved"
        return "failed|info-required" if field == "refused" else field


LIVES: dict[str, tuple[str, Life]] = {
    "forward-financing": ("002", "document"),
    "reference-partner": ("000", "accept"),
    "soap-lender": ("003", "withdraw"),
}
"""Where an application can live on: its ending, and what the upstream does when it is so far."""


def mark(number: int) -> str:
    return f"ZZ{number:06d}"


def american(number: int, ending: str, *partners: str, paper: str | None = None) -> dict[str, Any]:
    body = deal(f"40{ending}", *partners, paper=paper)
    body["business"] |= _named(f"Fake Company {mark(number)} LLC", number)
    body["business"]["registrations"] = [{"scheme": "ein", "country": "US", "number": f"00-{number:07d}"}]
    for place, owner in enumerate(body["owners"]):
        one = number * len(body["owners"]) + place
        owner["ssn"] = f"900-{one // 10_000 % 100:02d}-{one % 10_000:04d}"
    return body


def british(number: int, ending: str, *partners: str) -> dict[str, Any]:
    """The partner decides by the turnover, and looks the company's name up by its number."""
    body = _plain(uk_application(f"950{ending}", mark(number)), *partners)
    body["business"] |= _named(f"Fake Company {mark(number)} Limited", number)
    body["business"]["registrations"] = [{"scheme": "company-number", "country": "GB", "number": mark(number)}]
    body["requestedFinance"]["amount"] = _money(f"50{ending}", "GBP")
    return body


def australian(number: int, ending: str, *partners: str) -> dict[str, Any]:
    """All under the one number that the simulated register knows, so each asks for another amount."""
    body = _plain(au_application(f"{75 + number}{ending}", mark(number)), *partners)
    body["business"] |= _named(f"Fake Bakery {mark(number)} Pty Ltd", number)
    return body


def _named(name: str, number: int) -> dict[str, str]:
    return {"legalName": name, "tradingName": name, "email": f"office-{number}@venture.example.test"}


def _plain(made: dict[str, Any], *partners: str) -> dict[str, Any]:
    """Without the files that it names and with none to be cleared."""
    body = copy.deepcopy(made)
    for name in ("uploads", "invoices", "tradeDocuments", "equipment"):
        body.pop(name, None)
    for owner in body["owners"]:
        owner.pop("identityDocuments", None)
    return body | {"targetPartners": list(partners)}


def _money(amount: str, currency: str) -> dict[str, str]:
    return {"amount": amount, "currency": currency}
