"""The bytes of the next call: a creation's and a correction's as they were stored, a document's from its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from lendrail.contracts.terms import DocumentRef, Status
from lendrail.partners.exchange import Request
from lendrail.partners.partner import Partner
from lendrail.submission.attempt import APPLICANT, Attempt, Opportunity, reference
from lendrail.submission.channels import Channels
from lendrail.submission.documents import Documents, Undeliverable
from lendrail.submission.job import Job
from lendrail.submission.store import stored_request

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
        files = []
        for each in batch:
            try:
                ref = DocumentRef.model_validate(each.document, context={"key": job.key})
                files.append(await self._documents.file(client, ref, job.delivery, job.key))
            except Undeliverable as fault:
                raise Unsendable(each, str(fault)) from None
        make, partner_id = partner.document, opportunity.partner_id
        assert make is not None
        assert partner_id is not None
        return made(first, lambda: make(partner_id, tuple(files), opportunity.options))


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
