"""Who is told of an update, and of which ones.

Every version of the truth is told, since any change makes a new one, except the two that say only that we are at work:
`received` and `submitting` with nothing to add.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lendrail.contracts.notify import Notify
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import NAMESPACE, Mode, Status

Channel = Literal["webhook", "email", "kafka"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who waits: an endpoint of the tenant."""

    id: uuid.UUID
    channel: Channel


def mail_recipient(tenant: str, address: str) -> uuid.UUID:
    """The endpoint id of an address that stands in the tenants file."""
    return uuid.uuid5(NAMESPACE, f"email|{tenant}|{address.strip().lower()}")


def topic_recipient(tenant: str) -> uuid.UUID:
    """The endpoint id of a tenant's topic."""
    return uuid.uuid5(NAMESPACE, f"kafka|{tenant}")


def registered_endpoint(tenant: str, mode: Mode, idempotency_key: str) -> uuid.UUID:
    """The endpoint id of a registration: the same key is the same endpoint."""
    return uuid.uuid5(NAMESPACE, f"endpoint|{tenant}|{mode}|{idempotency_key}")


def is_told(update: StatusUpdated) -> bool:
    """Whether anybody hears of this version."""
    if update.status in (Status.RECEIVED, Status.SUBMITTING):
        return bool(update.flags or update.problems)
    return True


def notifies(update: StatusUpdated, recipients: Iterable[Recipient]) -> list[Notify]:
    """One event for each recipient; its id follows from entity, version and recipient."""
    if not is_told(update):
        return []
    return [
        Notify(
            tenant_id=update.tenant_id,
            mode=update.mode,
            application_id=update.application_id,
            endpoint_id=recipient.id,
            channel=recipient.channel,
            update=update,
        )
        for recipient in recipients
    ]
