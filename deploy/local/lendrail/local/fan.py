"""The demo's last scene: one application goes to five partners at once, after a registry has cleared it."""

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable
from typing import Any

from lendrail.contracts.terms import attempt_id
from lendrail.local.proof import Proof, proof
from lendrail.local.scenes import FAN_SECONDS, REGISTRY, Ending, FanOut
from lendrail.local.stage import Check, Missed, Stage, everything
from lendrail.local.tables import books, outcomes
from lendrail.local.timeline import Line
from lendrail.local.words import short_id
from lendrail.partners import PARTNERS

View = dict[str, Any]
REFUSED = ("duplicate", "declined", "failed")
"""A registry's last words that stop every lender."""


class Changes:
    """Of the many lines of one application at six places only those where a status becomes another one."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._last: dict[str, str | None] = {}

    def __call__(self, line: Line) -> bool:
        if line.application != self._application or line.event != "status-updated":
            return line.application == self._application and line.event.startswith("application-")
        before = self._last.get(line.partner or "", "submitting")
        self._last[line.partner or ""] = line.word
        return line.word != before


async def play_fan(stage: Stage, fan: FanOut) -> Ending:
    """Raises Missed: what did not happen, or whose ledger says otherwise."""
    stage.console.rule(f"[bold]{fan.title}", align="left")
    begin = time.monotonic()
    application = await stage.send(fan.title, "REST", fan.application)
    stage.shown = Changes(application)
    try:
        view = await _reached(stage, fan, application, _validated(fan))
        references = {each["partner"]: _reference(each) for each in view["opportunities"]}
        for part in fan.parts:
            for dial in part.dials(references[part.partner], stage.hurried):
                await stage.dial(part.partner, dial)
        await _clear(stage, fan, application)
        view = await _reached(stage, fan, application, _ended(fan))
        await stage.until(fan.title, _told(stage, fan, application), FAN_SECONDS)
    finally:
        stage.shown = everything
    seconds = time.monotonic() - begin
    await _prove(stage, fan, view, _lines(stage, application), references)
    return Ending(application, fan.application, seconds, view, stage.notified(application))


async def _prove(stage: Stage, fan: FanOut, view: View, lines: list[Line], references: dict[str, str]) -> None:
    """What each partner said, and what its own ledger has. Raises Missed."""
    names = [part.partner for part in fan.parts]
    proofs = {name: proof(name, await stage.ledger(name, reference)) for name, reference in references.items()}
    stage.console.print(outcomes(view, lines, stage.credentials, names))
    stage.console.print(books(proofs[name] for name in (REGISTRY, *names)))
    later = judge(fan, proofs, hurried=stage.hurried)
    stage.console.print("   Each of them has it exactly once, by its own ledger.", style="green")
    stage.console.print(f"   The first lender was called {later:.1f} s after the registry had decided.", style="green")


def _reference(opportunity: View) -> str:
    """What we call it at this partner."""
    return str(attempt_id(uuid.UUID(opportunity["opportunityId"]), "create", "", 1))


async def _reached(stage: Stage, fan: FanOut, application: str, missing: Callable[[View], list[str]]) -> View:
    """What the API says once nothing is missing. Raises Missed."""
    end = time.monotonic() + FAN_SECONDS
    while lacks := missing(view := await stage.view(fan.title, application)):
        if time.monotonic() > end:
            raise Missed(f"{fan.title}: after {FAN_SECONDS:.0f} s the API says: {'; '.join(lacks)}")
        await asyncio.sleep(0.1)
    return view


def _statuses(view: View) -> dict[str, str]:
    return {each["partner"]: each["status"] for each in view["opportunities"]}


def _validated(fan: FanOut) -> Callable[[View], list[str]]:
    """Whether each lender and the registry may have it."""
    wanted = (REGISTRY, *(part.partner for part in fan.parts))

    def missing(view: View) -> list[str]:
        problems = [f"{each['pointer']} {each['message']}" for each in view.get("problems", ())]
        found = {partner for partner, status in _statuses(view).items() if status != "ineligible"}
        return problems + [f"{partner} cannot take it" for partner in wanted if partner not in found]

    return missing


def _ended(fan: FanOut) -> Callable[[View], list[str]]:
    def missing(view: View) -> list[str]:
        found = _statuses(view)
        return [
            f"{part.partner} is {found.get(part.partner)} and not {part.ends}"
            for part in fan.parts
            if found.get(part.partner) != part.ends
        ]

    return missing


async def _clear(stage: Stage, fan: FanOut, application: str) -> None:
    """Tell who is asked first, and what it answers. Raises Missed."""
    asked = f"   first {PARTNERS[REGISTRY].title} is asked whether anybody finances {fan.paper}"
    stage.console.print(f"{asked}; {len(fan.parts)} lenders wait", markup=False)

    def missing(view: View) -> list[str]:
        status = _statuses(view)[REGISTRY]
        if status in REFUSED:
            raise Missed(f"{fan.title}: the registry's word is {status}, so no lender is asked")
        return [] if status == "approved" else [f"the registry's word is {status} and not approved"]

    view = await _reached(stage, fan, application, missing)
    await stage.until(fan.title, [_on_kafka(stage, application, REGISTRY, "approved")], FAN_SECONDS)
    took, known = (_after(stage, application, REGISTRY, status) or 0 for status in ("submitted", "approved"))
    (own,) = (each for each in view["opportunities"] if each["partner"] == REGISTRY)
    said = f"it says {own['partnerWords']}, {(known - took) / 1000:.1f} s after it took the question"
    stage.console.print(f"   clear: {said}; its id is {short_id(own['partnerId'])}", style="green", markup=False)


def _lines(stage: Stage, application: str) -> list[Line]:
    return [line for line in stage.lines if line.application == application]


def _after(stage: Stage, application: str, partner: str, status: str) -> int | None:
    """Milliseconds from arrival to this status, as Kafka tells it; None while it does not."""
    for line in _lines(stage, application):
        if (line.event, line.partner, line.word) == ("status-updated", partner, status):
            return line.milliseconds
    return None


def _on_kafka(stage: Stage, application: str, partner: str, status: str) -> Check:
    return f"{partner} {status} on Kafka", lambda: _after(stage, application, partner, status) is not None


def _told(stage: Stage, fan: FanOut, application: str) -> list[Check]:
    """Everything that was learned is on Kafka, and was told by webhook and mail."""

    def checks(partner: str, status: str) -> list[Check]:
        return [
            _on_kafka(stage, application, partner, status),
            (f"the signed webhook notice of {status}", lambda: stage.receiver.told(application, status)),
            (f"the email about {status}", lambda: stage.mailed(application, status) > 0),
        ]

    return [check for part in fan.parts for check in checks(part.partner, part.ends)]


def judge(fan: FanOut, proofs: dict[str, Proof], *, hurried: bool) -> float:
    """How many seconds after the registry's decision the first lender was called.

    Raises Missed: a partner has it more or less than once, a reply that should be lost was not, or a lender was called
    before the registry had decided.
    """
    for each in proofs.values():
        if each.taken != 1:
            raise Missed(f"{fan.title}: {each.partner}'s own ledger has the application {each.taken} times")
    for part in fan.parts:
        found = proofs[part.partner]
        if found.lost != part.lost(hurried):
            raise Missed(f"{fan.title}: {part.partner}'s own ledger has {found.lost} lost replies")
    decided = proofs[REGISTRY].decided
    first = min((proofs[part.partner] for part in fan.parts), key=lambda each: each.first)
    if not decided or first.first <= decided:
        raise Missed(f"{fan.title}: {first.partner} was called before the registry had decided")
    return (dt.datetime.fromisoformat(first.first) - dt.datetime.fromisoformat(decided)).total_seconds()
