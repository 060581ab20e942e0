"""Faults and outcomes that tests and demos set at run time. The README has the same table in words.

A dial applies to a call when its scope fits (operation, reference), its uses are not spent (`times`) and chance agrees
(`probability`). Of several dials of one kind the one with a reference wins, then the newest.
"""

import random
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from lendrail.sandbox.journal import Record
from lendrail.sandbox.settings import Model

OutcomeName = Literal["approve", "decline", "refer", "missing", "waiting", "working", "duplicate", "fund"]
"""What a partner may decide; each simulated partner takes those that it knows, and approves for the others."""


class Dial(Model):
    """The scope every dial has; `id` is given by the sandbox."""

    id: str = ""
    operation: str | None = None
    reference: str | None = None
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)


class Outcome(Dial):
    """What the partner decides; `then` follows when something missing was sent. `stage` replaces the stage's name,
    to rehearse stages that no document names."""

    kind: Literal["outcome"]
    outcome: OutcomeName
    then: OutcomeName = "approve"
    stage: str | None = None
    drivers: tuple[str, ...] | None = None
    notes: str | None = None
    missing_info: str | None = None
    max_approval: int | None = Field(default=None, ge=1)
    max_payments: int | None = Field(default=None, ge=1)


class DecisionDelay(Dial):
    """Milliseconds from the lead, or from its latest document, to the decision."""

    kind: Literal["decision_delay"]
    ms: int = Field(ge=0)


class Funding(Dial):
    """Milliseconds from the acceptance of an offer to the money; without this dial it never flows."""

    kind: Literal["funding"]
    ms: int = Field(ge=0)


class Delay(Dial):
    """Milliseconds before anything is recorded, or after recording and before the reply."""

    kind: Literal["delay"]
    ms: int = Field(ge=0, le=600_000)
    when: Literal["before", "after"] = "after"


class DropReply(Dial):
    """Record, then close the connection without a byte."""

    kind: Literal["drop_reply"]


class Refuse(Dial):
    """Close the connection without a byte and record nothing but the refusal."""

    kind: Literal["refuse"]


class Status(Dial):
    """Answer this HTTP status (429, 500, 503, ...)."""

    kind: Literal["status"]
    status: int = Field(ge=400, le=599)
    recorded: bool = False
    retry_after: int | None = Field(default=None, ge=0)


class Garbled(Dial):
    """An HTML page in a 200, or the first half of the JSON."""

    kind: Literal["html", "truncated"]
    recorded: bool = True


class Empty422(Dial):
    """A 422 without a body."""

    kind: Literal["empty_422"]
    recorded: bool = False


class Redirect(Dial):
    """A 302 to somewhere else; nothing is recorded but the call."""

    kind: Literal["redirect"]
    location: str = "http://127.0.0.1:1/elsewhere"
    recorded: bool = False


class RequireTls(Dial):
    """Plain http is answered 403."""

    kind: Literal["require_tls"]


class Rate(Dial):
    """Enforce the documented limit on users without one, or count violations and serve them all the same."""

    kind: Literal["rate"]
    enforce: bool


class WebhookLost(Dial):
    """The webhook is never sent."""

    kind: Literal["webhook_lost"]


class WebhookDuplicated(Dial):
    """The webhook is sent so many times."""

    kind: Literal["webhook_duplicated"]
    copies: int = Field(default=2, ge=2, le=20)


class WebhookEarly(Dial):
    """The decision falls and its webhook is delivered before the lead is answered."""

    kind: Literal["webhook_early"]


class WebhookLate(Dial):
    """The webhook waits so many milliseconds after the decision."""

    kind: Literal["webhook_late"]
    ms: int = Field(ge=0)


AnyDial = Annotated[
    Outcome | DecisionDelay | Funding | Delay | DropReply | Refuse | Status | Garbled | Empty422 | Redirect
    | RequireTls | Rate | WebhookLost | WebhookDuplicated | WebhookEarly | WebhookLate,
    Field(discriminator="kind"),
]  # fmt: skip
DIAL: TypeAdapter[AnyDial] = TypeAdapter(AnyDial)


class Dials:
    """The dials of one partner, kept over restarts by the ledger's records of type `dials`."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[AnyDial]] = {}
        self._left: dict[str, int] = {}

    def replay(self, record: Record) -> None:
        """Old records only: while running, `add`, `remove` and `take` have already changed the state."""
        if record["type"] == "dials":
            for dial in record["added"]:
                self.add(DIAL.validate_python(dial))
            self.remove(record["removed"])
        for spent in record.get("dials", ()):
            if spent in self._left:
                self._left[spent] -= 1

    def add(self, dial: AnyDial) -> None:
        self._by_kind.setdefault(dial.kind, []).insert(0, dial)
        self._by_kind[dial.kind].sort(key=lambda known: known.reference is None)
        if dial.times is not None:
            self._left[dial.id] = dial.times

    def remove(self, ids: list[str]) -> None:
        for kind, dials in list(self._by_kind.items()):
            self._by_kind[kind] = [dial for dial in dials if dial.id not in ids]

    def listed(self) -> list[dict[str, Any]]:
        return [
            {**dial.model_dump(mode="json", by_alias=True, exclude_none=True), "timesLeft": self._left.get(dial.id)}
            for dials in self._by_kind.values()
            for dial in dials
        ]

    def ids(self) -> list[str]:
        return [dial.id for dials in self._by_kind.values() for dial in dials]

    def take(self, kind: str, operation: str | None, reference: str | None, used: list[str]) -> Any | None:
        """The dial of this kind that applies now, or None; its use is counted and noted in `used`."""
        for dial in self._by_kind.get(kind, ()):
            if _fits(dial, operation, reference) and self._left.get(dial.id) != 0:
                if dial.times is not None:
                    self._left[dial.id] -= 1
                used.append(dial.id)
                return dial
        return None


def _fits(dial: Dial, operation: str | None, reference: str | None) -> bool:
    if dial.operation not in (None, operation) or dial.reference not in (None, reference):
        return False
    return dial.probability >= 1 or random.random() < dial.probability
