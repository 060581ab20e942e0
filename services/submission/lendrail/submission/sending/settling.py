"""What was held until the outcome of a creation is known, decided once that is known: corrections and withdrawals."""

from __future__ import annotations

from collections.abc import Callable

from lendrail.submission.accounts.desks import Desks, with_lenders
from lendrail.submission.attempts.attempt import Attempt, State
from lendrail.submission.attempts.turns import undecided
from lendrail.submission.planning.plan import decide
from lendrail.submission.sending.job import Job
from lendrail.submission.store import Store, kept_event, read, token_of

HELD = frozenset({"update", "withdraw"})


def is_held(attempt: Attempt) -> bool:
    return attempt.state == State.PLANNED and attempt.operation in HELD


class Settler:
    """Plans for a lane what the event alone could not decide."""

    def __init__(self, store: Store, desks: Desks, gate_seconds: float, stored: Callable[[], None]) -> None:
        """`stored` is called when facts were stored that wait to be published."""
        self._store, self._desks, self._gate_seconds, self._stored = store, desks, gate_seconds, stored

    async def settle(self, job: Job) -> bool:
        """Whether to go on with the opportunity: the job has it as it is then."""
        held = undecided(job.opportunity)
        assert held is not None
        desk, event = await self._desks.of_one(job.opportunity), kept_event(job.document, held, job.key)
        desk = await with_lenders(desk, job.opportunity.id, self._store)
        made = decide(job.opportunity, held, event, desk, job.key, job.now, self._gate_seconds)
        plans, kept = made.requests, made.kept
        if await self._store.save(made.opportunity, made.acks, job.key, plans=plans, kept=kept):
            self._stored()
        job.document = await self._store.load(job.opportunity.id)
        job.opportunity = read(job.document)
        job.released = job.lost = token_of(job.document) != job.lease.token
        return not job.lost
