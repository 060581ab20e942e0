"""Who asks submission over HTTP in these tests."""

from __future__ import annotations

from tests.submission.desk import TENANT

from lendrail.runtime.tokens import Caller, Unauthorised

CALLERS = {
    "operator": Caller(TENANT, "demo-operator", "test", frozenset({"operator"})),
    "reader": Caller(TENANT, "demo-reader", "test", frozenset({"applications:read"})),
    "stranger": Caller("another", "stranger", "test", frozenset({"operator"})),
    "live": Caller(TENANT, "demo-operator", "live", frozenset({"operator"})),
    "platform": Caller("house", "house-operator", "test", frozenset({"platform", "operator"})),
}


class Verifier:
    """Knows its callers by name; signatures have their own tests."""

    async def caller(self, authorization: str | None) -> Caller:
        name = (authorization or "").removeprefix("Bearer ")
        if name not in CALLERS:
            raise Unauthorised("unknown")
        return CALLERS[name]


def as_(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}
