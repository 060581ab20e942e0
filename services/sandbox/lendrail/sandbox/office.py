"""The sandbox's own pages beside the partners: health, ledgers, dials. No sign-in: it listens on loopback."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lendrail.sandbox.dials import DIAL, AnyDial
from lendrail.sandbox.ledger import moment
from lendrail.sandbox.partner import Partner, Tools
from lendrail.sandbox.replies import Json


@dataclass(frozen=True)
class Branch:
    """One running partner with its tools."""

    partner: Partner
    tools: Tools


class Office:
    """`/live`, `/ready`, `/_ledger/<partner>`, `/_dials/<partner>`."""

    def __init__(self, branches: Mapping[str, Branch], clock: Callable[[], float]) -> None:
        self._branches, self._clock = branches, clock

    def routes(self) -> list[Route]:
        return [
            Route("/live", self.live),
            Route("/ready", self.ready),
            Route("/_ledger/{partner}", self.ledger),
            Route("/_ledger/{partner}/summary", self.summary),
            Route("/_dials/{partner}", self.dials, methods=["GET"]),
            Route("/_dials/{partner}", self.set_dials, methods=["POST"]),
            Route("/_dials/{partner}", self.clear_dials, methods=["DELETE"]),
            Route("/_dials/{partner}/{dial}", self.clear_dials, methods=["DELETE"]),
        ]

    async def live(self, _request: Request) -> Response:
        return Json({"status": "live", "checks": {}})

    async def ready(self, _request: Request) -> Response:
        checks = {name: "ok" if branch.tools.ledger.healthy else "failed" for name, branch in self._branches.items()}
        good = all(state == "ok" for state in checks.values())
        return Json({"status": "ready" if good else "unready", "checks": checks}, 200 if good else 503)

    async def ledger(self, request: Request) -> Response:
        """`?reference=` narrows to one reference, `?bodies=false` leaves the leads' bodies out."""
        if (branch := self._branch(request)) is None:
            return _unknown()
        query = request.query_params
        bodies = query.get("bodies", "true").lower() not in ("false", "0")
        ledger, reference = branch.tools.ledger, query.get("reference")
        content = await asyncio.to_thread(lambda: orjson.dumps(ledger.view(reference, bodies)))
        return Response(content, media_type="application/json")

    async def summary(self, request: Request) -> Response:
        branch = self._branch(request)
        return _unknown() if branch is None else Json(branch.tools.ledger.summary())

    async def dials(self, request: Request) -> Response:
        branch = self._branch(request)
        return _unknown() if branch is None else Json({"dials": branch.tools.dials.listed()})

    async def set_dials(self, request: Request) -> Response:
        """One dial, or several as {"dials": [...]}: all are set or none."""
        if (branch := self._branch(request)) is None:
            return _unknown()
        try:
            added = [DIAL.validate_python(_with_id(item)) for item in _items(await request.body())]
        except ValidationError as error:
            return Json({"errors": error.errors(include_input=False, include_url=False, include_context=False)}, 422)
        except ValueError:
            return Json({"errors": [{"msg": "the body is not a JSON object"}]}, 422)
        if any(dial.operation not in (None, *branch.partner.operations) for dial in added):
            return Json({"errors": [{"msg": "unknown operation", "known": sorted(branch.partner.operations)}]}, 422)
        await self._change(branch, added, [])
        return Json({"dials": [dial.model_dump(mode="json", by_alias=True, exclude_none=True) for dial in added]}, 201)

    async def clear_dials(self, request: Request) -> Response:
        if (branch := self._branch(request)) is None:
            return _unknown()
        one = request.path_params.get("dial")
        removed = [dial for dial in branch.tools.dials.ids() if one in (None, dial)]
        await self._change(branch, [], removed)
        return Json({"removed": removed}, 200 if removed or one is None else 404)

    async def _change(self, branch: Branch, added: list[AnyDial], removed: list[str]) -> None:
        for dial in added:
            branch.tools.dials.add(dial)
        branch.tools.dials.remove(removed)
        stored = [dial.model_dump(mode="json", by_alias=True) for dial in added]
        await branch.tools.ledger.commit(
            {"type": "dials", "at": moment(self._clock()), "added": stored, "removed": removed}
        )

    def _branch(self, request: Request) -> Branch | None:
        return self._branches.get(request.path_params["partner"])


def _unknown() -> Response:
    return Json({"message": "No such partner is simulated here."}, 404)


def _items(body: bytes) -> list[Any]:
    content = orjson.loads(body)
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - for the caller it is bad JSON like any other
    items = content.get("dials", [content])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("not a list of objects")
    return items


def _with_id(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"id": secrets.token_hex(4)}
