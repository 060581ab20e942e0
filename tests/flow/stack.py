"""A whole stack for a test: every program a process of its own, started and stopped by the command `lendrail`."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tests import make

PARTNER = "forward-financing"
PARTNERS = (PARTNER, "finpace", "soap-lender", "reference-partner", "email-lender", "monetago", "abn-lookup")
SERVICES = ("gateway", "validation", "documents", "submission", "status", "notifications")
FAST = {
    "LENDRAIL_PARTNER_PROCESSING_SECONDS": "2",
    "LENDRAIL_SWEEP_SECONDS": "4",
    "LENDRAIL_PARTNER_DEADLINE_SECONDS": "2",
    "LENDRAIL_LEASE_SECONDS": "8",
}
"""Waits that are minutes in production; a test cannot sit through them."""


class Stack:
    """Drives one stack through its public doors, and looks into the partner's ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lendrail(self, *arguments: str, **environment: str) -> str:
        """Run the command `lendrail`; its output. Fails when it fails."""
        command = [sys.executable, "-m", "lendrail.local", *arguments, "--state", str(self.folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, check=False, env=os.environ | environment
        )
        assert done.returncode == 0, f"lendrail {' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-2000:]}"
        return done.stdout

    def up(self, *options: str, **environment: str) -> Stack:
        self.lendrail("up", "--detach", *options, **(FAST | environment))
        return self

    def down(self) -> None:
        self.lendrail("down")

    @property
    def endpoints(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "endpoints.json").read_text())
        return content

    @property
    def gateway(self) -> str:
        return str(self.endpoints["gateway"])

    @property
    def sandbox(self) -> str:
        return str(self.endpoints["sandbox"]["url"])

    def kill(self, service: str) -> None:
        """SIGKILL one program."""
        os.kill(self.endpoints["services"][service]["pid"], signal.SIGKILL)

    def restart(self, service: str, **environment: str) -> None:
        """Stop it if it lives and start it; with variables of its own for this start."""
        pairs = [argument for name, value in environment.items() for argument in ("--env", f"{name}={value}")]
        self.lendrail("restart", service, *pairs)

    def restart_to_die(self, service: str, label: str) -> None:
        """Start it so that it is killed at `label`, be it while it starts, with work that is left over."""
        command = [sys.executable, "-m", "lendrail.local", "restart", service, "--state", str(self.folder)]
        subprocess.run([*command, "--env", f"LENDRAIL_FAULT_AT={label}"], capture_output=True, timeout=240, check=False)

    def dial(self, partner: str = PARTNER, **dial: Any) -> None:
        httpx.post(f"{self.sandbox}/_dials/{partner}", json=dial, trust_env=False).raise_for_status()

    def dials_off(self) -> None:
        for partner in PARTNERS:
            httpx.delete(f"{self.sandbox}/_dials/{partner}", trust_env=False).raise_for_status()

    def ledger(self, partner: str = PARTNER) -> dict[str, Any]:
        reply = httpx.get(f"{self.sandbox}/_ledger/{partner}?bodies=false", trust_env=False, timeout=30)
        content: dict[str, Any] = reply.json()
        return content

    def client(self) -> httpx.AsyncClient:
        """A client with the demo tenant's token."""
        oauth = self.endpoints["oauth"]
        form = {"grant_type": "client_credentials", "client_id": oauth["client_id"]}
        reply = httpx.post(
            oauth["token_url"], data=form | {"client_secret": oauth["client_secret"]}, trust_env=False
        ).raise_for_status()
        headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        return httpx.AsyncClient(base_url=self.gateway, headers=headers, trust_env=False, timeout=20)


def loan(amount: str, reference: str | None = None, **changes: Any) -> dict[str, Any]:
    """A sound application for Forward Financing; the last digits of `amount` decide what the sandbox answers.

    Each one is another invented person, so that none is a duplicate of another.
    """
    number = uuid.uuid4().int
    data = make.application_json(**changes)
    data["business"]["registrations"] = [{"scheme": "ein", "country": "US", "number": f"00-{number % 10_000_000:07d}"}]
    for owner in data["owners"]:
        owner["ssn"] = f"900-{number % 100:02d}-{number // 100 % 10_000:04d}"
        number //= 1_000_000
    data["requestedFinance"] = {"amount": {"amount": amount, "currency": "USD"}, "purpose": "working-capital"}
    data["externalReferences"] = [{"system": "test", "kind": "deal", "value": reference or str(uuid.uuid4())}]
    data["targetPartners"] = [PARTNER]
    for name in ("uploads", "invoices", "tradeDocuments", "equipment"):
        data.pop(name, None)
    for owner in data["owners"]:
        owner.pop("identityDocuments", None)
    return data


def deal(amount: str, *partners: str, paper: str | None = None, **changes: Any) -> dict[str, Any]:
    """An application for several partners; with `paper`, the number of an invoice that a registry must clear first."""
    data = loan(amount, **changes)
    data["targetPartners"] = list(partners)
    data["requestedFinance"]["term"] = {"value": 12, "unit": "months"}
    data.pop("invoices", None)
    if paper is not None:
        (invoice,) = copy.deepcopy(make.application_json())["invoices"]
        for name in ("uploadId", "requested"):
            invoice.pop(name, None)
        data["invoices"] = [invoice | {"number": paper}]
    return data


async def post(client: httpx.AsyncClient, application: dict[str, Any], key: str | None = None) -> str:
    """Post until the gateway takes it, always with the same key; the application's id."""
    headers, deadline = {"Idempotency-Key": key or str(uuid.uuid4())}, time.monotonic() + 60
    while True:
        try:
            reply = await client.post("/v1/applications", json=application, headers=headers)
        except httpx.TransportError:
            reply = None
        if reply is not None and reply.status_code == 202:
            return str(reply.json()["applicationId"])
        assert reply is None or reply.status_code in (503, 429, 409), reply.text
        assert time.monotonic() < deadline, "the gateway did not take the application"
        await asyncio.sleep(0.3)


async def seen(client: httpx.AsyncClient, application_id: str) -> dict[str, Any]:
    reply = await client.get(f"/v1/applications/{application_id}")
    assert reply.status_code == 200, reply.text
    content: dict[str, Any] = reply.json()
    return content


def opportunity(view: dict[str, Any], partner: str = PARTNER) -> dict[str, Any]:
    """The opportunity at one partner in the gateway's view, or nothing yet."""
    return next((o for o in view.get("opportunities", []) if o["partner"] == partner), {})


async def until(
    client: httpx.AsyncClient, application_id: str, check: Callable[[dict[str, Any]], bool], seconds: float = 30
) -> dict[str, Any]:
    """The gateway's view once `check` holds; fails with the last view otherwise."""
    deadline, view = time.monotonic() + seconds, {}
    while time.monotonic() < deadline:
        try:
            view = await seen(client, application_id)
        except httpx.TransportError:
            view = {}
        if view and check(view):
            return view
        await asyncio.sleep(0.1)
    raise AssertionError(f"not reached within {seconds} s: {json.dumps(view, indent=1)[:4000]}")


def reached(*statuses: str) -> Callable[[dict[str, Any]], bool]:
    return lambda view: opportunity(view).get("status") in statuses
