"""What tests of outcomes share: a topic that answers by plan, a tenant that has one, the consumer of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from lendrail.contracts.event import Record
from lendrail.runtime.topic_port import WRITTEN


class Topic:
    """A writer; `plan` says what comes of the n-th attempt."""

    def __init__(self, plan: Callable[[int], str] = lambda _: WRITTEN) -> None:
        self.plan = plan
        self.attempts: list[Record] = []
        self.written: list[Record] = []

    async def write(self, record: Record) -> str:
        self.attempts.append(record)
        outcome = self.plan(len(self.attempts))
        if outcome == WRITTEN:
            self.written.append(record)
        return outcome

    async def aclose(self) -> None: ...


def switch(folder: Path, *, on: bool, tenant: str = "demo", emails: bool = False) -> str:
    """Let the tenant of the tenants file have its topic, or no longer; its name."""
    file = folder / "tenants.json"
    content = json.loads(file.read_text())
    (one,) = content["tenants"]
    one |= {"id": tenant, "outcomes": on} | ({} if emails else {"emails": []})
    file.write_text(json.dumps(content))
    return f"outcomes-{tenant}"


def blocks(page: Path, language: str) -> list[str]:
    """The examples of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
