"""Accounts at other partners than the one of `desk`, at simulators that the conformance suite's cases sign in to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests import support
from tests.partners.monetago import rehearsal as monetago_cases
from tests.partners.optimum_finance import rehearsal as optimum_cases
from tests.partners.reference_partner import rehearsal as reference_cases
from tests.partners.rehearsals import Rehearsal
from tests.partners.soap_lender import rehearsal as soap_cases
from tests.partners.valiant import rehearsal as valiant_cases
from tests.sandbox.process import USERS, Sandbox
from tests.submission.desk import TENANT, Desk, credential, submit

from lendrail.contracts.application import Application
from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import opportunity_id

REHEARSALS: dict[str, Rehearsal] = {
    each.name: each
    for module in (monetago_cases, optimum_cases, reference_cases, soap_cases, valiant_cases)
    for each in module.REHEARSALS
}
VALIANT, REFERENCE, MONETAGO, SOAP, OPTIMUM = (
    REHEARSALS[name] for name in ("valiant", "reference-partner", "monetago", "soap-lender-12", "optimum-finance")
)


@contextmanager
def running(folder: Path) -> Iterator[Sandbox]:
    """A sandbox with the users of these cases."""
    sandbox = Sandbox(folder)
    users = [{"partner": "forward-financing"} | user for user in USERS]
    users += [user for each in REHEARSALS.values() for user in each.users]
    (folder / "config.json").write_text(json.dumps({"users": users}))
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def open_accounts(desk: Desk, *cases: Rehearsal, enabled: bool = True, options: Any = None) -> None:
    """The tenant has an account at each of these, called after it, and no other."""
    url = desk.sandbox.url
    desk.credentials(
        *(
            credential(url + each.path, id=f"demo-{each.name}", partner=each.partner_name, auth=dict(each.auth(url)))
            for each in cases
        )
    )
    accounts = [
        {
            "partner": each.partner_name,
            "credential": f"demo-{each.name}",
            "mode": "test",
            "enabled": enabled,
            "options": dict(each.options) if options is None else options,
            "webhookPath": support.WEBHOOK_PATH,
        }
        for each in cases
    ]
    tenants = json.loads(desk.settings.tenants_file.read_text())
    tenants["tenants"][0]["partners"] = accounts
    desk.settings.tenants_file.write_text(json.dumps(tenants))


def application(case: Rehearsal, mark: str = "1", **changes: Any) -> dict[str, Any]:
    """Its case's application, with consent."""
    data = case.application(next(iter(case.amounts.values())), mark)
    consents = [{"partner": "*", "givenAt": "2030-01-01T00:00:00Z"}]
    return {**data, "mode": "test", "consents": data.get("consents") or consents} | changes


def event(case: Rehearsal, data: dict[str, Any], before: Submit | None = None) -> Submit:
    """To send it there; a later revision of `before`."""
    account = f"demo-{case.name}"
    first = submit(partner=case.partner_name, credential=account) if before is None else before
    return submit(
        first.application_id,
        first.revision if before is None else before.revision + 1,
        account,
        tenant_id=TENANT,
        partner=case.partner_name,
        opportunity_id=opportunity_id(first.application_id, case.partner_name, account),
        intent=Send(application=Application.model_validate(data)),
    )


def dial(desk: Desk, partner: str, **setting: Any) -> None:
    reply = httpx.post(f"{desk.sandbox.url}/_dials/{partner}", json=setting, trust_env=False)
    assert reply.status_code == 201, reply.text


def undial(desk: Desk, partner: str) -> None:
    httpx.delete(f"{desk.sandbox.url}/_dials/{partner}", trust_env=False).raise_for_status()


def ledger(desk: Desk, partner: str) -> dict[str, Any]:
    return dict(httpx.get(f"{desk.sandbox.url}/_ledger/{partner}", trust_env=False).json())
