from __future__ import annotations

from typing import ClassVar

from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.terms import FieldProblem, Reference, Time


class ApplicationRejected(ApplicationEvent):
    """The application is not sound at this revision: every problem at once, field by field."""

    topic: ClassVar[str] = "application-rejected"

    revision: int
    received_at: Time
    references: tuple[Reference, ...] = ()
    problems: tuple[FieldProblem, ...]

    @property
    def entity(self) -> str:
        return str(self.application_id)

    @property
    def version(self) -> int:
        return self.revision
