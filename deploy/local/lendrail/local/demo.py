"""`lendrail demo`: six applications, live, on the real stack; whatever does not happen is named."""

import time
from pathlib import Path
from textwrap import shorten
from typing import Any

from lendrail.local.configure import PARTNER
from lendrail.local.fan import play_fan
from lendrail.local.life import play_life, play_withdrawal
from lendrail.local.origins import play_file
from lendrail.local.publish import Sent
from lendrail.local.scenes import FAULTS, SECONDS, Ending, Scene, fan_out, life, scenes, withdrawal
from lendrail.local.stage import Check, Missed, Stage

SUBMITTED = ("application-received", "application-validated", "submit", "partner-ack", "partner-webhook", "notify")
REFUSED = ("application-rejected", "notify")


async def play(stage: Stage, loans: Path) -> list[Ending]:
    """All scenes, one after the other. Raises Missed: the step that did not happen."""
    async with stage.open():
        endings = [await _scene(stage, scene) for scene in scenes(loans)]
        endings += [await play_life(stage, life(loans)), await play_withdrawal(stage, withdrawal(loans))]
        fan = fan_out(loans)
        return [*endings, await play_file(stage, fan, await play_fan(stage, fan))]


async def _scene(stage: Stage, scene: Scene) -> Ending:
    stage.console.rule(f"[bold]{scene.title}", align="left")
    if scene.outcome:
        await stage.dial(PARTNER, {"kind": "outcome", "operation": "lead", "times": 1, **scene.outcome})
    begin = time.monotonic()
    if scene.ends == "invalid":
        await _refused_at_the_door(stage, scene)
    application = await stage.send(scene.title, scene.door, scene.application)
    await stage.until(scene.title, _checks(stage, scene, application), SECONDS)
    return await _ending(stage, scene, application, time.monotonic() - begin)


async def _refused_at_the_door(stage: Stage, scene: Scene) -> None:
    """At the API what can be told at once is a 422 with every fault, and nothing is stored."""
    sent: Sent = await stage.api.apply(scene.application)
    for problem in sent.problems:
        said = f"{problem.get('pointer')}: {problem.get('message')}"
        stage.console.print(f"   422 at the API   {shorten(said, 80)}", markup=False, style="yellow")
    if sent.status != 422 or len(sent.problems) < FAULTS:
        raise Missed(f"{scene.title}: the API answered {sent.status} with {len(sent.problems)} of {FAULTS} errors")
    stage.console.print("   nothing was stored; the same through the Kafka intake, where nobody waits:")


def _checks(stage: Stage, scene: Scene, application: str) -> list[Check]:
    def said(event: str, word: str = "") -> Check:
        def happened() -> bool:
            found = (line for line in stage.lines if line.application == application and line.event == event)
            return any(word in (line.word or "") for line in found)

        return (f"{event} {word}".strip(), happened)

    checks = [said(event) for event in (SUBMITTED if scene.outcome else REFUSED)]
    if scene.outcome:
        checks += [said("partner-ack", "create: accepted"), said("partner-ack", "document: accepted")]
    checks.append(said("status-updated", scene.ends))
    checks.append((f"the signed webhook notice of {scene.ends}", lambda: stage.receiver.told(application, scene.ends)))
    checks.append((f"the email about {scene.ends}", lambda: stage.mailed(application, scene.ends) > 0))
    return checks


async def _ending(stage: Stage, scene: Scene, application: str, seconds: float) -> Ending:
    """What the API says in the end. Raises Missed when it or the partner's own ledger disagrees."""
    view = await stage.view(scene.title, application)
    if view["status"] != scene.ends:
        raise Missed(f"{scene.title}: the API says {view['status']} and not {scene.ends}")
    await _once_at_the_partner(stage, scene, view)
    return Ending(application, scene.application, seconds, view, stage.notified(application))


async def _once_at_the_partner(stage: Stage, scene: Scene, view: dict[str, Any]) -> None:
    known = {each["partnerId"] for each in view["opportunities"] if each.get("partnerId")}
    leads = sum(each["leadId"] in known for each in (await stage.ledger(PARTNER))["leads"])
    if leads != (1 if scene.outcome else 0):
        raise Missed(f"{scene.title}: the partner's own ledger has the application {leads} times")
