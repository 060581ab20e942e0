"""Two applications that go on after they were sent: one all the way to its money, one is withdrawn.

The lender's own ledger says in the end what it got, and how often.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lendrail.local.follow import View, on_kafka, reached, reference, send, statuses, told
from lendrail.local.paper import bank_statement
from lendrail.local.render import short
from lendrail.local.scenes import SECONDS, Ending, Life
from lendrail.local.stage import Missed, Stage, nothing
from lendrail.local.words import offered, wanted
from lendrail.partners import PARTNERS

Ledger = dict[str, Any]
REASON = "the applicant found another way"
PAYS_AFTER_MS = 2000
"""Time enough for all who hear of the acceptance to tell it before the money comes."""


@dataclass(frozen=True)
class Told:
    """A life that is being told."""

    stage: Stage
    life: Life
    application: str
    begin: float

    @property
    def lender(self) -> str:
        return PARTNERS[self.life.partner].title

    async def passes(self, status: str) -> None:
        """Kafka told this status, whatever came after it. Raises Missed."""
        shown = on_kafka(self.stage, self.application, self.life.partner, status)
        await self.stage.until(self.life.title, [shown], SECONDS)

    async def becomes(self, *any_of: str) -> View:
        """The opportunity, once Kafka told the first of these and the API says one of them. Raises Missed."""

        def missing(view: View) -> list[str]:
            found = statuses(view).get(self.life.partner)
            return [] if found in any_of else [f"{self.life.partner} is {found} and not {any_of[0]}"]

        await self.passes(any_of[0])
        view = await reached(self.stage, self.life.title, self.application, missing, SECONDS)
        return next(each for each in view["opportunities"] if each["partner"] == self.life.partner)

    async def change(self, path: str, about: str, **what: Any) -> None:
        """Raises Missed."""
        named = [short(step) if len(step) == len(self.application) else step for step in path.split("/")]
        self.say(f"POST {'/'.join(named)}   {about}", "bold")
        await self.stage.change(self.life.title, path, **what)

    def say(self, words: str, style: str = "") -> None:
        self.stage.console.print(f"   {words}", markup=False, style=style)

    async def ends(self, at: Iterable[str]) -> Ending:
        """When webhook and mail have told of each of these statuses. Raises Missed."""
        title, partner = self.life.title, self.life.partner
        checks = [check for status in at for check in told(self.stage, self.application, partner, status)]
        await self.stage.until(title, checks, SECONDS)
        seconds, view = time.monotonic() - self.begin, await self.stage.view(title, self.application)
        notified = self.stage.notified(self.application)
        return Ending(self.application, self.life.application, seconds, view, notified)


async def play_life(stage: Stage, life: Life) -> Ending:
    """Raises Missed: what did not happen, or what the lender's ledger has more or less than once."""
    try:
        story = await _begin(stage, life)
        asks = await story.becomes("info-required")
        sha256 = await _bring_what_is_missing(story, asks)
        offer = (await story.becomes("approved"))["offers"][0]
        await stage.dial(life.partner, _pays(reference(asks)))
        await _accept(story, asks["opportunityId"], offer)
        await story.passes("accepted")
        await story.becomes("funded")
        ending = await story.ends(("info-required", "approved", "accepted", "funded"))
    finally:
        stage.shown = nothing  # its last notices would stand below the verdict
    judge_life(life, await stage.ledger(life.partner, reference(asks)), sha256, offer["id"])
    story.say(f"Its own ledger has the application once, the document {sha256[:12]}… once, {offer['id']}", "green")
    story.say("accepted once and paid out once. Each POST above was sent twice, under one key.", "green")
    return ending


async def play_withdrawal(stage: Stage, life: Life) -> Ending:
    """Raises Missed."""
    try:
        story = await _begin(stage, life)
        there = await story.becomes("submitted", "in-review")
        path = f"/v1/applications/{story.application}/withdraw"
        await story.change(path, f"reason: {REASON}", json={"reason": REASON})
        await story.becomes("withdrawn")
        ending = await story.ends(("submitted", "withdrawn"))
    finally:
        stage.shown = nothing
    word = judge_withdrawal(life, await stage.ledger(life.partner, reference(there)))
    story.say(f"{story.lender}'s own ledger has the application once and one withdrawal, reason {word},", "green")
    story.say("and no decision. The POST above was sent twice, under one key.", "green")
    return ending


async def _begin(stage: Stage, life: Life) -> Told:
    stage.console.rule(f"[bold]{life.title}", align="left")
    await stage.dial(life.partner, life.dial)
    begin = time.monotonic()
    return Told(stage, life, await send(stage, life.title, life.application), begin)


async def _bring_what_is_missing(story: Told, asks: View) -> str:
    """What the partner asked for by name, along the way that the API names; its SHA-256. Raises Missed."""
    to_do = asks.get("toDo") or {}
    paths = [way["path"] for way in to_do.get("ways", ()) if way["what"] == "document"]
    items = [item for item in to_do.get("items", ()) if item.get("kind")]
    if not paths or not items:
        raise Missed(f"{story.life.title}: the API does not say which document the lender wants, or where to send it")
    story.say(f"{story.lender} asks for {', '.join(map(wanted, items))}", "yellow")
    kind, content = items[0]["kind"], bank_statement(story.application)
    name, sha256 = f"{kind}.pdf", hashlib.sha256(content).hexdigest()
    about = f"{name}, {len(content)} bytes, SHA-256 {sha256[:12]}…"
    await story.change(paths[0], about, params={"kind": kind, "name": name}, content=content)
    return sha256


async def _accept(story: Told, opportunity: str, offer: View) -> None:
    terms, *more = offered(offer)
    story.say(f"{story.lender} offers {terms}", "green")
    for each in more:
        story.say(f"  {each}", "green")
    path = f"/v1/opportunities/{opportunity}/accept"
    variant = {"variant": offer["variant"]} if offer.get("variant") else {}
    await story.change(path, offer["id"], json={"offerId": offer["id"]} | variant)


def _pays(named: str) -> dict[str, Any]:
    return {"kind": "funding", "operation": "accept", "reference": named, "ms": PAYS_AFTER_MS, "times": 1}


def judge_life(life: Life, ledger: Ledger, sha256: str, offer: str) -> None:
    """Raises Missed: the lender has the application, its document, the acceptance or the payout not exactly once."""
    documents = [each for each in ledger["attachments"] if each["accepted"] and each["sha256"] == sha256]
    acceptances = [each["offerId"] for each in ledger.get("acceptances", ())]
    if set(acceptances) - {offer}:
        raise Missed(f"{life.title}: {life.partner}'s own ledger has another offer accepted")
    payouts = [each for each in ledger["decisions"] if each["outcome"] == "fund"]
    _once(life, ledger["leads"], "the application")
    _once(life, documents, "the document that was uploaded")
    _once(life, acceptances, f"{offer} accepted")
    _once(life, payouts, "the payout")


def judge_withdrawal(life: Life, ledger: Ledger) -> str:
    """The lender's word for the withdrawal. Raises Missed: it has it not exactly once, or has decided all the same."""
    withdrawals = ledger.get("withdrawals", [])
    _once(life, ledger["leads"], "the application")
    _once(life, withdrawals, "the withdrawal")
    if ledger["decisions"]:
        raise Missed(f"{life.title}: {life.partner} has decided, although it was to take its time")
    return str(withdrawals[0]["reason"])


def _once(life: Life, found: list[Any], what: str) -> None:
    if len(found) != 1:
        raise Missed(f"{life.title}: {life.partner}'s own ledger has {what} {len(found)} times")
