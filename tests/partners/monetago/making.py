"""What the tests of this partner's mapping make their requests, replies and applications with. What the registry's
pages show is recorded; the wrapping is a proposal.
"""

import copy
import datetime as dt
import json
from pathlib import Path
from typing import Any

from tests.partners.rehearsals import FULL, PLANNED_AT

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report
from lendrail.partners.exchange import (
    Outcome,
    Reply,
    Request,
)
from lendrail.partners.monetago import MONETAGO, results
from lendrail.partners.partner import Order

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_text())
OPTIONS = {"institution": "ZZZZSGS0XXX"}
NOW = dt.datetime(2030, 1, 2, 3, 30, tzinfo=dt.UTC)
REQUEST_ID = "00000000-0000-4000-8000-0000000000b1"


def data(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(FULL) | changes


def invoice(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(FULL["invoices"][0])
    return {name: value for name, value in (made | changes).items() if value is not None}


def problems(raw: dict[str, Any], **more: str) -> set[tuple[str, str]]:
    return {(each.pointer, each.code) for each in MONETAGO.check(Application.model_validate(raw), OPTIONS | more)}


def body(raw: dict[str, Any], reference: str = "TEST-REF-0001") -> dict[str, Any]:
    application = Application.model_validate(raw)
    assert MONETAGO.check(application, OPTIONS) == []
    order = Order(application=application, reference=reference, options=OPTIONS, planned_at=PLANNED_AT)
    (request,) = MONETAGO.create(order)
    assert (request.method, request.path, request.query) == ("POST", "/registrations", ())
    assert MONETAGO.create(order) == (request,), "a repeat is the same to the byte"
    read: dict[str, Any] = json.loads(request.content)
    return read


def requests(raw: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(raw)["batch_collection"][0]["financing_validation_request_details"]
    return found


def reply(name: str, content: Any = ...) -> Reply:
    recorded = RECORDED[name]
    text = recorded.get("text", "") if "body" not in recorded else json.dumps(recorded["body"])
    return Reply(recorded["status"], {}, (text if content is ... else json.dumps(content)).encode())


def call(operation: str) -> Request:
    return Request(operation=operation, method="POST", path="/", context=(("reference", "test_set_1"),))


def outcome(name: str) -> Outcome:
    return MONETAGO.outcome(call(RECORDED[name]["operation"]), reply(name))


def report(content: Any) -> Report:
    return results.report(reply("unique", content))


def fvrs(*statuses: Any) -> dict[str, Any]:
    return {"financing_validation_requests": [{"financing_request_status": each} for each in statuses]}
