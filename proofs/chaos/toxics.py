"""What a proxy can do to those who talk through it, and which of it is on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ToxicKind = Literal["latency", "reset", "cut", "black-hole", "bandwidth", "drop-reply"]
Direction = Literal["up", "down"]


@dataclass(frozen=True, kw_only=True)
class Toxic:
    """One way in which a network is ill.

    latency: `milliseconds`, and at random up to `jitter` more. reset: RST to both ends. cut: `bytes` of the reply, then
    the end of the connection. black-hole: nothing goes on while it is on, and what was held is thrown away at its end.
    bandwidth: `bytes` a second. drop-reply: the request is delivered whole, its reply is read and thrown away, and the
    connection closes; where requests cannot be told apart, it is the reply to at least `bytes` sent at a stretch.
    """

    target: str
    kind: ToxicKind
    direction: Direction = "down"
    """`up` is towards the partner or server."""
    milliseconds: int = 0
    jitter: int = 0
    bytes: int = 0
    share: float = 1.0
    """How probably it strikes one request, or one connection where requests cannot be told apart."""


class Active:
    """A toxic that is on until `over` is set."""

    def __init__(self, toxic: Toxic) -> None:
        self.toxic = toxic
        self.over = asyncio.Event()


class Toxics:
    """All that are on, by their ids."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._on: dict[str, Active] = {}
        self._count = 0

    def on(self, toxic: Toxic) -> str:
        """Its id, by which it is switched off."""
        self._count += 1
        name = f"{toxic.kind}-{self._count}"
        self._on[name] = Active(toxic)
        return name

    def off(self, name: str) -> None:
        """Nothing happens when it is off already."""
        if (active := self._on.pop(name, None)) is not None:
            active.over.set()

    def clear(self) -> None:
        for name in list(self._on):
            self.off(name)

    def of(self, target: str) -> list[Active]:
        return [active for active in self._on.values() if active.toxic.target == target]

    def struck(self, target: str) -> list[Active]:
        """Those that strike one request to `target`."""
        return [active for active in self.of(target) if self.strikes(active.toxic)]

    def strikes(self, toxic: Toxic) -> bool:
        return toxic.share >= 1 or self._chance.random() < toxic.share

    async def slow(self, toxics: Iterable[Active], direction: Direction, size: int) -> None:
        """Wait as long as latency and limited bandwidth hold `size` bytes up."""
        for toxic in (active.toxic for active in toxics if active.toxic.direction == direction):
            if toxic.kind == "latency":
                await asyncio.sleep((toxic.milliseconds + self._chance.uniform(0, toxic.jitter)) / 1000)
            elif toxic.kind == "bandwidth":
                await asyncio.sleep(size / max(1, toxic.bytes))


def first(toxics: Iterable[Active], kind: ToxicKind, direction: Direction) -> Active | None:
    """The first of that kind in that direction."""
    return next((a for a in toxics if a.toxic.kind == kind and a.toxic.direction == direction), None)
