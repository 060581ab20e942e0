from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from lendrail.contracts.application import Application
from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.terms import FieldProblem, Reference, Time


class ApplicationReceived(ApplicationEvent):
    """Stored: this tenant wants finance.

    What comes through the REST door fits the schema. The Kafka intake has nobody to answer, so it passes on what does
    not
    fit too: then `application` is absent and `problems` say why, and validation rejects it.
    """

    topic: ClassVar[str] = "application-received"

    revision: int = 1
    door: Literal["rest", "kafka"]
    upstream: str
    received_at: Time
    application: Application | None = None
    references: tuple[Reference, ...] = ()
    problems: tuple[FieldProblem, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> ApplicationReceived:
        if self.application is None and not self.problems:
            raise ValueError("neither an application nor a problem")
        return self

    @property
    def entity(self) -> str:
        return str(self.application_id)

    @property
    def version(self) -> int:
        return self.revision
