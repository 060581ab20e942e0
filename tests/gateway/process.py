"""A gateway as its own process, with files and keys of its own, and callers that know how to talk to it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey
from tests import support

from lendrail.local.servers.ports import free_port

OTHER = "other"


def ec_key(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        path.write_text(json.dumps(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True)))
    return path


def tenants(folder: Path, **options: str) -> list[dict[str, Any]]:
    """The usual tenant with an intake key, and another one that must see nothing of it."""
    first = json.loads(support.tenants_file(folder).read_text())["tenants"][0]
    first["intakeKeyFile"] = str(ec_key(folder, "intake.jwk"))
    first["partners"][0]["options"] |= options
    client = first["clients"][0]
    reader = client | {"clientId": "demo-reader", "scopes": ["applications:read"]}
    other = {
        "id": OTHER,
        "name": "Other",
        "mode": "test",
        "clients": [client | {"clientId": "other-upstream"}],
        "upstreams": ["other-crm"],
        "partners": [],
    }
    return [first | {"clients": [client, reader]}, other]


class Gateway:
    """One gateway process on a loopback port."""

    def __init__(self, folder: Path, *, kafka: str, mongo: str, prefix: str, **more: str) -> None:
        self.port, self.owner_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "gateway.log"
        owners = ("validation", "documents", "submission", "status", "notifications")
        self.environment = support.environment(
            folder,
            kafka=kafka,
            mongo=mongo,
            prefix=prefix,
            port=str(self.port),
            instance="gateway-1",
            issuer=self.url,
            issuer_key_file=str(ec_key(folder, "issuer.jwk")),
            **{f"{owner}_url": f"http://127.0.0.1:{self.owner_port}" for owner in owners},
            **more,
        )
        support.tenants_file(folder, tenants(folder))
        self.intake_key = ECKey.import_key(json.loads((folder / "intake.jwk").read_text()))
        self.settings = self.environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Gateway:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lendrail.gateway"],
                env=os.environ | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def wait_ready(self, seconds: float = 20) -> float:
        """Seconds until ready."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()[-2000:]
            try:
                if httpx.get(f"{self.url}/ready", trust_env=False, timeout=5).status_code == 200:
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-2000:])

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(25)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def caller(self, client: str = "demo-upstream", **options: Any) -> httpx.AsyncClient:
        """An HTTP client with a bearer token of `client`."""
        answer = httpx.post(
            f"{self.url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client, support.CLIENT_SECRET),
            trust_env=False,
        )
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=30, **options)


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return told
