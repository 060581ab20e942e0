"""What the tests of this partner's mapping make their requests, replies and applications with. Recorded replies
are those of its public pages.
"""

import copy
import datetime as dt
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import (
    Outcome,
    Reply,
    Request,
)
from lendrail.partners.partner import Order

PARTNER = PARTNERS["forward-financing"]
FULL: dict[str, Any] = json.loads((files("lendrail.contracts") / "examples/application.json").read_text())
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_text())
CURRENT = {"revision": "current"}
PLANNED_AT = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)


def application(**changes: Any) -> Application:
    """The full example with values at pointers (`__` for `/`) replaced; None removes."""
    data = copy.deepcopy(FULL)
    for path, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        place: Any = data
        for step in way:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return Application.model_validate(data)


def reply(recorded: Any, body: Any = ...) -> Reply:
    content = recorded.get("text", "").encode() if "body" not in recorded else json.dumps(recorded["body"]).encode()
    return Reply(recorded["status"], {}, content if body is ... else json.dumps(body).encode())


def call(operation: str) -> Request:
    return Request(operation=operation, method="POST", path="/")


def created(app: Application, reference: str, options: Any) -> Request:
    order = Order(application=app, reference=reference, options=options, planned_at=PLANNED_AT)
    (request,) = PARTNER.create(order)
    return request


def outcome(name: str) -> Outcome:
    return PARTNER.outcome(call(RECORDED[name]["operation"]), reply(RECORDED[name]))


def report(name: str, body: Any = ...) -> Report:
    assert PARTNER.report
    return PARTNER.report(reply(RECORDED[name], body))


def lead(app: Application, options: Any = CURRENT) -> Any:
    request = created(app, "TEST-REF-0001", options)
    assert (request.method, request.path, request.query) == ("POST", "/lead", ())
    return json.loads(request.content)["lead"]
