"""The two endpoints of the simulated SOAP lender and the operations behind them."""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.settings import User
from lendrail.sandbox.soap_lender import envelope
from lendrail.sandbox.soap_lender.answers import (
    MESSAGE_ID,
    ORIGINAL,
    Answers,
    Done,
    groups,
    mail,
    media,
    said,
    summary,
    version_of,
)
from lendrail.sandbox.soap_lender.books import Books, Matter
from lendrail.sandbox.soap_lender.envelope import MEDIA, SERVICES, BadMessage, Message
from lendrail.sandbox.soap_lender.rules import TooLong, Wrong, wrong
from lendrail.sandbox.soap_lender.security import Doorkeeper, Refused, UserSettings

PREFIX = "/soap-lender"
LARGEST_FILE = 5_000_000
BODY_LIMIT = 8_000_000
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


class SoapLender:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset({*NAMES.values(), "unknown"})

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._door = Doorkeeper(tools.users)
        self._books = Books(tools, dict(self._door.settings))
        self._say = Answers(self._door.settings, self._books)
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
            answer = self._handle(call, action)
            answer.reference = answer.reference or self._identify(call)
            return answer

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
        version = version_of(call)
        kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != MEDIA[version]:
            return Answer(415, {"message": "Unsupported Media Type"})
        try:
            message = envelope.read(call.body, version)
            user = self._door.admit(message, call.wall)
        except BadMessage as bad:
            return said(version, envelope.fault(version, bad.code, bad.text), 500)
        except Refused as refused:
            detail = self._say.detail(call, refused.detail, "", refused.more) if refused.detail else ""
            return said(version, envelope.fault(version, refused.code, refused.text, detail), 500)
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
                return self._say.fault(call, "Client", "the action and the body do not name one operation")
            key = message.text(MESSAGE_ID) or ""
            if not 0 < len(key) <= LONGEST_ID:
                raise Invalid(Wrong("Request/MessageId", "V-03", "is required, at most 100 characters"))
            if "server-fault" in settings.quirks:
                return self._say.typed(call, "ServerFault", "try again later", [("NotProcessed", "true")])
            answer = self._once(call, action, message, key) if action in CHANGING else self._say.reply(
                call, action, key, self._do[action](call, message)
            )  # fmt: skip
        except TooLong as too_long:
            more = [("ElementPath", too_long.path), ("MaximumLength", str(too_long.longest))]
            return self._say.typed(call, "StringLengthExceededFault", "a text is too long", more)
        except Invalid as invalid:
            return self._say.typed(call, "ValidationFault", "validation failed", [groups(invalid.found)])
        if "server-fault-after-work" in settings.quirks:
            failed = self._say.typed(call, "ServerFault", "something went wrong", [])
            answer.content, answer.status = failed.content, failed.status
        return answer

    def _once(self, call: Call, action: str, message: Message, key: str) -> Answer:
        """The first answer again for the same content under the same message id."""
        fingerprint = hashlib.sha256(envelope.canonical(message.payload)).hexdigest()
        kept = self._books.kept(call.user.user, action, key, call.wall)
        if kept is None:
            done = self._do[action](call, message)
            answer = self._say.reply(call, action, key, done)
            until = call.wall + self._settings(call).key_life_seconds
            told = {"operation": action, "key": key, "sha256": fingerprint, "until": until}
            answer.effects.append({"kind": "answers", **told, "payload": self._say.payload(call, action, key, done)})
            return answer
        if kept.sha256 != fingerprint:
            raise Invalid(Wrong(f"Request/{MESSAGE_ID}", "V-30", "was used for another message"))
        kind = "duplicates" if action == "SubmitApplication" else "repeats"
        effects: list[Effect] = [{"kind": kind, "operation": action, "key": key}]
        content = envelope.message(version_of(call), self._say.turned(call, kept.payload))
        return Answer(200, content, effects, kept.reference, kept.matter, media_type=media(version_of(call)))

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
        state = [*summary(matter), *extra, *elements]
        return Done([("Application", state)], [], matter.id, matter.reference)

    def _list(self, call: Call, message: Message) -> Done:
        found = self._books.listed(call.user.user, message.text(ORIGINAL))
        after, most = message.text("AfterApplicationId"), _most(message)
        places = [place for place, each in enumerate(found) if each.id == after]
        rest = found[places[0] + 1 :] if places else found
        shown = [("ApplicationSummary", summary(each)) for each in rest[:most]]
        counted = [("ApplicationCount", len(found)), ("MoreAvailable", len(rest) > most)]
        return Done([("ApplicationSummaries", shown), *counted])

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
        shown = [("Message", mail(each)) for each in found[:most]]
        return Done([("Messages", shown), ("MoreAvailable", len(found) > most)])

    def _acknowledge(self, call: Call, message: Message) -> Done:
        listed = message.element("MessageNumbers")
        texts = [(each.text or "").strip() for each in listed] if listed is not None else []
        if not texts or not all(re.fullmatch("[0-9]{1,18}", each, re.ASCII) for each in texts):
            raise Invalid(Wrong("Request/MessageNumbers", "V-04", "is invalid"))
        here = {each.number for each in self._books.mail(call.user.user, 0)}
        numbers = [int(each) for each in texts if int(each) in here]
        return Done([("AcknowledgedCount", len(numbers))], [{"kind": "acknowledged", "numbers": numbers}])

    def _settings(self, call: Call) -> UserSettings:
        return self._door.settings[call.user.user]


def _action(request: Request) -> str:
    """With or without quotes, as real services take it; SOAP 1.2 has it in the content type."""
    if request.url.path.endswith("soap11"):
        return request.headers.get("soapaction", "").strip().strip('"')
    found = re.search(r"action=\"?([^\";]*)", request.headers.get("content-type", ""))
    return found[1] if found else ""


def _most(message: Message) -> int:
    text = message.text("MaximumCount") or ""
    return min(int(text), MOST_LISTED) if re.fullmatch("[1-9][0-9]{0,8}", text, re.ASCII) else MOST_LISTED


def _body(application: Any) -> Effect:
    text = envelope.canonical(application)
    amount = Decimal(application.findtext(f"{{{SERVICES}}}Amount"))
    return {"units": int(amount), "sha256": hashlib.sha256(text).hexdigest(), "body": text.decode()}
