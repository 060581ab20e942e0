"""The status service over HTTP, and the tokens of who reads there."""

from __future__ import annotations

import time

from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from tests import support
from tests.status.bench import Bench

from lendrail.runtime import http
from lendrail.runtime.tokens import AUDIENCE, Verifier
from lendrail.status.polling import staleness
from lendrail.status.view import routes

ISSUER = "http://127.0.0.1/test-issuer"
KEY = ECKey.generate_key("P-256")


def bearer(scope: str, tenant: str = support.TENANT) -> dict[str, str]:
    times = {"nbf": int(time.time()), "exp": int(time.time()) + 3600}
    who = {"iss": ISSUER, "aud": AUDIENCE, "tenant": tenant, "client_id": "test", "mode": "test", "scope": scope}
    return {"Authorization": f"Bearer {jwt.encode({'alg': 'ES256'}, who | times, KEY)}"}


def application(bench: Bench) -> FastAPI:
    async def keys() -> KeySet:
        return KeySet([KEY])

    app = FastAPI()
    app.state.verifier = Verifier(ISSUER, keys)
    http.install(app, 1000)
    parts = bench.parts
    app.include_router(routes(parts.opportunities, parts.orphans, parts.feeds.collection, bench.service.vault))
    app.include_router(staleness.routes(parts.staleness))
    return app
