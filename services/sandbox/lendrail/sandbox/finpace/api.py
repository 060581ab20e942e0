"""The routes of the simulated Finpace: a party, a draft for it, its submission for decisioning, webhook subscriptions.

Every call carries an idempotency key; what was done under it is done once, for as long as the key is kept. The ledger
files all calls of one application under the caller's `X-Correlation-Id`.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import orjson
from pydantic import Field
from starlette.routing import Route

from lendrail.sandbox.clients import Clients, ClientSettings
from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.finpace import rules
from lendrail.sandbox.finpace.decide import STATUSES, decision, identity, outcome_of
from lendrail.sandbox.journal import Record
from lendrail.sandbox.keys import Keys, fingerprint, remembered, replayed
from lendrail.sandbox.ledger import Effect, event
from lendrail.sandbox.outbound import is_web_url
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.timers import Timers

PREFIX = "/finpace"
EVENT = "credit.decision.completed"
LONGEST_KEY = 80
Perform = Callable[[Call, dict[str, Any], str], Answer]
"""(call, body, idempotency key) → the answer, the first time."""


class FinpaceSettings(ClientSettings):
    """How long keys are kept and what a reused one is answered with are not published."""

    decide_at_once: bool = False
    decision_delay_ms: int = 1500
    key_seconds: float = Field(default=86_400, gt=0)
    conflict_status: Literal[409, 422] = 409
    facility_types: tuple[str, ...] = ("working-capital",)
    signature_header: str = "X-Finpace-Signature"


class Finpace:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset({"parties", "sme-loan-applications", "submit", "webhook-subscriptions", "token"})

    def __init__(self, tools: Tools) -> None:
        self._tools, self._keys, self._timers = tools, Keys(), Timers(self._decide)
        self._settings = {user.user: FinpaceSettings.model_validate(user.settings) for user in tools.users}
        self._clients = Clients(tools.users, self._settings, problem)
        self._parties: dict[str, str] = {}
        self._applications: dict[str, dict[str, Any]] = {}
        self._subscriptions: dict[str, dict[str, Effect]] = {}

    def routes(self) -> Sequence[Route]:
        token = Operation("token", self._clients.token, self._clients.by_secret, lambda call: None)
        return [
            self._route("/v1/parties", "parties", self.party),
            self._route("/v1/sme-loan-applications", "sme-loan-applications", self.draft),
            self._route("/v1/sme-loan-applications/{id}/submit", "submit", self.submit),
            self._route("/v1/webhook-subscriptions", "webhook-subscriptions", self.subscribe),
            Route(PREFIX + "/oauth/token", self._tools.desk.endpoint(token), methods=["POST"]),
        ]

    def _route(self, path: str, name: str, perform: Perform) -> Route:
        async def handle(call: Call) -> Answer:
            return self._once(call, perform)

        operation = Operation(name, handle, self._clients.sign_in, _reference, refusal=problem)
        return Route(PREFIX + path, self._tools.desk.endpoint(operation), methods=["POST"])

    def apply(self, record: Record) -> None:
        """Follower."""
        self._keys.apply(record)
        for effect in record.get("effects", ()):
            match effect["kind"]:
                case "parties":
                    self._parties[effect["partyId"]] = record["user"]
                case "drafts":
                    about = {"user": record["user"], "reference": record["reference"], "due": None}
                    self._applications[effect["body"]["applicationId"]] = effect["body"] | about
                case "leads":
                    self._applications[effect["applicationId"]] |= {"status": "in-underwriting", "due": effect["due"]}
                case "decisions":
                    known = self._applications[effect["applicationId"]]
                    known |= {"due": None, "status": effect["status"]}
                case "registrations":
                    self._subscriptions.setdefault(record["user"], {})[effect["url"]] = effect

    def start(self) -> None:
        for name, application in self._applications.items():
            if application["due"] is not None:
                self._timers.set(name, application["due"])

    def stop(self) -> None:
        self._timers.stop()

    def _once(self, call: Call, perform: Perform) -> Answer:
        """The original answer for a key that is kept; a refusal is not kept."""
        key, settings = call.request.headers.get("idempotency-key", ""), self._settings[call.user.user]
        if not key or len(key) > LONGEST_KEY:
            return problem(400, f"Idempotency-Key must have 1 to {LONGEST_KEY} characters", "IDEMPOTENCY_KEY")
        if (kept := self._keys.seen(call, key)) is not None:
            if kept.sha256 == fingerprint(call):
                return replayed(kept)
            return problem(settings.conflict_status, "the key was used for another request", "IDEMPOTENCY_CONFLICT")
        try:
            body = call.json
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return problem(400, "the body must be a JSON object", "MALFORMED")
        answer = perform(call, body, key)
        answer.reference = _reference(call)
        if answer.status < 300:
            answer.effects.append(remembered(call, key, answer, settings.key_seconds))
        return answer

    def party(self, call: Call, body: dict[str, Any], key: str) -> Answer:
        if faults := rules.party(body):
            return invalid(faults)
        party_id = identity("pty", self._tools.ledger.salt, str(len(self._parties)))
        content = {**body, "partyId": party_id, "status": "prospect", "createdAt": _moment(call.wall)}
        return Answer(201, content, [{"kind": "parties", "partyId": party_id, "body": body}])

    def draft(self, call: Call, body: dict[str, Any], key: str) -> Answer:
        faults = rules.draft(body, self._settings[call.user.user].facility_types)
        if not faults and self._parties.get(body["partyId"]) != call.user.user:
            faults = [rules.fault("partyId", "NOT_FOUND", "must exist")]
        if faults:
            return invalid(faults)
        application_id = identity("smeapp", self._tools.ledger.salt, str(len(self._applications)))
        content = {**body, "applicationId": application_id, "status": "draft", "stage": "intake"}
        content |= {"decisionMode": body.get("decisionMode", "automated"), "createdAt": _moment(call.wall)}
        return Answer(201, content, [{"kind": "drafts", "body": content}], lead_id=application_id)

    def submit(self, call: Call, body: dict[str, Any], key: str) -> Answer:
        """202 with the application, its decision in it where that falls at once."""
        application_id = call.request.path_params["id"]
        application, settings = self._applications.get(application_id), self._settings[call.user.user]
        if application is None or application["user"] != call.user.user:
            return problem(404, "no such application", "NOT_FOUND")
        if application["status"] != "draft":
            return problem(409, "the application was submitted before", "INVALID_STATE")
        dial = self._tools.dials.take("decision_delay", call.operation, application["reference"], call.dials)
        due = call.wall + (dial.ms if dial else settings.decision_delay_ms) / 1000
        lead: Effect = {"kind": "leads", "applicationId": application_id, "due": due}
        content = {name: value for name, value in application.items() if name not in ("user", "reference", "due")}
        content |= {"status": "in-underwriting", "stage": "credit-review"}
        asked = int(Decimal(application["requestedAmount"]["amount"]))
        if settings.decide_at_once:
            lead["due"] = None
            decided = self._decision(application, call.operation, call.wall, call.dials)
            content |= {"status": decided["status"], "decision": decided["decision"]} if decided else {}
            return Answer(202, content, [lead, decided] if decided else [lead], lead_id=application_id, asked=asked)

        async def begin() -> None:
            self._timers.set(application_id, due)

        return Answer(202, content, [lead], lead_id=application_id, afterwards=begin, asked=asked)

    def subscribe(self, call: Call, body: dict[str, Any], key: str) -> Answer:
        if faults := rules.subscription(body, is_web_url):
            return invalid(faults)
        parts = self._tools.ledger.salt, call.user.user, key
        effect = {"kind": "registrations", "url": body["targetUrl"], "eventTypes": body["eventTypes"]}
        content = {"subscriptionId": identity("whs", *parts), "signingKeyId": identity("whk", *parts)}
        content |= {"eventTypes": body["eventTypes"], "targetUrl": body["targetUrl"], "status": "active"}
        content |= {"createdAt": _moment(call.wall)}
        return Answer(201, content, [effect | {"secret": body.get("secret")}])

    def _decision(self, application: dict[str, Any], operation: str, now: float, used: list[str]) -> Effect | None:
        dial = self._tools.dials.take("outcome", operation, application["reference"], used)
        outcome = outcome_of(application["requestedAmount"]["amount"], dial)
        if outcome is None:
            return None
        told = decision(application, outcome, _moment(now), dial)
        status = dial.stage if dial and dial.stage else STATUSES.get(outcome, "in-underwriting")
        about = {"applicationId": application["applicationId"], "status": status}
        return {"kind": "decisions", "user": application["user"], "decision": told, **about}

    async def _decide(self, application_id: str) -> None:
        """Record the decision with the webhooks that tell it, then send them."""
        application, used = self._applications[application_id], list[str]()
        if (decided := self._decision(application, "submit", time.time(), used)) is None:
            return
        planned = decided["planned"] = self._webhooks(application, decided["decision"], used)
        await self._tools.ledger.commit(event([decided], application["reference"], used))
        for webhook in planned:
            self._tools.outbound.send(webhook)

    def _webhooks(self, application: dict[str, Any], told: dict[str, Any], used: list[str]) -> list[Effect]:
        take, reference, user = self._tools.dials.take, application["reference"], application["user"]
        if take("webhook_lost", "webhook", reference, used):
            return []
        twice, late = (take(kind, "webhook", reference, used) for kind in ("webhook_duplicated", "webhook_late"))
        now = told["decidedAt"]
        body = {"eventId": identity("evt", told["decisionId"]), "eventType": EVENT, "occurredAt": now, "decision": told}
        return [
            self._tools.outbound.plan(
                each["url"], body, reference, late.ms if late else 0, headers=self._signed(user, each["secret"], body)
            )
            for each in self._subscriptions.get(user, {}).values()
            if EVENT in each["eventTypes"]
            for _ in range(twice.copies if twice else 1)
        ]

    def _signed(self, user: str, secret: str | None, body: dict[str, Any]) -> dict[str, str]:
        """HMAC-SHA256 of the body in hex: that it is an HMAC is published, the rest is not."""
        if not secret:
            return {}
        header = self._settings[user].signature_header
        return {header: hmac.new(secret.encode(), orjson.dumps(body), hashlib.sha256).hexdigest()}


def problem(status: int, detail: str, code: str = "REFUSED", **more: Any) -> Answer:
    """RFC 9457 problem details."""
    body = {"type": "about:blank", "title": "Request refused", "status": status, "code": code, "detail": detail}
    return Answer(status, body | more, media_type="application/problem+json")


def invalid(faults: list[rules.Fault]) -> Answer:
    return problem(422, f"{len(faults)} fields are invalid", "VALIDATION_FAILED", errors=faults)


def _reference(call: Call) -> str | None:
    return call.request.headers.get("x-correlation-id") or call.request.headers.get("idempotency-key")


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
