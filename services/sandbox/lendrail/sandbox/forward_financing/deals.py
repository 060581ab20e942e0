"""The partner's deals: from a lead over its documents to a decision and its webhooks: a fold over the ledger, plus
timers.

A decision falls some time after the lead or after its latest document. After `File Missing Info` a further document
puts the deal back to `Working` and to a new decision.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lendrail.sandbox.dials import OutcomeName
from lendrail.sandbox.forward_financing.decide import EVENTS, Revision, outcome_of, status_body
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, event
from lendrail.sandbox.partner import Tools

WORKING = {"stage": "Working"}
WEBHOOK_URLS = 5
"""Addresses kept per user; the documentation does not say how many. The oldest makes room."""


@dataclass(slots=True)
class Deal:
    """`due` is when the next decision falls (seconds since 1970), None when none is to come."""

    lead_id: str
    user: str
    reference: str
    dollars: int
    due: float | None
    outcome: OutcomeName | None = None
    status: Mapping[str, Any] = field(default_factory=lambda: WORKING)
    timer: asyncio.TimerHandle | None = None


class Deals:
    """All deals of all users, and where each user wants webhooks."""

    def __init__(self, tools: Tools, revisions: Mapping[str, Revision]) -> None:
        self._tools, self._revisions = tools, revisions
        self._deals: dict[str, Deal] = {}
        self._by_reference: dict[tuple[str, str], str] = {}
        self._urls: dict[str, list[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, user: str, lead_id: str) -> Deal | None:
        """A user sees only its own deals."""
        deal = self._deals.get(lead_id)
        return deal if deal is not None and deal.user == user else None

    def known(self, user: str, reference: str) -> bool:
        return (user, reference) in self._by_reference

    def apply(self, record: Record) -> None:
        """Follower of the ledger."""
        for effect in record.get("effects", ()):
            match effect["kind"]:
                case "leads":
                    self._opened(record["user"], record["reference"], effect)
                case "attachments":
                    self._documented(effect)
                case "decisions":
                    deal = self._deals[effect["leadId"]]
                    deal.due, deal.outcome, deal.status = None, effect["outcome"], effect["status"]
                case "registrations":
                    self._register(record["user"], effect["url"])

    def _opened(self, user: str, reference: str, effect: Effect) -> None:
        deal = Deal(effect["leadId"], user, reference, effect["dollars"], effect["decisionDue"])
        self._deals[deal.lead_id] = deal
        self._by_reference[user, reference] = deal.lead_id

    def _documented(self, effect: Effect) -> None:
        deal = self._deals[effect["leadId"]]
        waits = deal.outcome in ("missing", "waiting")
        if effect["accepted"] and (deal.due is not None or waits):
            deal.due = effect["decisionDue"]
            deal.status = WORKING

    def _register(self, user: str, url: str) -> None:
        urls = [known for known in self._urls.get(user, ()) if known != url]
        self._urls[user] = [*urls, url][-WEBHOOK_URLS:]

    def start(self) -> None:
        """After a restart: decisions that were still to come."""
        for deal in self._deals.values():
            self.schedule(deal)

    def stop(self) -> None:
        for deal in self._deals.values():
            if deal.timer is not None:
                deal.timer.cancel()

    def schedule(self, deal: Deal) -> None:
        """(Re)set the deal's timer to what is due."""
        if deal.timer is not None:
            deal.timer.cancel()
            deal.timer = None
        if deal.due is not None:
            wait = max(0.0, deal.due - time.time())
            deal.timer = asyncio.get_running_loop().call_later(wait, self._begin, deal)

    async def arrived(self, lead_id: str) -> None:
        """A lead was recorded: decide in time, or at once and before the reply when a dial wants an early webhook."""
        deal, used = self._deals[lead_id], list[str]()
        if self._tools.dials.take("webhook_early", "webhook", deal.reference, used):
            await asyncio.gather(*await self._decide(deal, used))
        else:
            self.schedule(deal)

    def _begin(self, deal: Deal) -> None:
        deal.timer = None
        task = asyncio.create_task(self._decide_quietly(deal))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decide_quietly(self, deal: Deal) -> None:
        await self._decide(deal, [])

    async def _decide(self, deal: Deal, used: list[str]) -> list[asyncio.Task[None]]:
        """Record the decision with the webhooks it asks for, then send them; returns the deliveries under way."""
        if deal.due is None:  # a document set the timer again while this decision was on its way
            return []
        dial = self._tools.dials.take("outcome", "lead", deal.reference, used)
        outcome = outcome_of(deal.dollars, dial, deal.outcome)
        planned = self._webhooks(deal, EVENTS[outcome], used)
        decision = {
            "kind": "decisions",
            "leadId": deal.lead_id,
            "user": deal.user,
            "outcome": outcome,
            "event": EVENTS[outcome],
            "status": status_body(outcome, deal.dollars, self._revisions.get(deal.user, "classic"), deal.lead_id, dial),
            "planned": planned,
        }
        await self._tools.ledger.commit(event([decision], deal.reference, used))
        return [self._tools.outbound.send(webhook) for webhook in planned]

    def _webhooks(self, deal: Deal, name: str | None, used: list[str]) -> list[Effect]:
        take, reference = self._tools.dials.take, deal.reference
        urls = self._urls.get(deal.user, [])
        if name is None or not urls or take("webhook_lost", "webhook", reference, used):
            return []
        twice = take("webhook_duplicated", "webhook", reference, used)
        late = take("webhook_late", "webhook", reference, used)
        body, copies, wait = (
            {"lead_id": deal.lead_id, "event_type": name},
            twice.copies if twice else 1,
            late.ms if late else 0,
        )
        return [self._tools.outbound.plan(url, body, reference, wait) for url in urls for _ in range(copies)]
