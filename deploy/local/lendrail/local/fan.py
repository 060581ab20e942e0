"""The demo's last scene: one application goes to five partners at once, after a registry has cleared it."""

import datetime as dt
import time
from collections.abc import Callable

from lendrail.local.follow import View, after, lines_of, on_kafka, reached, reference, send, statuses, told
from lendrail.local.proof import Proof, proof
from lendrail.local.scenes import FAN_SECONDS, REGISTRY, Ending, FanOut
from lendrail.local.stage import Check, Missed, Stage, everything
from lendrail.local.tables import books, outcomes
from lendrail.local.timeline import Line
from lendrail.local.words import short_id
from lendrail.partners import PARTNERS

REFUSED = ("duplicate", "declined", "failed")
"""A registry's last words that stop every lender."""


async def play_fan(stage: Stage, fan: FanOut) -> Ending:
    """Raises Missed: what did not happen, or whose ledger says otherwise."""
    stage.console.rule(f"[bold]{fan.title}", align="left")
    begin = time.monotonic()
    try:
        application = await send(stage, fan.title, fan.application)
        view = await reached(stage, fan.title, application, _validated(fan), FAN_SECONDS)
        references = {each["partner"]: reference(each) for each in view["opportunities"]}
        for part in fan.parts:
            for dial in part.dials(references[part.partner], stage.hurried):
                await stage.dial(part.partner, dial)
        await _clear(stage, fan, application)
        view = await reached(stage, fan.title, application, _ended(fan), FAN_SECONDS)
        await stage.until(fan.title, _told(stage, fan, application), FAN_SECONDS)
    finally:
        stage.shown = everything
    seconds = time.monotonic() - begin
    await _prove(stage, fan, view, lines_of(stage, application), references)
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


def _validated(fan: FanOut) -> Callable[[View], list[str]]:
    """Whether each lender and the registry may have it."""
    wanted = (REGISTRY, *(part.partner for part in fan.parts))

    def missing(view: View) -> list[str]:
        problems = [f"{each['pointer']} {each['message']}" for each in view.get("problems", ())]
        found = {partner for partner, status in statuses(view).items() if status != "ineligible"}
        return problems + [f"{partner} cannot take it" for partner in wanted if partner not in found]

    return missing


def _ended(fan: FanOut) -> Callable[[View], list[str]]:
    def missing(view: View) -> list[str]:
        found = statuses(view)
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
        status = statuses(view)[REGISTRY]
        if status in REFUSED:
            raise Missed(f"{fan.title}: the registry's word is {status}, so no lender is asked")
        return [] if status == "approved" else [f"the registry's word is {status} and not approved"]

    view = await reached(stage, fan.title, application, missing, FAN_SECONDS)
    await stage.until(fan.title, [on_kafka(stage, application, REGISTRY, "approved")], FAN_SECONDS)
    took, known = (after(stage, application, REGISTRY, status) or 0 for status in ("submitted", "approved"))
    (own,) = (each for each in view["opportunities"] if each["partner"] == REGISTRY)
    said = f"it says {own['partnerWords']}, {(known - took) / 1000:.1f} s after it took the question"
    stage.console.print(f"   clear: {said}; its id is {short_id(own['partnerId'])}", style="green", markup=False)


def _told(stage: Stage, fan: FanOut, application: str) -> list[Check]:
    return [check for part in fan.parts for check in told(stage, application, part.partner, part.ends)]


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
