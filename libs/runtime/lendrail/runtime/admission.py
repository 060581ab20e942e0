"""How much HTTP may be under way in one process. The rest is refused at once, before its body is read.

Memory grows with what is under way, and a request that waits behind a thousand others is given up by its caller before
it is answered. So a gate lets in a stated number of requests, and of bytes of their bodies, and turns the rest away.

How many that may be depends on what the process gets of its machine and of its store. Where requests that were let in
run into their time limit, fewer would all have been answered: so half as many are let in, and with each few good
answers one more again, up to the stated number.

Nor may one party take all of it. Its share is no fixed number: whoever asks may have three times of what is still free.
One that is alone gets three quarters; two that ask for all they can get have three sevenths each. The last eighth is
for those alone who have nothing under way; so whoever comes new finds a place, whatever the others do.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()
SHARE, KEPT = 3, 8
FEWEST = 48
"""So many requests are let in however slow the process is."""
SLOW_SECONDS, GOOD_ANSWERS = 3.0, 10
"""Requests that were let in together run into their time limit together: that counts once in so many seconds. One more
is let in after so many good answers.
"""
LARGE = 1024 * 1024
"""No body counts for more: a route that takes larger ones streams them, or bounds by itself how many it holds."""
TOLD_SECONDS = 10.0


class Full(Exception):
    """All that there is is in use."""


class Crowded(Exception):
    """The party has its share, and others need the rest."""


class Measure:
    """One thing of which there is only so much."""

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0
        self._by: Counter[str] = Counter()

    def fits(self, amount: int) -> bool:
        return self.used + amount <= self.most

    def may_have(self, party: str, amount: int) -> bool:
        """Whether it stays within its share. `amount` is among what is used already."""
        mine, free = self._by[party], self.most - self.used + amount
        if mine == 0 or amount == 0:
            return True
        return mine + amount <= SHARE * free and self.used <= self.most - self.most // KEPT

    def give(self, party: str, amount: int) -> None:
        self._by[party] += amount

    def take_back(self, party: str | None, amount: int) -> None:
        self.used -= amount
        if party is not None:
            self._by[party] -= amount
            if self._by[party] <= 0:
                del self._by[party]


class Ticket:
    """Of one request that was let in."""

    def __init__(self, gate: Gate, body: int) -> None:
        self._gate, self.amounts = gate, (1, body)
        self.party: str | None = None

    def belongs_to(self, party: str) -> None:
        """Raises `Crowded`. Nobody (an empty name) is a party too: those of whom we know nothing share one share."""
        self._gate.claim(self, party)


class Gate:
    """Requests and bytes of bodies."""

    def __init__(self, requests: int, body_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests, self.bodies = Measure(requests), Measure(body_bytes)
        self._stated, self._clock = requests, clock
        self._refused, self._told = 0, float("-inf")
        self._slowed, self._good = float("-inf"), 0

    @contextmanager
    def enter(self, body: int) -> Iterator[Ticket]:
        """For a request with a body of so many bytes, as long as it is under way. Raises `Full`, and what
        `Ticket.belongs_to` raised.
        """
        ticket = Ticket(self, min(body, LARGE))
        if not all(measure.fits(amount) for measure, amount in self._each(ticket)):
            self._note()
            raise Full
        for measure, amount in self._each(ticket):
            measure.used += amount
        try:
            yield ticket
        finally:
            for measure, amount in self._each(ticket):
                measure.take_back(ticket.party, amount)

    def claim(self, ticket: Ticket, party: str) -> None:
        if not all(measure.may_have(party, amount) for measure, amount in self._each(ticket)):
            self._note()
            raise Crowded
        ticket.party = party
        for measure, amount in self._each(ticket):
            measure.give(party, amount)

    def slow(self) -> None:
        """A request that was let in ran into its time limit."""
        if self._clock() - self._slowed >= SLOW_SECONDS:
            self._slowed, self._good = self._clock(), 0
            self.requests.most = max(min(FEWEST, self._stated), self.requests.most // 2)

    def good(self) -> None:
        """A request was answered well."""
        self._good += 1
        if self._good >= GOOD_ANSWERS and self.requests.most < self._stated:
            self._good = 0
            self.requests.most += 1

    def _each(self, ticket: Ticket) -> Iterator[tuple[Measure, int]]:
        return zip((self.requests, self.bodies), ticket.amounts, strict=True)

    def _note(self) -> None:
        """A line now and then: one for each would be a second burst."""
        self._refused += 1
        if self._clock() - self._told < TOLD_SECONDS:
            return
        log.warning(
            "requests are refused: too much is under way",
            refused=self._refused,
            requests=self.requests.used,
            body_bytes=self.bodies.used,
        )
        self._refused, self._told = 0, self._clock()


class Turnstile:
    """Lets only so many refusals out at a time; the others stand still meanwhile.

    A refusal costs little, and thousands a second cost everything: an accepted request goes on once in each turn of the
    event loop, and a turn that is full of refusals lasts until all callers have given up. Who stands still sends
    nothing more, so a crowd that comes again at once is slowed down as well.
    """

    def __init__(self, each: int = 20, seconds: float = 0.05, most: int = 1000) -> None:
        """`each` in so many seconds, later when the loop is slow; when `most` stand there, others pass."""
        self._each, self._seconds, self._most = each, seconds, most
        self._left, self._ticking = each, False
        self._standing: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._ticking:
            self._ticking = True
            loop.call_later(self._seconds, self._tick)
        if self._left > 0 or len(self._standing) >= self._most:
            self._left -= 1
            return
        mine = loop.create_future()
        self._standing.append(mine)
        await mine

    def _tick(self) -> None:
        self._left = self._each
        while self._standing and self._left > 0:
            mine = self._standing.popleft()
            if not mine.done():  # else its caller went away
                self._left -= 1
                mine.set_result(None)
        self._ticking = bool(self._standing) or self._left < self._each
        if self._ticking:
            asyncio.get_running_loop().call_later(self._seconds, self._tick)
