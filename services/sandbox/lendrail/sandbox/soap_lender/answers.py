"""How the simulated lender answers: replies, typed faults, and the ways of a sloppy service."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.ledger import Effect, moment
from lendrail.sandbox.soap_lender import envelope
from lendrail.sandbox.soap_lender.books import Books, Entry, Matter
from lendrail.sandbox.soap_lender.envelope import FAULTS, MEDIA, SERVICES, Nodes, Version
from lendrail.sandbox.soap_lender.rules import Wrong
from lendrail.sandbox.soap_lender.security import UserSettings

MESSAGE_ID = "CustomersRequestMessageId"
ORIGINAL = "OriginalCustomersRequestMessageId"


@dataclass(slots=True)
class Done:
    """What an operation did."""

    nodes: Nodes
    effects: list[Effect] = field(default_factory=list)
    matter: str | None = None
    reference: str | None = None


class Answers:
    def __init__(self, settings: Mapping[str, UserSettings], books: Books) -> None:
        self._settings, self._books = settings, books

    def reply(self, call: Call, action: str, key: str, done: Done) -> Answer:
        version, matter = version_of(call), done.matter

        async def afterwards() -> None:
            if matter is not None and done.effects:
                self._books.schedule(matter)

        text = self.turned(call, self.payload(call, action, key, done))
        content = envelope.message(version, text)
        asked = next((each["units"] for each in done.effects if each["kind"] == "leads"), None)
        return Answer(200, content, done.effects, done.reference, matter, afterwards, media(version), asked=asked)

    def payload(self, call: Call, action: str, key: str, done: Done) -> str:
        head: list[tuple[str, Any]] = [
            (MESSAGE_ID, key),
            ("RequestMessageNumber", self._books.calls + 1),
            ("ProcessedByEnvironment", self._settings[call.user.user].environment),
            ("ProcessedDateTime", moment(call.wall)),
        ]
        return envelope.payload(f"{action}Response", [*head, *done.nodes])

    def turned(self, call: Call, text: str) -> str:
        """As a sloppy service would send it."""
        quirks = self._settings[call.user.user].quirks
        if "namespace-slash" in quirks:
            text = text.replace(f'"{SERVICES}"', f'"{SERVICES}/"')
        if "extra-element" in quirks:
            text = text.replace(">", '><Trace xmlns="urn:tracing">t-1</Trace>', 1)
        return text

    def typed(self, call: Call, name: str, text: str, more: Nodes) -> Answer:
        code = "Server" if name == "ServerFault" else "Client"
        return self.fault(call, code, text, self.detail(call, name, self._settings[call.user.user].environment, more))

    def detail(self, call: Call, name: str, environment: str, more: Nodes) -> str:
        number = f"ref-{self._books.calls + 1}"
        base = [("ErrorNumber", f"E-{name[:-5]}"), ("ErrorReferenceId", number)]
        return envelope.payload(name, [*base, ("ProcessedByEnvironment", environment or "gateway"), *more], FAULTS)

    def fault(self, call: Call, code: str, text: str, detail: str = "") -> Answer:
        status = 200 if "fault-200" in self._settings[call.user.user].quirks else 500
        version = version_of(call)
        return said(version, envelope.fault(version, code, text, detail), status)


def version_of(call: Call) -> Version:
    return "soap11" if call.request.url.path.endswith("soap11") else "soap12"


def media(version: Version) -> str:
    return f"{MEDIA[version]}; charset=utf-8"


def said(version: Version, content: bytes, status: int, reference: str | None = None) -> Answer:
    return Answer(status, content, reference=reference, media_type=media(version))


def groups(found: Sequence[Wrong]) -> tuple[str, Any]:
    """Grouped by the person or loan that they are about, or by the top element."""
    groups: dict[tuple[str, int], list[tuple[str, Any]]] = {}
    for each in found:
        part = re.match(r"(.*/(?:Person|ExistingLoan))\[([0-9]+)\]/?", each.path)
        element = (part[1], int(part[2])) if part else (each.path.partition("/")[0], 1)
        path = each.path[part.end() :] if part else each.path.partition("/")[2]
        error = [("ErrorNumber", each.number), ("ElementPath", path), ("ErrorMessage", each.text)]
        groups.setdefault(element, []).append(("ValidationError", error))
    return "ValidationErrorGroups", [
        (
            "ValidationErrorGroup",
            [("Element", element), ("SequenceNumber", number), ("ValidationErrors", errors)],
        )
        for (element, number), errors in groups.items()
    ]


def summary(matter: Matter) -> list[tuple[str, Any]]:
    return [
        ("ApplicationId", matter.id),
        (ORIGINAL, matter.reference),
        ("Status", matter.status),
        ("StatusChangedDateTime", matter.changed),
    ]


def mail(entry: Entry) -> list[tuple[str, Any]]:
    return [
        ("MessageNumber", entry.number),
        ("MessageType", "ApplicationStatusChanged"),
        ("AddedDateTime", entry.at),
        ("ApplicationId", entry.matter.id),
        (ORIGINAL, entry.matter.reference),
        ("Status", entry.status),
    ]
