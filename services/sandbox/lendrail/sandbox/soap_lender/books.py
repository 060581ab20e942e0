"""The lender's applications, their documents and revisions, the mailboxes and the remembered message ids: a fold over
the ledger, plus timers for the decisions."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from lendrail.sandbox.dials import OutcomeName
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, event
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.soap_lender.decide import WAITS, decided, outcome_of
from lendrail.sandbox.soap_lender.security import UserSettings
from lendrail.sandbox.timers import Timers


@dataclass(slots=True)
class Matter:
    """One application; `due` is when the next decision falls (seconds since 1970), None when none is to come."""

    id: str
    user: str
    reference: str
    units: int
    due: float | None
    changed: str
    status: str = "Received"
    elements: list[Any] = field(default_factory=lambda: [("MissingInformation", None)])
    outcome: OutcomeName | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a mailbox."""

    number: int
    matter: Matter
    status: str
    at: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer to a message id. `until` in seconds since 1970."""

    sha256: str
    until: float
    payload: str
    reference: str | None
    matter: str | None


class Books:
    def __init__(self, tools: Tools, settings: dict[str, UserSettings]) -> None:
        self._tools, self._settings = tools, settings
        self._matters: dict[str, Matter] = {}
        self._mail: dict[str, dict[int, Entry]] = {}
        self._kept: dict[tuple[str, str, str], Kept] = {}
        self._numbers = 0
        self.calls = 0
        self.timers = Timers(self._decide)

    def find(self, user: str, number: str) -> Matter | None:
        """A user sees only its own."""
        matter = self._matters.get(number)
        return matter if matter is not None and matter.user == user else None

    def listed(self, user: str, reference: str | None) -> list[Matter]:
        """Oldest first."""
        own = (each for each in self._matters.values() if each.user == user)
        return [each for each in own if reference in (None, each.reference)]

    def mail(self, user: str, after: int) -> list[Entry]:
        return [each for number, each in self._mail.get(user, {}).items() if number > after]

    def kept(self, user: str, operation: str, key: str, now: float) -> Kept | None:
        kept = self._kept.get((user, operation, key))
        return kept if kept is not None and now < kept.until else None

    def new_id(self, user: str, reference: str) -> str:
        """Another one when the same reference is taken again."""
        place = len(self.listed(user, reference))
        text = f"{self._tools.ledger.salt}\0{user}\0{reference}\0{place}"
        return "LS-" + hashlib.sha256(text.encode()).hexdigest()[:16].upper()

    def apply(self, record: Record) -> None:
        """Follower of the ledger."""
        self.calls += record["type"] == "call"
        for effect in record.get("effects", ()):
            match effect["kind"]:
                case "leads":
                    self._opened(record, effect)
                case "attachments" | "updates" | "withdrawals":
                    self._touched(record, effect)
                case "decisions":
                    self._decided(record["at"], effect)
                case "acknowledged":
                    for number in effect["numbers"]:
                        self._mail.get(record["user"], {}).pop(number, None)
                case "answers":
                    self._kept[record["user"], effect["operation"], effect["key"]] = Kept(
                        effect["sha256"], effect["until"], effect["payload"], record["reference"], record["leadId"]
                    )

    def _opened(self, record: Record, effect: Effect) -> None:
        matter = Matter(
            effect["leadId"], record["user"], record["reference"], effect["units"], effect["due"], record["at"]
        )
        self._matters[matter.id] = matter

    def _touched(self, record: Record, effect: Effect) -> None:
        matter = self._matters[effect["leadId"]]
        match effect["kind"]:
            case "withdrawals":
                matter.due, matter.outcome = None, None
                self._changed(matter, "Withdrawn", [("MissingInformation", None)], record["at"])
            case "updates":
                matter.units, matter.due, matter.revision = effect["units"], effect["due"], matter.revision + 1
                self._changed(matter, "UnderReview", [("MissingInformation", None)], record["at"])
            case _ if matter.due is not None or matter.outcome in WAITS:
                matter.due = effect["due"]
                if matter.status == "MoreInformationRequired":
                    self._changed(matter, "UnderReview", [("MissingInformation", None)], record["at"])

    def _decided(self, at: str, effect: Effect) -> None:
        matter = self._matters[effect["leadId"]]
        matter.due, matter.outcome = None, effect["outcome"]
        self._changed(matter, effect["status"], effect["elements"], at)

    def _changed(self, matter: Matter, status: str, elements: list[Any], at: str) -> None:
        matter.status, matter.elements, matter.changed = status, elements, at
        self._numbers += 1
        self._mail.setdefault(matter.user, {})[self._numbers] = Entry(self._numbers, matter, status, at)

    def start(self) -> None:
        """After a restart: decisions that were still to come."""
        for number in self._matters:
            self.schedule(number)

    def schedule(self, number: str) -> None:
        due = self._matters[number].due
        if due is None:
            self.timers.cancel(number)
        else:
            self.timers.set(number, due)

    async def _decide(self, number: str) -> None:
        matter, used = self._matters[number], list[str]()
        if matter.due is None:  # withdrawn while the clock was ringing
            return
        dial = self._tools.dials.take("outcome", "submit", matter.reference, used)
        outcome = outcome_of(matter.units, dial, matter.outcome)
        currency = self._settings[matter.user].currency
        state = decided(outcome, matter.units, currency, number, time.time(), dial)
        effect = {"kind": "decisions", "leadId": number, "user": matter.user, "outcome": outcome, **state}
        await self._tools.ledger.commit(event([effect], matter.reference, used))
