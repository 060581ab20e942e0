from __future__ import annotations

import uuid
from typing import ClassVar, Literal

from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.status_updated import StatusUpdated


class Notify(ApplicationEvent):
    """Tell this recipient this."""

    topic: ClassVar[str] = "notify"

    endpoint_id: uuid.UUID
    channel: Literal["webhook", "email", "kafka"]
    update: StatusUpdated

    @property
    def entity(self) -> str:
        return self.update.entity

    @property
    def version(self) -> int:
        return self.update.version

    @property
    def recipient(self) -> str:
        return str(self.endpoint_id)

    @property
    def key(self) -> str:
        return str(self.endpoint_id)
