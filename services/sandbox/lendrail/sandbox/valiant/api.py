"""The routes of the simulated Valiant and the operations behind them."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import SecretStr
from starlette.routing import Route

from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.progress import Matter, Progress
from lendrail.sandbox.settings import Model, User
from lendrail.sandbox.valiant import lead

PREFIX = "/valiant/api/v1"
CONTENT_TYPE = "application/vnd.api+json"


class UserSettings(Model):
    """The `settings` of a referrer. `referenceField` is the attribute under which the ledger files a lead: the API
    has none of its own for a customer's reference."""

    uuid: str
    key: SecretStr
    secret: SecretStr
    reference_field: str = "utm_content"
    decision_delay_ms: int = 1500

    def signed(self) -> str:
        digest = hmac.digest(self.secret.get_secret_value().encode(), self.key.get_secret_value().encode(), "sha256")
        return base64.b64encode(digest).decode()


def refusal(status: int, message: str) -> Answer:
    """JSON:API's error objects, but for those that the documentation shows empty."""
    if status in (400, 401):
        return Answer(status, media_type=CONTENT_TYPE)
    return Answer(status, {"errors": [{"status": str(status), "title": message}]}, media_type=CONTENT_TYPE)


class Valiant:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset({"authenticate", "create_lead", "read_lead", "options"})

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._settings = {user.user: UserSettings.model_validate(user.settings) for user in tools.users}
        self._users = {self._settings[user.user].uuid: user for user in tools.users}
        self._progress = Progress(tools, lambda _: None, "POST")

    def routes(self) -> Sequence[Route]:
        return [
            self._route("/leads", "POST", "create_lead", self.create),
            self._route("/leads/{lead_id}", "GET", "read_lead", self.read),
            self._route("/options/{name}", "GET", "options", self.options),
            self._route("/authenticate", "GET", "authenticate", self.authenticate),
        ]

    def _route(self, path: str, method: str, name: str, handle: Any) -> Route:
        operation = Operation(name, handle, self._sign_in, self._identify, refusal=refusal)
        return Route(PREFIX + path, self._tools.desk.endpoint(operation), methods=[method])

    def apply(self, record: Record) -> None:
        """Follower."""
        self._progress.apply(record)

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def _sign_in(self, call: Call) -> User | Answer:
        """Both headers, then the one content type that is served."""
        headers = call.request.headers
        user = self._users.get(headers.get("x-auth-id", ""))
        given = headers.get("x-auth-signed-key", "").encode("latin-1")
        if user is None or not hmac.compare_digest(self._settings[user.user].signed().encode(), given):
            return refusal(401, "Unauthorized")
        return user if headers.get("content-type") == CONTENT_TYPE else refusal(400, "Bad request")

    def _identify(self, call: Call) -> str | None:
        if call.operation == "create_lead":
            reference = _object(call).get(self._settings[call.user.user].reference_field)
            return reference if isinstance(reference, str) and reference else None
        matter = self._progress.find(call.user.user, call.request.path_params.get("lead_id", ""))
        return matter.reference if matter else None

    async def authenticate(self, call: Call) -> Answer:
        return Answer(200, media_type=CONTENT_TYPE)

    async def options(self, call: Call) -> Answer:
        values = lead.LISTS.get(call.request.path_params["name"])
        if values is None:
            return refusal(404, "Not found")
        content = [{"label": label, "value": value} for value, label in values.items()]
        return Answer(200, content, media_type=CONTENT_TYPE)

    async def create(self, call: Call) -> Answer:
        """Every sound call is a new lead, the same one twice too."""
        body, reference = _object(call), self._identify(call)
        if errors := lead.errors_in(body):
            return Answer(400, {"errors": errors}, reference=reference, media_type=CONTENT_TYPE)
        if lead.fails(body):
            return Answer(402, {"errors": [{"status": "402", "title": "Request failed"}]}, media_type=CONTENT_TYPE)
        dial = self._tools.dials.take("outcome", call.operation, reference, call.dials)
        delay = self._tools.dials.take("decision_delay", call.operation, reference, call.dials)
        wait = delay.ms if delay else self._settings[call.user.user].decision_delay_ms
        due, lead_id = time.time() + wait / 1000, lead.lead_id()
        first = lead.attributes(body, _moment(time.time()))
        changes = lead.decided(lead.outcome_of(body, dial), body, dial)
        effect: Effect = {"kind": "leads", "sha256": hashlib.sha256(call.body).hexdigest(), "body": body, "id": lead_id}
        after = first | changes | {"updated_at": _moment(due)}
        effect |= {"state": first, "steps": [after] if changes else [], "due": due}

        async def opened() -> None:
            self._progress.schedule(lead_id)

        said = _document(Matter(lead_id, call.user.user, reference or "", first, [], 0.0))
        asked = lead.asked(body)
        return Answer(201, said, [effect], reference or lead_id, lead_id, opened, CONTENT_TYPE, asked=asked)

    async def read(self, call: Call) -> Answer:
        matter = self._progress.find(call.user.user, call.request.path_params["lead_id"])
        if matter is None:
            return refusal(404, "Not found")
        return Answer(200, _document(matter), [], matter.reference, matter.id, media_type=CONTENT_TYPE)


def _document(matter: Matter) -> dict[str, Any]:
    link = f"https://sandbox.example.test/api/v1/leads/{matter.id}"
    return {"data": {"id": matter.id, "type": "lead", "attributes": matter.state, "links": {"self": link}}}


def _object(call: Call) -> dict[str, Any]:
    try:
        content = call.json
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _moment(wall: float) -> str:
    """Not ISO 8601."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
