"""The bytes of the next call: a creation's and a correction's as they were stored, a document's from its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx
import structlog

from lendrail.contracts.terms import DocumentRef, Status
from lendrail.partners.exchange import Delivery, File, Request
from lendrail.partners.partner import Partner
from lendrail.submission.attempts.attempt import APPLICANT, Attempt, Opportunity, reference
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.documents import Documents, Undeliverable
from lendrail.submission.sending.job import Job
from lendrail.submission.store import stored_request, stored_requests

log = structlog.get_logger()
STORED = frozenset({"create", "supplement", "update"})
"""Operations whose bytes were fixed when they were planned."""


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

    def search(self, job: Job, attempt: Attempt) -> Request:
        """Whether the partner has our reference. Raises `Unsendable`."""
        search = job.partner_of(attempt).search
        assert search is not None
        return made(attempt, lambda: search(reference(attempt), job.opportunity.options))

    async def make(self, job: Job, batch: Sequence[Attempt]) -> Request:
        """Raises `Unsendable`, `DocumentsAway`."""
        opportunity, client = job.opportunity, self._channels.internal[job.lane]
        first, partner = batch[0], job.partner_of(batch[0])
        if first.operation in STORED:
            return made(first, lambda: stored_request(job.document, first, job.key))
        if first.operation in ("finance", "withdraw", "accept"):
            return made(first, lambda: _ending(first, partner, opportunity))
        if first.in_thread:
            return await self._follow_up(job, first, client)
        files = [await self._file(job, each, job.delivery, client) for each in batch]
        make, partner_id = partner.document, opportunity.partner_id
        assert make is not None
        assert partner_id is not None
        return made(first, lambda: make(partner_id, tuple(files), opportunity.options))

    async def _file(self, job: Job, attempt: Attempt, delivery: Delivery, client: httpx.AsyncClient) -> File:
        try:
            ref = DocumentRef.model_validate(attempt.document, context={"key": job.key})
            return await self._documents.file(client, ref, delivery, job.key)
        except Undeliverable as fault:
            raise Unsendable(attempt, str(fault)) from None

    async def _follow_up(self, job: Job, attempt: Attempt, client: httpx.AsyncClient) -> Request:
        """In the thread of the creation, whose bytes were kept."""
        opportunity, partner = job.opportunity, job.partner_of(attempt)
        create, thread, options = opportunity.create, partner.thread, opportunity.options
        assert create is not None
        assert thread is not None
        file = await self._file(job, attempt, thread.delivery(options), client)

        def follow() -> Request:
            first, *_ = stored_requests(job.document, create, job.key)
            request = thread.document(first, file, reference(attempt), options, job.now)
            return partner.again(request) if partner.again and _tried(attempt, opportunity) else request

        return made(attempt, follow)


def _tried(attempt: Attempt, opportunity: Opportunity) -> bool:
    """Whether a person has it sent again that may be there."""
    return any(each.tries and reference(each) == reference(attempt) for each in opportunity.attempts if each != attempt)


def _ending(attempt: Attempt, partner: Partner, opportunity: Opportunity) -> Request:
    """Tell how it ended: at a registry that the money flowed, at a lender what the applicant decided."""
    partner_id, options = opportunity.partner_id, opportunity.options
    assert partner_id is not None
    if attempt.operation == "finance":
        assert partner.finance is not None
        return partner.finance(partner_id, options)
    if attempt.operation == "accept":
        assert partner.accept is not None
        return partner.accept(partner_id, attempt.subject, attempt.variant, options)
    assert partner.withdraw is not None
    why = Status.WITHDRAWN.value if attempt.subject == APPLICANT else attempt.subject
    return partner.withdraw(partner_id, why, options)
