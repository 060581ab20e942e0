"""What a lane decided is written on top of whatever somebody else stored meanwhile, for as long as it still holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lendrail.partners.exchange import Reply
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import Attempt, Opportunity
from lendrail.submission.attempts.moves import Move
from lendrail.submission.attempts.turns import due_now
from lendrail.submission.sending.job import Job
from lendrail.submission.store import Store, read, token_of


class Writer:
    """Moves and stores a lane's opportunity."""

    def __init__(self, store: Store, retry_seconds: Sequence[float], stored: Callable[[], None]) -> None:
        """`stored` is called when facts were stored that wait to be published."""
        self._store, self._retry_seconds, self._stored = store, retry_seconds, stored

    async def put_off(self, job: Job, batch: Sequence[Attempt], reason: str, wait: float | None = None) -> bool:
        """For as long as the schedule says; or for `wait` seconds where the fault is not this attempt's."""
        schedule = self._retry_seconds or (1.0,)
        scheduled = random.uniform(0, schedule[min(batch[0].delays, len(schedule) - 1)])
        seconds = max(0.2, scheduled if wait is None else wait + random.uniform(0, 0.5))

        def later(it: Opportunity) -> Move:
            return moves.put_off(it, batch, reason, seconds, job.now, counts=wait is None), ()

        return await self.write(job, moves.unless_moved(batch, later))

    async def park(self, job: Job, batch: Sequence[Attempt], reason: str) -> bool:
        return await self.write(job, moves.unless_moved(batch, lambda it: moves.park(it, batch, reason, job.now)))

    async def write(
        self,
        job: Job,
        move: Callable[[Opportunity], Move | None],
        *,
        begins: bool = False,
        replies: Mapping[str, Reply] | None = None,
    ) -> bool:
        """Move the opportunity and store it, again on top of whatever somebody else stored; false: no longer possible.

        The lease goes with the write after which nothing is due.
        """
        while (moved := move(job.opportunity)) is not None:
            opportunity, acks = moved
            ends = not begins and not due_now(opportunity, job.now, 1, job.through)
            if await self._store.save(
                opportunity,
                acks,
                job.key,
                replies=replies,
                begins=job.lease if begins else None,
                releases=job.lease if ends else None,
                due=job.now if ends else None,
            ):
                job.opportunity = replace(opportunity, version=opportunity.version + 1)
                job.released = ends or job.lost
                if acks:
                    self._stored()
                return True
            job.document = await self._store.load(job.opportunity.id)
            job.opportunity = read(job.document)
            if token_of(job.document) != job.lease.token:
                job.released = job.lost = True
                if begins:
                    return False
        return False
