"""The routes of the simulated Forward Financing and the operations behind them."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from starlette.routing import Route

from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.forward_financing import decide, lead
from lendrail.sandbox.forward_financing.attachments import Attachments
from lendrail.sandbox.forward_financing.deals import Deals
from lendrail.sandbox.forward_financing.users import Users
from lendrail.sandbox.journal import Record
from lendrail.sandbox.outbound import is_web_url
from lendrail.sandbox.partner import Tools

PREFIX = "/forward-financing"
FILE_LIMIT = 50 * 1024 * 1024
DUPLICATE = {"message": "Reference ID is not unique."}
SAMPLE_DUPLICATE = "THIS_ISNT_UNIQUE"
"""The documentation's sample for the duplicate answer lacks the address and still gets that answer, no field error."""
TRIGGER_INCOMPLETE = {"message": "Please provide lead_id, webhook_url and event_type"}


class ForwardFinancing:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset({"lead", "attachment", "deal_status", "webhook", "trigger_webhook", "token"})

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._users = Users(tools.users)
        revisions = {name: settings.replies for name, settings in self._users.settings.items()}
        self._deals = Deals(tools, revisions)
        self._attachments = Attachments(self._deals, tools.outbound, self._due)

    def routes(self) -> Sequence[Route]:
        """The hottest first: Starlette tries them in order."""
        users, files = self._users, self._attachments
        by_body, nothing = _json_reference, _no_reference
        token = Operation("token", users.token, users.by_password, nothing, counts_for_pace=_tokens_count)
        return [
            self._route("/v1/lead", "POST", Operation("lead", self.lead, users.sign_in, by_body)),
            self._route(
                "/v1/attachment", "POST", Operation("attachment", files.one, users.sign_in, files.reference, FILE_LIMIT)
            ),
            self._route(
                "/v1/deal_status/{lead_id}",
                "GET",
                Operation("deal_status", self.deal_status, users.sign_in, self._of_path),
            ),
            self._route("/v1/attachments", "POST", Operation("attachment", files.bulk, users.sign_in, files.reference)),
            self._route("/v1/webhook", "POST", Operation("webhook", self.webhook, users.sign_in, nothing)),
            self._route(
                "/v1/trigger_webhook", "POST", Operation("trigger_webhook", self.trigger, users.sign_in, nothing)
            ),
            self._route("/application/o/token/", "POST", token),
            self._route("/application/o/token", "POST", token),
        ]

    def _route(self, path: str, method: str, operation: Operation) -> Route:
        return Route(PREFIX + path, self._tools.desk.endpoint(operation), methods=[method])

    def apply(self, record: Record) -> None:
        """Follower."""
        self._deals.apply(record)

    def start(self) -> None:
        self._deals.start()

    def stop(self) -> None:
        self._deals.stop()

    async def lead(self, call: Call) -> Answer:
        """201 with the id, 422 with every fault at once, or the documented duplicate."""
        try:
            content = call.json
        except ValueError:
            return Answer(422, {"errors": {"base": ["is not valid JSON"]}})
        user, reference = call.user.user, lead.reference_of(content)
        known = reference is not None and self._deals.known(user, reference)
        errors = lead.errors_in(content, self._users.settings[user].vocabulary, datetime.now(UTC).date())
        if reference == SAMPLE_DUPLICATE and (known or errors):
            errors, known = {}, True
        if errors:
            return Answer(422, {"errors": errors}, reference=reference)
        assert reference is not None, "a lead without errors has a reference"
        if known:
            return Answer(422, DUPLICATE, [_body_effect("duplicates", call)], reference)
        return self._accept(call, reference, lead.dollars(content))

    def _accept(self, call: Call, reference: str, dollars: int) -> Answer:
        lead_id = decide.lead_id(self._tools.ledger.salt, call.user.user, reference)
        effect = _body_effect("leads", call)
        effect |= {"leadId": lead_id, "dollars": dollars, "decisionDue": self._due(call, reference)}

        async def arrived() -> None:
            await self._deals.arrived(lead_id)

        content = {"message": "Your lead was successfully created.", "id": lead_id}
        return Answer(201, content, [effect], reference, lead_id, arrived, asked=dollars)

    def _due(self, call: Call, reference: str) -> float:
        """When the next decision falls: the user's setting, or a dial, counted from now."""
        dial = self._tools.dials.take("decision_delay", call.operation, reference, call.dials)
        wait = dial.ms if dial else self._users.settings[call.user.user].decision_delay_ms
        return time.time() + float(wait) / 1000

    async def deal_status(self, call: Call) -> Answer:
        """404 for an id that is unknown or another user's (the documentation does not say)."""
        deal = self._deals.find(call.user.user, call.request.path_params["lead_id"])
        if deal is None:
            return Answer(404, {"message": "Not Found"})
        return Answer(200, dict(deal.status), reference=deal.reference, lead_id=deal.lead_id)

    def _of_path(self, call: Call) -> str | None:
        deal = self._deals.find(call.user.user, call.request.path_params["lead_id"])
        return deal.reference if deal else None

    async def webhook(self, call: Call) -> Answer:
        """Registers an address; it stays registered over restarts."""
        url = _object(call).get("webhook_url")
        if not is_web_url(url):
            return Answer(422, {"errors": {"webhook_url": ["is not a valid URL"]}})
        return Answer(200, {"success": True}, [{"kind": "registrations", "url": url}])

    async def trigger(self, call: Call) -> Answer:
        """Sends one webhook as asked, for any lead id, so that a customer can test its receiver."""
        given = _object(call)
        url, lead_id, name = (given.get(key) for key in ("webhook_url", "lead_id", "event_type"))
        if not (url and lead_id and name) or not isinstance(lead_id, str | int) or not isinstance(name, str):
            return Answer(400, TRIGGER_INCOMPLETE)
        if not isinstance(url, str) or not is_web_url(url):
            return Answer(422, {"errors": {"webhook_url": ["is not a valid URL"]}})
        planned = self._tools.outbound.plan(url, {"lead_id": str(lead_id), "event_type": name}, None)

        async def send() -> None:
            self._tools.outbound.send(planned)

        effect = {"kind": "triggers", "planned": [planned]}
        return Answer(200, {"message": "Webhook trigger successful"}, [effect], lead_id=str(lead_id), afterwards=send)


def _body_effect(kind: str, call: Call) -> dict[str, object]:
    """The body as it came (line feeds between tokens aside, which the ledger's lines cannot hold), and its hash."""
    body = call.body if b"\n" not in call.body and b"\r" not in call.body else orjson.dumps(call.json)
    return {"kind": kind, "sha256": hashlib.sha256(call.body).hexdigest(), "body": orjson.Fragment(body)}


def _object(call: Call) -> dict[str, object]:
    try:
        content = call.json
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _json_reference(call: Call) -> str | None:
    return lead.reference_of(_object(call))


def _no_reference(_call: Call) -> None:
    return None


def _tokens_count(user: object) -> bool:
    limit = getattr(user, "rate_limit", None)
    return limit is not None and limit.count_tokens
