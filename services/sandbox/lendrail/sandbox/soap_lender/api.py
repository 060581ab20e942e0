"""The two endpoints of the simulated SOAP lender and the operations behind them."""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, moment
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.settings import User
from lendrail.sandbox.soap_lender import envelope
from lendrail.sandbox.soap_lender.books import Books, Matter
from lendrail.sandbox.soap_lender.envelope import FAULTS, MEDIA, SERVICES, BadMessage, Message, Nodes, Version
from lendrail.sandbox.soap_lender.rules import TooLong, Wrong, wrong
from lendrail.sandbox.soap_lender.security import Doorkeeper, Refused, UserSettings

PREFIX = "/soap-lender"
LARGEST_FILE = 5_000_000
BODY_LIMIT = 8_000_000
MESSAGE_ID = "CustomersRequestMessageId"
ORIGINAL = "OriginalCustomersRequestMessageId"
NAMES = {
    "Ping": "ping",
    "SubmitApplication": "submit",
    "GetApplication": "read",
    "ListApplications": "list",
    "UploadDocument": "document",
    "UpdateApplication": "update",
    "RetrieveMessages": "mailbox",
    "AcknowledgeMessages": "acknowledge",
}
"""What the dials and the ledger call them."""
CHANGING = frozenset({"SubmitApplication", "UploadDocument", "UpdateApplication", "AcknowledgeMessages"})
FINAL = frozenset({"Withdrawn", "Settled", "Lapsed"})
MOST_LISTED = 100
LONGEST_ID = 100
WITHDRAWAL_REASONS = frozenset({"Withdrawn", "Expired", "TakenElsewhere"})


class Invalid(Exception):
    def __init__(self, *found: Wrong) -> None:
        super().__init__(len(found))
        self.found = found


@dataclass(slots=True)
class Done:
    """What an operation did."""

    nodes: Nodes
    effects: list[Effect] = field(default_factory=list)
    matter: str | None = None
    reference: str | None = None


class SoapLender:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset({*NAMES.values(), "unknown"})

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._door = Doorkeeper(tools.users)
        self._books = Books(tools, dict(self._door.settings))
        self._do: dict[str, Callable[[Call, Message], Done]] = {
            "Ping": lambda _call, _message: Done([]),
            "SubmitApplication": self._submit,
            "GetApplication": self._get,
            "ListApplications": self._list,
            "UploadDocument": self._upload,
            "UpdateApplication": self._update,
            "RetrieveMessages": self._retrieve,
            "AcknowledgeMessages": self._acknowledge,
        }

    def routes(self) -> Sequence[Route]:
        known = {f"{SERVICES}/LoanSubmission/{action}": self._endpoint(name, action) for action, name in NAMES.items()}
        unknown = self._endpoint("unknown", "")

        async def serve(request: Request) -> Response:
            return await known.get(_action(request), unknown)(request)

        return [Route(f"{PREFIX}/{version}", serve, methods=["POST"]) for version in MEDIA]

    def _endpoint(self, name: str, action: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(call: Call) -> Answer:
            return self._handle(call, action)

        operation = Operation(name, handle, self._sign_in, self._identify, BODY_LIMIT)
        return self._tools.desk.endpoint(operation)

    def apply(self, record: Record) -> None:
        """Follower."""
        self._books.apply(record)

    def start(self) -> None:
        self._books.start()

    def stop(self) -> None:
        self._books.timers.stop()

    def _sign_in(self, call: Call) -> User | Answer:
        version = _version(call)
        kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != MEDIA[version]:
            return Answer(415, {"message": "Unsupported Media Type"})
        try:
            message = envelope.read(call.body, version)
            user = self._door.admit(message, call.wall)
        except BadMessage as bad:
            return _said(version, envelope.fault(version, bad.code, bad.text), 500)
        except Refused as refused:
            detail = self._detail(call, refused.detail, "", refused.more) if refused.detail else ""
            return _said(version, envelope.fault(version, refused.code, refused.text, detail), 500)
        call.request.state.message = message
        return user

    def _identify(self, call: Call) -> str | None:
        """For dials: the message id that brought the application."""
        message: Message = call.request.state.message
        if message.payload.tag == f"{{{SERVICES}}}SubmitApplication":
            return message.text(MESSAGE_ID)
        if original := message.text(ORIGINAL):
            return original
        matter = self._books.find(call.user.user, message.text("ApplicationId") or "")
        return matter.reference if matter else None

    def _handle(self, call: Call, action: str) -> Answer:
        """Nothing in it waits, so two calls with one message id cannot both be the first."""
        message: Message = call.request.state.message
        settings = self._settings(call)
        try:
            if not action or message.payload.tag != f"{{{SERVICES}}}{action}":
                return self._fault(call, "Client", "the action and the body do not name one operation")
            key = message.text(MESSAGE_ID) or ""
            if not 0 < len(key) <= LONGEST_ID:
                raise Invalid(Wrong("Request/MessageId", "V-03", "is required, at most 100 characters"))
            if "server-fault" in settings.quirks:
                return self._typed(call, "ServerFault", "try again later", [("NotProcessed", "true")])
            answer = self._once(call, action, message, key) if action in CHANGING else self._reply(
                call, action, key, self._do[action](call, message)
            )  # fmt: skip
        except TooLong as too_long:
            more = [("ElementPath", too_long.path), ("MaximumLength", str(too_long.longest))]
            return self._typed(call, "StringLengthExceededFault", "a text is too long", more)
        except Invalid as invalid:
            return self._typed(call, "ValidationFault", "validation failed", [_groups(invalid.found)])
        if "server-fault-after-work" in settings.quirks:
            failed = self._typed(call, "ServerFault", "something went wrong", [])
            answer.content, answer.status = failed.content, failed.status
        return answer

    def _once(self, call: Call, action: str, message: Message, key: str) -> Answer:
        """The first answer again for the same content under the same message id."""
        fingerprint = hashlib.sha256(envelope.canonical(message.payload)).hexdigest()
        kept = self._books.kept(call.user.user, action, key, call.wall)
        if kept is None:
            done = self._do[action](call, message)
            answer = self._reply(call, action, key, done)
            until = call.wall + self._settings(call).key_life_seconds
            told = {"operation": action, "key": key, "sha256": fingerprint, "until": until}
            answer.effects.append({"kind": "answers", **told, "payload": self._payload(call, action, key, done)})
            return answer
        if kept.sha256 != fingerprint:
            raise Invalid(Wrong(f"Request/{MESSAGE_ID}", "V-30", "was used for another message"))
        kind = "duplicates" if action == "SubmitApplication" else "repeats"
        effects: list[Effect] = [{"kind": kind, "operation": action, "key": key}]
        content = envelope.message(_version(call), self._turned(call, kept.payload))
        return Answer(200, content, effects, kept.reference, kept.matter, media_type=_media(_version(call)))

    # ---- the operations

    def _submit(self, call: Call, message: Message) -> Done:
        application = self._checked(call, message)
        reference = message.text(MESSAGE_ID) or ""
        number = self._books.new_id(call.user.user, reference)
        effect = {"kind": "leads", "leadId": number, "due": self._due(call, reference), **_body(application)}
        nodes = [("ApplicationId", number), ("Status", "Received")]
        return Done(nodes, [effect], number, reference)

    def _checked(self, call: Call, message: Message) -> Any:
        application, settings = message.element("Application"), self._settings(call)
        if application is None:
            raise Invalid(Wrong("Application", "V-03", "is required"))
        if found := wrong(application, settings.country, settings.currency):
            raise Invalid(*found)
        return application

    def _due(self, call: Call, reference: str) -> float:
        dial = self._tools.dials.take("decision_delay", call.operation, reference, call.dials)
        wait = dial.ms if dial else self._settings(call).decision_delay_ms
        return time.time() + float(wait) / 1000

    def _known(self, call: Call, message: Message) -> Matter:
        matter = self._books.find(call.user.user, message.text("ApplicationId") or "")
        if matter is None:
            raise Invalid(Wrong("Request/ApplicationId", "V-10", "is not known"))
        return matter

    def _get(self, call: Call, message: Message) -> Done:
        matter = self._known(call, message)
        elements = [(name, value) for name, value in matter.elements]
        if "missing-nillable" in self._settings(call).quirks:
            elements = [each for each in elements if each[1] is not None]
        extra = [("LoyaltyTier", "Gold")] if "extra-element" in self._settings(call).quirks else []
        state = [*_summary(matter), *extra, *elements]
        return Done([("Application", state)], [], matter.id, matter.reference)

    def _list(self, call: Call, message: Message) -> Done:
        found = self._books.listed(call.user.user, message.text(ORIGINAL))
        after, most = message.text("AfterApplicationId"), _most(message)
        places = [place for place, each in enumerate(found) if each.id == after]
        rest = found[places[0] + 1 :] if places else found
        shown = [("ApplicationSummary", _summary(each)) for each in rest[:most]]
        return Done([("ApplicationSummaries", shown), ("MoreAvailable", len(rest) > most)])

    def _upload(self, call: Call, message: Message) -> Done:
        matter, name = self._known(call, message), message.text("FileName") or ""
        if not name or len(name) > 200:
            raise Invalid(Wrong("Request/FileName", "V-03", "is required, at most 200 characters"))
        try:
            data = binascii.a2b_base64("".join((message.text("Content") or "").split()), strict_mode=True)
        except binascii.Error:
            raise Invalid(Wrong("Request/Content", "V-04", "is not base64")) from None
        if not data:
            raise Invalid(Wrong("Request/Content", "V-03", "is required"))
        if len(data) > LARGEST_FILE:
            raise TooLong("Request/Content", LARGEST_FILE)
        digest = hashlib.sha256(data).hexdigest()
        effect: Effect = {"kind": "attachments", "leadId": matter.id, "filename": name, "size": len(data)}
        effect |= {"sha256": digest, "documentType": message.text("DocumentType")}
        effect |= {"accepted": True, "due": self._due(call, matter.reference)}
        number = base64.b32encode(digest.encode())[:16].decode()
        return Done([("DocumentId", f"DOC-{number}")], [effect], matter.id, matter.reference)

    def _update(self, call: Call, message: Message) -> Done:
        matter, reason = self._known(call, message), message.text("WithdrawalReason")
        if matter.status in FINAL:
            raise Invalid(Wrong("Request/ApplicationId", "V-11", "is closed"))
        nodes: list[tuple[str, Any]] = [("ApplicationId", matter.id), ("RevisionNumber", matter.revision + 1)]
        effect: Effect = {"leadId": matter.id}
        if reason is None:
            effect |= {"kind": "updates", "due": self._due(call, matter.reference)}
            effect |= _body(self._checked(call, message))
        elif reason in WITHDRAWAL_REASONS:
            effect |= {"kind": "withdrawals", "reason": reason}
        else:
            raise Invalid(Wrong("Request/WithdrawalReason", "V-04", "is invalid"))
        return Done(nodes, [effect], matter.id, matter.reference)

    def _retrieve(self, call: Call, message: Message) -> Done:
        after, most = message.text("AfterMessageNumber") or "0", _most(message)
        found = self._books.mail(call.user.user, int(after) if re.fullmatch("[0-9]{1,18}", after, re.ASCII) else 0)
        shown = [
            (
                "Message",
                [
                    ("MessageNumber", each.number),
                    ("MessageType", "ApplicationStatusChanged"),
                    ("AddedDateTime", each.at),
                    ("ApplicationId", each.matter.id),
                    (ORIGINAL, each.matter.reference),
                    ("Status", each.status),
                ],
            )
            for each in found[:most]
        ]
        return Done([("Messages", shown), ("MoreAvailable", len(found) > most)])

    def _acknowledge(self, call: Call, message: Message) -> Done:
        listed = message.element("MessageNumbers")
        texts = [(each.text or "").strip() for each in listed] if listed is not None else []
        if not texts or not all(re.fullmatch("[0-9]{1,18}", each, re.ASCII) for each in texts):
            raise Invalid(Wrong("Request/MessageNumbers", "V-04", "is invalid"))
        here = {each.number for each in self._books.mail(call.user.user, 0)}
        numbers = [int(each) for each in texts if int(each) in here]
        return Done([("AcknowledgedCount", len(numbers))], [{"kind": "acknowledged", "numbers": numbers}])

    # ---- answers

    def _settings(self, call: Call) -> UserSettings:
        return self._door.settings[call.user.user]

    def _reply(self, call: Call, action: str, key: str, done: Done) -> Answer:
        version, matter = _version(call), done.matter

        async def afterwards() -> None:
            if matter is not None and done.effects:
                self._books.schedule(matter)

        text = self._turned(call, self._payload(call, action, key, done))
        content = envelope.message(version, text)
        return Answer(200, content, done.effects, done.reference, matter, afterwards, _media(version))

    def _payload(self, call: Call, action: str, key: str, done: Done) -> str:
        head: list[tuple[str, Any]] = [
            (MESSAGE_ID, key),
            ("RequestMessageNumber", self._books.calls + 1),
            ("ProcessedByEnvironment", self._settings(call).environment),
            ("ProcessedDateTime", moment(call.wall)),
        ]
        return envelope.payload(f"{action}Response", [*head, *done.nodes])

    def _turned(self, call: Call, text: str) -> str:
        """As a sloppy service would send it."""
        quirks = self._settings(call).quirks
        if "namespace-slash" in quirks:
            text = text.replace(f'"{SERVICES}"', f'"{SERVICES}/"')
        if "extra-element" in quirks:
            text = text.replace(">", '><Trace xmlns="urn:tracing">t-1</Trace>', 1)
        return text

    def _typed(self, call: Call, name: str, text: str, more: Nodes) -> Answer:
        code = "Server" if name == "ServerFault" else "Client"
        return self._fault(call, code, text, self._detail(call, name, self._settings(call).environment, more))

    def _detail(self, call: Call, name: str, environment: str, more: Nodes) -> str:
        number = f"ref-{self._books.calls + 1}"
        base = [("ErrorNumber", f"E-{name[:-5]}"), ("ErrorReferenceId", number)]
        return envelope.payload(name, [*base, ("ProcessedByEnvironment", environment or "gateway"), *more], FAULTS)

    def _fault(self, call: Call, code: str, text: str, detail: str = "") -> Answer:
        status = 200 if "fault-200" in self._settings(call).quirks else 500
        version = _version(call)
        return _said(version, envelope.fault(version, code, text, detail), status, self._identify(call))


def _action(request: Request) -> str:
    """With or without quotes, as real services take it; SOAP 1.2 has it in the content type."""
    if request.url.path.endswith("soap11"):
        return request.headers.get("soapaction", "").strip().strip('"')
    found = re.search(r"action=\"?([^\";]*)", request.headers.get("content-type", ""))
    return found[1] if found else ""


def _version(call: Call) -> Version:
    return "soap11" if call.request.url.path.endswith("soap11") else "soap12"


def _media(version: Version) -> str:
    return f"{MEDIA[version]}; charset=utf-8"


def _said(version: Version, content: bytes, status: int, reference: str | None = None) -> Answer:
    return Answer(status, content, reference=reference, media_type=_media(version))


def _most(message: Message) -> int:
    text = message.text("MaximumCount") or ""
    return min(int(text), MOST_LISTED) if re.fullmatch("[1-9][0-9]{0,8}", text, re.ASCII) else MOST_LISTED


def _summary(matter: Matter) -> list[tuple[str, Any]]:
    return [
        ("ApplicationId", matter.id),
        (ORIGINAL, matter.reference),
        ("Status", matter.status),
        ("StatusChangedDateTime", matter.changed),
    ]


def _body(application: Any) -> Effect:
    text = envelope.canonical(application)
    amount = Decimal(application.findtext(f"{{{SERVICES}}}Amount"))
    return {"units": int(amount), "sha256": hashlib.sha256(text).hexdigest(), "body": text.decode()}


def _groups(found: Sequence[Wrong]) -> tuple[str, Any]:
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
