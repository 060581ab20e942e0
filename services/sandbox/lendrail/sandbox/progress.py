"""What goes on at a partner after it took an application: steps that follow by themselves, told by webhook where the
partner has one. A fold over the ledger plus timers, so a kill -9 loses no step.

An effect `leads` with `id`, `state`, `steps` and `due` opens a matter; each step is an effect `decisions`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, event
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.timers import Timers

State = dict[str, Any]
STEP_SECONDS = 1.0
"""Between a step and the next; the first one falls when the partner's user is set to hear of it."""


@dataclass(slots=True)
class Matter:
    """`steps` are the states that are still to come, `due` when the next of them falls (seconds since 1970)."""

    id: str
    user: str
    reference: str
    state: State
    steps: list[State]
    due: float


class Progress:
    """All matters of all users. `webhook` is the address and body of what a step is told by; None: by nothing."""

    def __init__(self, tools: Tools, webhook: Callable[[Matter], tuple[str, State] | None], method: str) -> None:
        self._tools, self._webhook, self._method = tools, webhook, method
        self._matters: dict[str, Matter] = {}
        self._timers = Timers(self._step)

    def find(self, user: str, matter: str) -> Matter | None:
        """A user sees only its own."""
        found = self._matters.get(matter)
        return found if found is not None and found.user == user else None

    def apply(self, record: Record) -> None:
        """Follower of the ledger."""
        for effect in record.get("effects", ()):
            if effect["kind"] == "leads" and effect.get("id"):
                opened = Matter(effect["id"], record["user"], record["reference"], effect["state"], [], effect["due"])
                opened.steps = list(effect["steps"])
                self._matters[opened.id] = opened
            elif effect["kind"] == "decisions":
                matter = self._matters[effect["id"]]
                matter.state, matter.due = effect["state"], effect["due"]
                matter.steps = matter.steps[1:]

    def start(self) -> None:
        """After a restart: the steps that were still to come."""
        for matter in self._matters:
            self.schedule(matter)

    def stop(self) -> None:
        self._timers.stop()

    def schedule(self, matter: str) -> None:
        if self._matters[matter].steps:
            self._timers.set(matter, self._matters[matter].due)

    async def _step(self, name: str) -> None:
        matter, used = self._matters[name], list[str]()
        state = matter.steps[0]
        planned = self._planned(Matter(name, matter.user, matter.reference, state, [], 0.0), used)
        due = time.time() + STEP_SECONDS
        effect = {"kind": "decisions", "id": name, "state": state, "due": due, "planned": planned}
        await self._tools.ledger.commit(event([effect], matter.reference, used))
        for webhook in planned:
            self._tools.outbound.send(webhook)
        self.schedule(name)

    def _planned(self, matter: Matter, used: list[str]) -> list[Effect]:
        take, told = self._tools.dials.take, self._webhook(matter)
        if told is None or take("webhook_lost", "webhook", matter.reference, used):
            return []
        twice = take("webhook_duplicated", "webhook", matter.reference, used)
        late = take("webhook_late", "webhook", matter.reference, used)
        plan, (url, body) = self._tools.outbound.plan, told
        wait = late.ms if late else 0
        return [plan(url, body, matter.reference, wait, self._method) for _ in range(twice.copies if twice else 1)]
