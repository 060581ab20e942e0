"""The routes of the simulated MonetaGo and the operations behind them.

Nothing here recognises a repeat: the same registration sent twice is two registrations, the second a duplicate of the
first. That is what a careless retry does at the real one.
"""

import hashlib
import secrets
import time
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
from starlette.routing import Route

from lendrail.sandbox.desk import TROUBLE, Answer, Call, Operation
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, event
from lendrail.sandbox.monetago import forms
from lendrail.sandbox.monetago.reading import Reading
from lendrail.sandbox.monetago.registry import Fvr, Registry, stamp
from lendrail.sandbox.monetago.users import Users, refusal, used_header
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.timers import Timers

PREFIX = "/monetago"
MAGIC = {3: "working", 6: "duplicate"}
"""By `financing_request_amount` modulo 1 000, of any of the requests of a call: stays pending; a lender outside has
registered the same documents before."""
REASONS = frozenset({"EXNB", "DFIN", "EBNA", "EXND", "LG1F", "NTFD", "RJCT", "UKWN", "WITH", "OBSA"})
FINANCEABLE, CANCELLABLE = frozenset({"REGU", "REDU"}), frozenset({"REGU", "REDU", "FNCD"})


class MonetaGo:
    """One simulated partner (see `partner.Partner`)."""

    operations = frozenset(
        {
            "registrations", "status", "financings", "status_requests", "financing_validation_requests",
            "document_matches", "cancellations", "cancellation_status", "activity", "token",
        }
    )  # fmt: skip

    def __init__(self, tools: Tools) -> None:
        self._tools, self._users, self._registry = tools, Users(tools.users), Registry()
        self._timers = Timers(self._match)
        self._due: dict[str, tuple[float, str]] = {}

    def routes(self) -> Sequence[Route]:
        reading = Reading(self._registry, self._users)
        return [
            self._route("/registrations", "POST", "registrations", self.registrations),
            self._route("/status/{id}", "GET", "status", reading.status),
            self._route("/activity", "GET", "activity", reading.activity),
            self._route("/financing-validation-requests", "GET", "financing_validation_requests", reading.requests),
            self._route("/financings", "POST", "financings", self.financings),
            self._route("/cancellations", "POST", "cancellations", self.cancellations),
            self._route("/cancellation/{id}/status", "GET", "cancellation_status", reading.cancellation),
            self._route("/status-requests", "POST", "status_requests", self.status_requests),
            self._route("/document-matches", "GET", "document_matches", reading.document_matches),
            self._route("/document-matches/{id}", "GET", "document_matches", reading.document_matches),
            self._token_route(),
        ]

    def _route(self, path: str, method: str, name: str, handle: Any) -> Route:
        operation = Operation(name, handle, self._users.sign_in, self._reference, refusal=refusal)
        return Route(f"{PREFIX}/v1{path}", self._tools.desk.endpoint(operation), methods=[method])

    def _token_route(self) -> Route:
        users = self._users
        operation = Operation(
            "token", users.token, users.by_secret, lambda call: None, counts_for_pace=lambda user: False
        )
        return Route(f"{PREFIX}/oauth/token", self._tools.desk.endpoint(operation), methods=["POST"])

    def apply(self, record: Record) -> None:
        """Follower. What is matched already, or never will be, waits for nothing."""
        self._registry.apply(record)
        for effect in record.get("effects", ()):
            if effect["kind"] == "leads" and effect["decisionDue"] is not None:
                self._due[effect["requestId"]] = effect["decisionDue"], record["reference"]
            if effect["kind"] == "decisions" and (fvr := self._registry.fvrs[effect["fvr"]]).user is not None:
                self._due.pop(fvr.request_id, None)

    def start(self) -> None:
        for request_id, (due, _) in self._due.items():
            self._timers.set(request_id, due)

    def stop(self) -> None:
        self._timers.stop()

    def _reference(self, call: Call) -> str | None:
        """For dials: the first submitter's id of the registration that a call is about."""
        content = _content(call)
        entries = [each for value in content.values() if isinstance(value, list) for each in value]
        found = next((_dataset(each) for each in entries if isinstance(each, dict)), None)
        asked = call.request.query_params.get("submitter_data_set_identification")
        if found or asked:
            return found or asked
        request_id = call.request.path_params.get("id") or _first(entries, "request_identification")
        fvrs = self._registry.of(call.user.user, "request_identification", str(request_id))
        return fvrs[0].dataset if fvrs else None

    async def registrations(self, call: Call) -> Answer:
        """202 with a request id and nothing else, or 400 with every fault."""
        user = call.user.user
        read, faults = forms.registration(_content(call), self._users.settings[user].institution)
        reference = self._reference(call)
        if faults:
            return Answer(400, {"errors": faults}, reference=reference)
        request_id = str(uuid.uuid4())
        dial = self._tools.dials.take("outcome", call.operation, reference, call.dials)
        outcome = dial.outcome if dial else _by_amounts(read["requests"])
        due = None if outcome == "working" else self._when(call, reference)
        effect = _written("leads", call) | {
            "requestId": request_id,
            "institution": read["institution"],
            "pool": read["pool"],
            "fvrs": [each | {"id": secrets.token_hex(12)} for each in read["requests"]],
            "foreign": outcome == "duplicate",
            "word": dial.stage if dial else None,
            "told": stamp(time.time()),
            "decisionDue": due,
        }

        async def later() -> None:
            if due is not None:
                self._timers.set(request_id, due)

        asked = _asked(read["requests"])
        return Answer(202, {"request_identification": request_id}, [effect], reference, request_id, later, asked=asked)

    def _when(self, call: Call, reference: str | None) -> float:
        dial = self._tools.dials.take("decision_delay", call.operation, reference, call.dials)
        wait = dial.ms if dial else self._users.settings[call.user.user].decision_delay_ms
        return time.time() + float(wait) / 1000

    async def _match(self, request_id: str) -> None:
        """The matching of one registration is over."""
        if request_id not in self._due:
            return
        _, reference = self._due[request_id]
        _, ids = self._registry.results[request_id]
        fvrs = [self._registry.fvrs[each] for each in ids]
        decided = self._registry.step(fvrs, "registered", time.time())
        await self._tools.ledger.commit(event([*decided, *self._registry.duplicates(fvrs)], reference))

    async def financings(self, call: Call) -> Answer:
        """202 with an id of its own; the status is still read under the registration's. 409 where one may not."""
        fvrs, _, no = self._named(call, "financing_batch", FINANCEABLE)
        if no is not None:
            return no
        request_id = str(uuid.uuid4())
        effect = _written("financings", call) | {"requestId": request_id, "fvrs": [each.id for each in fvrs]}
        decided = self._registry.step(fvrs, "financed", time.time())
        return Answer(202, {"request_identification": request_id}, [effect, *decided], fvrs[0].dataset)

    async def cancellations(self, call: Call) -> Answer:
        own = self._users.settings[call.user.user]
        fvrs, entries, no = self._named(call, own.cancellation_wrapper, CANCELLABLE)
        reasons = [each.content.get(own.cancellation_reason, "UKWN") for each in entries]
        if no is None and not all(isinstance(each, str) and each in REASONS for each in reasons):
            fault = {"code": "INVALID_FIELD", "text": "is no reason", "path": own.cancellation_reason}
            no = Answer(400, {"errors": [fault]}, reference=fvrs[0].dataset)
        if no is not None:
            return no
        name = str(uuid.uuid4())
        effect = _written("cancellations", call) | {"cancellationId": name, "fvrs": [each.id for each in fvrs]}
        decided = self._registry.step(fvrs, "cancelled", time.time())
        return Answer(202, {"cancellation_id": name}, [effect | {"reasons": reasons}, *decided], fvrs[0].dataset)

    async def status_requests(self, call: Call) -> Answer:
        """A new id under which the same results can be read."""
        wrapper = self._users.settings[call.user.user].status_request_wrapper
        fvrs, _, no = self._named(call, wrapper, None)
        if no is not None:
            return no
        request_id = str(uuid.uuid4())
        effect = _written("statusRequests", call) | {"requestId": request_id, "fvrs": [each.id for each in fvrs]}
        return Answer(202, {"request_identification": request_id}, [effect], fvrs[0].dataset)

    def _named(
        self, call: Call, wrapper: str, allowed: frozenset[str] | None
    ) -> tuple[list[Fvr], list[forms.Form], Answer | None]:
        """The FVRs that a call names, all of them in an allowed status; or why not."""
        own = self._users.settings[call.user.user].institution
        entries, kind, faults = forms.named(_content(call), wrapper, own)
        if faults:
            return [], entries, Answer(400, {"errors": faults})
        found = [self._registry.of(call.user.user, kind, entry.content[kind]) for entry in entries]
        if not all(found):
            return [], entries, refusal(404, "there is no such registration")
        fvrs = list({fvr.id: fvr for each in found for fvr in each}.values())
        if allowed is not None and any(fvr.status not in allowed for fvr in fvrs):
            no = refusal(409, "the registration's status does not allow it")
            no.reference = fvrs[0].dataset
            return fvrs, entries, no
        return fvrs, entries, None


def _by_amounts(requests: list[dict[str, Any]]) -> str:
    """The first amount that decides anything."""
    wanted = [MAGIC.get(_whole(each) % 1000) for each in requests]
    return next(filter(None, wanted), "approve")


def _asked(requests: list[dict[str, Any]]) -> int:
    """The first amount that makes trouble, else that of the first request."""
    return next((_whole(each) for each in requests if _whole(each) % 1000 in TROUBLE), _whole(requests[0]))


def _whole(request: dict[str, Any]) -> int:
    return int(Decimal(request["amount"]["amount"]))


def _content(call: Call) -> dict[str, Any]:
    try:
        content = call.json if call.body else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _dataset(entry: dict[str, Any]) -> str | None:
    """Of an entry, or of the first FVR of a batch."""
    inner = entry.get("financing_validation_request_details")
    at = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], dict) else entry
    name = at.get("submitter_data_set_identification")
    return name if isinstance(name, str) and name else None


def _first(entries: list[Any], name: str) -> Any:
    return next((each[name] for each in entries if isinstance(each, dict) and name in each), None)


def _written(kind: str, call: Call) -> Effect:
    """The body as it came, its hash, and the header that brought the token."""
    body = call.body if b"\n" not in call.body and b"\r" not in call.body else orjson.dumps(call.json)
    sha256 = hashlib.sha256(call.body).hexdigest()
    return {"kind": kind, "sha256": sha256, "body": orjson.Fragment(body), "header": used_header(call)}
