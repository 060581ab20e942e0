"""What the simulated reference partner knows of its applications: a fold over the ledger, timers for its decisions, and
the webhooks that tell them.
"""

import base64
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from lendrail.sandbox.dials import OutcomeName
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, event
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.reference_partner import rules
from lendrail.sandbox.reference_partner.decide import CLOSED, outcome_of, told
from lendrail.sandbox.timers import Timers


@dataclass(slots=True)
class Held:
    """`due` is when the next decision falls (seconds since 1970), None when none is to come."""

    id: str
    user: str
    reference: str
    application: dict[str, Any]
    due: float | None
    said: dict[str, Any] = field(default_factory=dict)
    outcome: str | None = None
    decisions: int = 0

    @property
    def state(self) -> dict[str, Any]:
        """As it is read, and as webhooks carry it."""
        return {"id": self.id, "reference": self.reference} | self.said

    @property
    def closed(self) -> bool:
        return self.said["status"] in CLOSED


class Book:
    """`retries`: seconds between the attempts of a user's webhooks."""

    def __init__(self, tools: Tools, retries: Mapping[str, tuple[float, ...]]) -> None:
        self._tools, self._retries, self._timers = tools, retries, Timers(self._decide)
        self._held: dict[str, Held] = {}
        self._by_user: dict[str, list[Held]] = {}
        self._secrets: dict[tuple[str, str], str | None] = {}
        tools.outbound.sign = self._signed

    def find(self, user: str, application_id: str) -> Held | None:
        """A user sees only its own."""
        held = self._held.get(application_id)
        return held if held is not None and held.user == user else None

    def of(self, user: str) -> list[Held]:
        """In the order in which they came."""
        return self._by_user.get(user, [])

    def apply(self, record: Record) -> None:
        """Follower."""
        for effect in record.get("effects", ()):
            match effect["kind"]:
                case "leads":
                    held = Held(effect["id"], record["user"], record["reference"], effect["body"], effect["due"])
                    held.said = effect["said"]
                    self._held[held.id] = held
                    self._by_user.setdefault(held.user, []).append(held)
                case "updates" | "attachments" if effect["due"] is not None:
                    held = self._held[effect["id"]]
                    held.due, held.said = effect["due"], effect["said"]
                    held.application = effect.get("body", held.application)
                case "acceptances":
                    held = self._held[effect["id"]]
                    held.due, held.said = effect.get("due"), effect["said"]
                    held.decisions += 1
                case "decisions":
                    held = self._held[effect["id"]]
                    held.due, held.said, held.outcome = None, effect["said"], effect["outcome"]
                    held.decisions += 1
                case "registrations":
                    self._secrets[record["user"], effect["url"]] = effect["secret"]

    def start(self) -> None:
        for held in self._held.values():
            self.schedule(held.id)

    def stop(self) -> None:
        self._timers.stop()

    def schedule(self, application_id: str) -> None:
        if (due := self._held[application_id].due) is not None:
            self._timers.set(application_id, due)

    async def _decide(self, application_id: str) -> None:
        """Record the decision with the webhooks that tell it, then send them."""
        held, used = self._held[application_id], list[str]()
        if held.due is None:
            return
        outcome, state = self._next(held, used)
        said = {"statusAt": moment(time.time())} | state
        planned = self._webhooks(held, said, used)
        effect = {"kind": "decisions", "id": held.id, "user": held.user, "outcome": outcome, "said": said}
        await self._tools.ledger.commit(event([effect | {"planned": planned}], held.reference, used))
        self.tell(planned)

    def _next(self, held: Held, used: list[str]) -> tuple[OutcomeName, Effect]:
        """What is decided, and how the state says so: an accepted offer is paid out, else dial and amount choose."""
        if held.said["status"] == "accepted":
            return "fund", {"status": "funded", "offers": held.said["offers"]}
        dial = self._tools.dials.take("outcome", "create", held.reference, used)
        outcome = outcome_of(held.application, dial, held.outcome)
        return outcome, told(held.application, outcome, dial)

    def accepted(self, held: Held, offer: dict[str, Any], wall: float, used: list[str]) -> Effect:
        """The effect of taking this offer, with the webhooks that tell it."""
        said = {"status": "accepted", "statusAt": moment(wall), "offers": [offer]}
        dial = self._tools.dials.take("funding", "accept", held.reference, used)
        due = wall + dial.ms / 1000 if dial else None
        effect = {"kind": "acceptances", "id": held.id, "offerId": offer["id"], "said": said, "due": due}
        return effect | {"planned": self._webhooks(held, said, used)}

    def tell(self, webhooks: list[Effect]) -> None:
        for webhook in webhooks:
            self._tools.outbound.send(webhook)

    def _webhooks(self, held: Held, said: dict[str, Any], used: list[str]) -> list[Effect]:
        take, reference = self._tools.dials.take, held.reference
        if take("webhook_lost", "webhook", reference, used):
            return []
        twice, late = (take(kind, "webhook", reference, used) for kind in ("webhook_duplicated", "webhook_late"))
        about = {"id": held.id, "reference": reference}
        body = about | {"event": "status", "value": said["status"], "timestamp": said["statusAt"]}
        body |= {"application": about | said}
        number, wait, retries = held.decisions + 1, late.ms if late else 0, self._retries[held.user]
        return [
            self._tools.outbound.plan(url, body, reference, wait, retries=retries)
            | {"user": user, "event": f"evt_{held.id}_{number}"}
            for user, url in self._secrets
            if user == held.user
            for _ in range(twice.copies if twice else 1)
        ]

    def _signed(self, webhook: Effect) -> Mapping[str, str]:
        """Standard Webhooks: the id stays, the time is that of the attempt."""
        now = str(int(time.time()))
        headers = {"webhook-id": webhook["event"], "webhook-timestamp": now}
        if (key := rules.key(self._secrets.get((webhook["user"], webhook["url"])))) is None:
            return headers
        signed = f"{webhook['event']}.{now}.".encode() + orjson.dumps(webhook["body"])
        signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        return headers | {"webhook-signature": f"v1,{signature}"}


def moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
