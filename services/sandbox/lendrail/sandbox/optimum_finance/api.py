"""The routes of the simulated Optimum Finance and the operations behind them."""

import hashlib
import time
from collections.abc import Sequence

import orjson
from pydantic import SecretStr
from starlette.routing import Route

from lendrail.sandbox.desk import Answer, Call, Operation, plain_refusal
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect
from lendrail.sandbox.optimum_finance import decide
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.progress import Matter, Progress, State
from lendrail.sandbox.settings import Model, User

PREFIX = "/optimum-finance/api/v1/instant-decision"


class UserSettings(Model):
    """The `settings` of an introducer. `webhookUrl` may hold `{id}`. Company names are looked up by number: those not
    listed are called FAKE COMPANY <number> LTD."""

    introducer_id: SecretStr
    webhook_url: str | None = None
    sectors: tuple[str, ...] = ("Beer / Wine Merchant",)
    companies: dict[str, str] = {"00000000": "FAKE WINES LTD"}  # noqa: RUF012 - pydantic copies it
    decision_delay_ms: int = 1500
    """From the offer to the first news of the sale."""


class OptimumFinance:
    """One simulated partner (see `partner.Partner`); the ledger files an application under its company number."""

    operations = frozenset({"decide", "update", "webhook"})

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._settings = {user.user: UserSettings.model_validate(user.settings) for user in tools.users}
        self._users = {user.user: user for user in tools.users}
        self._progress = Progress(tools, self._webhook, "PUT")

    def routes(self) -> Sequence[Route]:
        desk = self._tools.desk
        decides = Operation("decide", self.decide, self._sign_in, _company_number)
        update = Operation("update", self.update, self._sign_in, self._of_id)
        return [
            Route(PREFIX + "/decide", desk.endpoint(decides), methods=["POST"]),
            Route(PREFIX + "/update", desk.endpoint(update), methods=["GET"]),
        ]

    def apply(self, record: Record) -> None:
        """Follower."""
        self._progress.apply(record)

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def _sign_in(self, call: Call) -> User | Answer:
        given = _parameters(call).get("introducerId")
        if given in (None, ""):
            return plain_refusal(401, "introducerId is required")
        known = (name for name, each in self._settings.items() if each.introducer_id.get_secret_value() == given)
        name = next(known, None)
        return self._users[name] if name else plain_refusal(401, "introducerId is not known")

    async def decide(self, call: Call) -> Answer:
        """Every call is decided, and an approval that is no quotation opens an opportunity, the same call twice too."""
        body, settings = _parameters(call), self._settings[call.user.user]
        if wrong := decide.complaint(body, settings.sectors):
            return Answer(400, {"message": wrong}, reference=_company_number(call))
        number, turnover = body["companyNumber"], body["turnover"]
        dial = self._tools.dials.take("outcome", call.operation, number, call.dials)
        outcome = decide.outcome_of(turnover, dial)
        decision = decide.decision(outcome, turnover, dial)
        told = {"decision": decision, "companyName": settings.companies.get(number, f"FAKE COMPANY {number} LTD")}
        kept = {name: value for name, value in body.items() if name != "introducerId"}
        effect: Effect = {
            "kind": "leads",
            "sha256": hashlib.sha256(call.body).hexdigest(),
            "body": kept,
            "decision": decision,
        }
        if outcome in decide.REASONS or body.get("quotationOnly"):
            return Answer(200, told, [effect], number, asked=turnover)
        opportunity, (first, *steps) = decide.opportunity_id(), decide.states(outcome, decision, turnover)
        effect |= {"id": opportunity, "state": first, "steps": steps, "due": self._due(call, number)}

        async def opened() -> None:
            self._progress.schedule(opportunity)

        return Answer(200, told | {"opportunityId": opportunity}, [effect], number, opportunity, opened, asked=turnover)

    def _due(self, call: Call, number: str) -> float:
        dial = self._tools.dials.take("decision_delay", call.operation, number, call.dials)
        return time.time() + (dial.ms if dial else self._settings[call.user.user].decision_delay_ms) / 1000

    async def update(self, call: Call) -> Answer:
        """How the sale stands; a dial `outcome` for this operation replaces the stage as long as it lasts."""
        matter = self._progress.find(call.user.user, str(_parameters(call).get("id")))
        if matter is None:
            return plain_refusal(404, "Not found")
        dial = self._tools.dials.take("outcome", call.operation, matter.reference, call.dials)
        state = matter.state | ({"status": dial.stage} if dial and dial.stage else {})
        return Answer(200, state, reference=matter.reference, lead_id=matter.id)

    def _of_id(self, call: Call) -> str | None:
        matter = self._progress.find(call.user.user, str(_parameters(call).get("id")))
        return matter.reference if matter else None

    def _webhook(self, matter: Matter) -> tuple[str, State] | None:
        url = self._settings[matter.user].webhook_url
        return (url.replace("{id}", matter.id), {"id": matter.id} | matter.state) if url else None


def _parameters(call: Call) -> State:
    """Of the body, or of the query of a GET."""
    query = dict(call.request.query_params) if call.request.method == "GET" else {}
    try:
        body = call.json if call.body else {}
    except orjson.JSONDecodeError:
        return query
    return query | body if isinstance(body, dict) else query


def _company_number(call: Call) -> str | None:
    number = _parameters(call).get("companyNumber")
    return number if isinstance(number, str) and number else None
