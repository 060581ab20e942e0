"""The bytes of the next call: a creation's as they were stored, a document's made from its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from lendrail.contracts.terms import DocumentRef
from lendrail.partners.exchange import Request
from lendrail.submission.attempt import Attempt
from lendrail.submission.channels import Channels
from lendrail.submission.documents import Documents, Undeliverable
from lendrail.submission.job import Job
from lendrail.submission.store import stored_request

log = structlog.get_logger()


class Unsendable(Exception):
    """No request can be made for this attempt; `reason` is a stable code."""

    def __init__(self, attempt: Attempt, reason: str) -> None:
        super().__init__(reason)
        self.attempt, self.reason = attempt, reason


def made(attempt: Attempt, make: Callable[[], Request]) -> Request:
    """Raises `Unsendable` for whatever a mapping may raise: it must not stop the others."""
    try:
        return make()
    except Exception as error:
        log.error("a mapping failed", attempt=attempt.id, exc_info=error)
        raise Unsendable(attempt, "request-failed") from None


class Requests:
    """Makes the request of a call; documents come from the service that keeps them."""

    def __init__(self, channels: Channels, documents: Documents) -> None:
        self._channels, self._documents = channels, documents

    async def make(self, job: Job, batch: Sequence[Attempt]) -> Request:
        """Raises `Unsendable`, `DocumentsAway`."""
        opportunity, client = job.opportunity, self._channels.internal[job.lane]
        if batch[0].operation == "create":
            return made(batch[0], lambda: stored_request(job.document, batch[0], job.key))
        files = []
        for each in batch:
            try:
                ref = DocumentRef.model_validate(each.document, context={"key": job.key})
                files.append(await self._documents.file(client, ref, job.delivery, job.key))
            except Undeliverable as fault:
                raise Unsendable(each, str(fault)) from None
        make, partner_id = job.partner.document, opportunity.partner_id
        assert make is not None
        assert partner_id is not None
        return made(batch[0], lambda: make(partner_id, tuple(files), opportunity.options))
