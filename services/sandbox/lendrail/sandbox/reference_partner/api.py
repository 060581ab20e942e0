"""The routes of the simulated reference partner: applications, their documents, addresses for webhooks.

An application is known by the caller's reference, which is its idempotency key and is kept for ever.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.routing import Route

from lendrail.sandbox.clients import Clients, ClientSettings
from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.journal import Record
from lendrail.sandbox.keys import Keys, fingerprint, remembered, replayed
from lendrail.sandbox.ledger import Effect
from lendrail.sandbox.outbound import Fetched
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.reference_partner import rules
from lendrail.sandbox.reference_partner.book import Book, Held, moment
from lendrail.sandbox.reference_partner.decide import asked_by

PREFIX = "/reference-partner"
LONGEST_KEY = 80
LARGEST_PAGE = 100
FILE_LIMIT = 70 * 1024 * 1024
"""Bytes of a body that carries a file of 50 MiB in Base64."""
CODES = {401: "unauthorized", 403: "forbidden", 404: "not-found", 413: "too-large", 429: "too-many-requests"}
Handle = Callable[[Call], Awaitable[Answer]]


class ReferenceSettings(ClientSettings):
    decision_delay_ms: int = 1500
    webhook_retry_seconds: tuple[float, ...] = (5, 30, 120, 600, 1800, 3600, 7200)
    """Between attempts until one is answered with 2xx: as published, about four hours."""


class ReferencePartner:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset({"create", "read", "index", "update", "document", "accept", "webhook", "token"})

    def __init__(self, tools: Tools) -> None:
        self._tools, self._keys = tools, Keys()
        self._settings = {user.user: ReferenceSettings.model_validate(user.settings) for user in tools.users}
        self._clients = Clients(tools.users, self._settings, problem)
        retries = {name: settings.webhook_retry_seconds for name, settings in self._settings.items()}
        self._book = Book(tools, retries)

    def routes(self) -> Sequence[Route]:
        token = Operation("token", self._clients.token, self._clients.by_secret, lambda call: None)
        return [
            self._route("/v1/applications", "POST", "create", self.create),
            self._route("/v1/applications", "GET", "index", self.index),
            self._route("/v1/applications/{id}", "GET", "read", self.read),
            self._route("/v1/applications/{id}", "PUT", "update", self.update),
            self._route("/v1/applications/{id}/documents", "POST", "document", self.document),
            self._route("/v1/applications/{id}/accept", "POST", "accept", self.accept),
            self._route("/v1/webhooks", "POST", "webhook", self.webhook),
            Route(PREFIX + "/oauth/token", self._tools.desk.endpoint(token), methods=["POST"]),
        ]

    def _route(self, path: str, method: str, name: str, handle: Handle) -> Route:
        limit = FILE_LIMIT if name == "document" else 2 * 1024 * 1024
        operation = Operation(name, handle, self._clients.sign_in, self._reference, limit, refusal=problem)
        return Route(PREFIX + path, self._tools.desk.endpoint(operation), methods=[method])

    def _reference(self, call: Call) -> str | None:
        """For dials, and for the ledger's order."""
        if (held := self._held(call)) is not None:
            return held.reference
        return call.request.headers.get("idempotency-key") or call.request.query_params.get("reference")

    def _held(self, call: Call) -> Held | None:
        application_id = call.request.path_params.get("id")
        return self._book.find(call.user.user, application_id) if application_id else None

    def apply(self, record: Record) -> None:
        """Follower."""
        self._keys.apply(record)
        self._book.apply(record)

    def start(self) -> None:
        self._book.start()

    def stop(self) -> None:
        self._book.stop()

    def _before(self, call: Call) -> Answer | None:
        """What was answered to this key before, or why it cannot be used; None: it is new."""
        key = call.request.headers.get("idempotency-key", "")
        if not 1 <= len(key) <= LONGEST_KEY:
            return problem(400, f"Idempotency-Key must have 1 to {LONGEST_KEY} characters", "key-missing")
        if (kept := self._keys.seen(call, key)) is None:
            return None
        same = kept.sha256 == fingerprint(call)
        return replayed(kept) if same else problem(409, "the key was used for another request", "key-reused")

    def _once(self, call: Call, perform: Callable[[str], Answer]) -> Answer:
        """What is done under a key is kept for ever, refusals are not."""
        if (before := self._before(call)) is not None:
            return before
        key = call.request.headers["idempotency-key"]
        answer = perform(key)
        if answer.status < 300:
            answer.effects.append(remembered(call, key, answer, None))
        return answer

    async def create(self, call: Call) -> Answer:
        """201 with the state; every fault at once else."""
        if (body := _json(call)) is None:
            return problem(400, "the body is not JSON", "malformed")

        def perform(key: str) -> Answer:
            if faults := rules.application(body):
                return invalid(faults)
            name = f"{self._tools.ledger.salt}\0{call.user.user}\0{key}".encode()
            application_id = "app_" + base64.b32encode(hashlib.sha256(name).digest()[:15]).decode().lower()
            said = {"status": "submitted", "statusAt": moment(call.wall)}
            effect = {"kind": "leads", "id": application_id, "said": said, "due": self._due(call, key), "body": body}

            async def begin() -> None:
                self._book.schedule(application_id)

            state = {"id": application_id, "reference": key} | said
            return Answer(201, state, [effect], key, application_id, begin, asked=asked_by(body))

        return self._once(call, perform)

    def _due(self, call: Call, reference: str) -> float:
        dial = self._tools.dials.take("decision_delay", "create", reference, call.dials)
        wait = dial.ms if dial else self._settings[call.user.user].decision_delay_ms
        return call.wall + float(wait) / 1000

    async def read(self, call: Call) -> Answer:
        held = self._held(call)
        return problem(404, "no such application") if held is None else _state(held)

    async def index(self, call: Call) -> Answer:
        """Pages in the order in which applications came; `reference` leaves the one of that name."""
        query = call.request.query_params
        try:
            size, first = int(query.get("pageSize", LARGEST_PAGE)), int(query.get("pageToken", "0"))
        except ValueError:
            size, first = 0, 0
        if not 1 <= size <= LARGEST_PAGE or first < 0:
            return problem(400, "pageSize must be 1 to 100, pageToken one that was given", "malformed")
        wanted = query.get("reference")
        known = [each for each in self._book.of(call.user.user) if wanted in (None, each.reference)]
        page = known[first : first + size]
        names = ("id", "reference", "status", "statusAt")
        content: dict[str, Any] = {"applications": [{name: each.state[name] for name in names} for each in page]}
        if first + size < len(known):
            content["nextPageToken"] = str(first + size)
        return Answer(200, content, reference=wanted)

    async def update(self, call: Call) -> Answer:
        """The whole application once more; the same as it is changes nothing, another one is looked at anew."""
        if (held := self._held(call)) is None:
            return problem(404, "no such application")
        if held.closed:
            return problem(409, "the application is closed", "closed")
        if faults := rules.application(body := _json(call)):
            return invalid(faults)
        if body == held.application:
            return _state(held)
        return self._anew(call, held, {"kind": "updates", "body": body}, 200)

    def _anew(self, call: Call, held: Held, effect: Effect, status: int, content: Any = None) -> Answer:
        said = {"status": "in-review", "statusAt": moment(call.wall)}
        about = {"id": held.id, "said": said, "due": self._due(call, held.reference)}

        async def begin() -> None:
            self._book.schedule(held.id)

        state = {"id": held.id, "reference": held.reference} | said
        return Answer(status, content or state, [effect | about], held.reference, held.id, begin)

    async def document(self, call: Call) -> Answer:
        """By its bytes or by a link that is followed at once; one that was wanted leads to a new decision."""
        if (held := self._held(call)) is None:
            return problem(404, "no such application")
        if (before := self._before(call)) is not None:
            return before
        if held.closed:
            return problem(409, "the application is closed", "closed")
        body = _json(call)
        if faults := rules.document(body):
            return invalid(faults)
        file, how = await self._file(body), "url" if "link" in body else "base64"
        if file.error is not None:
            return invalid([rules.fault("/link", "unreachable", "could not be fetched")])

        def perform(key: str) -> Answer:
            document_id = "doc_" + hashlib.sha256(f"{held.id}\0{key}".encode()).hexdigest()[:24]
            content = {"id": document_id, "name": body["name"], "kind": body["kind"]}
            content |= {"sha256": file.sha256, "size": file.size}
            effect = {"kind": "attachments", "id": held.id, "filename": body["name"], "how": how}
            effect |= {"tags": [body["kind"]], "sha256": file.sha256, "size": file.size, "accepted": True}
            if held.outcome == "missing":
                return self._anew(call, held, effect, 201, content)
            return Answer(201, content, [effect | {"due": None}], held.reference, held.id)

        return self._once(call, perform)

    async def _file(self, body: dict[str, Any]) -> Fetched:
        if "link" in body:
            return await self._tools.outbound.fetch(body["link"])
        data = rules.content(body) or b""
        return Fetched(hashlib.sha256(data).hexdigest(), len(data))

    async def accept(self, call: Call) -> Answer:
        """One offer of an approved application; a second one finds nothing on offer."""
        if (held := self._held(call)) is None:
            return problem(404, "no such application")
        if (before := self._before(call)) is not None:
            return before
        if held.closed:
            return problem(409, "the application is closed", "closed")
        if faults := rules.acceptance(body := _json(call)):
            return invalid(faults)
        if (offer := _on_offer(held, body)) is None:
            return problem(409, "there is no such offer", "not-on-offer")

        def perform(key: str) -> Answer:
            effect = self._book.accepted(held, offer, call.wall, call.dials)

            async def begin() -> None:
                self._book.tell(effect["planned"])
                self._book.schedule(held.id)

            state = {"id": held.id, "reference": held.reference} | effect["said"]
            return Answer(200, state, [effect], held.reference, held.id, begin)

        return self._once(call, perform)

    async def webhook(self, call: Call) -> Answer:
        """The same address again replaces its secret."""
        body = _json(call)
        if faults := rules.webhook(body):
            return invalid(faults)
        name = f"{call.user.user}\0{body['url']}".encode()
        content = {"id": "whk_" + hashlib.sha256(name).hexdigest()[:24], "url": body["url"]}
        return Answer(201, content, [{"kind": "registrations", "url": body["url"], "secret": body.get("secret")}])


def problem(status: int, detail: str, code: str | None = None, **more: Any) -> Answer:
    """RFC 9457 problem details."""
    body = {"type": "about:blank", "title": "The request was refused", "status": status, "detail": detail}
    return Answer(status, body | {"code": code or CODES[status]} | more, media_type="application/problem+json")


def invalid(faults: list[rules.Fault]) -> Answer:
    return problem(422, f"{len(faults)} fields are not as they should be", "invalid", errors=faults)


def _on_offer(held: Held, body: dict[str, Any]) -> dict[str, Any] | None:
    if held.said["status"] != "approved":
        return None
    wanted = body["offerId"], body.get("variant")
    offers: list[dict[str, Any]] = held.said["offers"]
    return next((each for each in offers if (each["id"], each.get("variant")) == wanted), None)


def _state(held: Held) -> Answer:
    return Answer(200, held.state, reference=held.reference, lead_id=held.id)


def _json(call: Call) -> Any:
    try:
        return call.json
    except ValueError:
        return None
