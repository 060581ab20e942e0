"""HTTP of imports, for operators: send a file, see how far it is, read what became of each row."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from lendrail.runtime.bodies import idempotency_key
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem, authorised, correlation_id, reply, request_id
from lendrail.runtime.mongo import Document
from lendrail.runtime.parameters import ONLY_KNOWN
from lendrail.runtime.tokens import Caller
from lendrail.status.imports.batch import Line
from lendrail.status.imports.expected import Expected
from lendrail.status.imports.says import FAULTS, OUTCOMES, REFUSALS
from lendrail.status.imports.store import Imports
from lendrail.status.imports.take import Taking

OPERATE = Depends(authorised("operator"))
NO_STORE = {"Cache-Control": "no-store"}
LARGEST_PAGE, FEW = 1000, 50
"""The second: so many rows of a page for each batch of the report that is read ahead; a batch holds hundreds."""
Size = Annotated[int, Query(ge=1, le=LARGEST_PAGE, alias="pageSize")]
Token = Annotated[str | None, Query(max_length=200, alias="pageToken")]
Shown = dict[str, Any]


def routes(taking: Taking, imports: Imports, expected: Expected, wake: Callable[[], None]) -> APIRouter:
    """`wake`: tells the worker that there is something to do."""
    router = APIRouter(prefix="/v1/imports", dependencies=[ONLY_KNOWN])

    @router.post("")
    async def send(
        request: Request,
        partner: Annotated[str, Query(max_length=80)],
        credential: Annotated[str | None, Query(max_length=80)] = None,
        dry_run: Annotated[bool, Query(alias="dryRun")] = False,
        again: bool = False,
        as_of: Annotated[AwareDatetime | None, Query(alias="asOf")] = None,
        caller: Caller = OPERATE,
    ) -> Response:
        """Take the file in the body. The same file is the same import, unless `again` asks for another one."""
        key = idempotency_key(request) if again else None
        if as_of is not None and as_of > utc_now() + dt.timedelta(days=1):
            raise Problem(422, "as-of-in-future", "asOf is when the file was made; it cannot be in the future.")
        wanted = taking.wanted(caller, partner, credential, as_of=as_of, dry=dry_run, again=key)
        document, new = await taking.take(
            wanted, request.stream(), caller, request_id(request), correlation_id(request)
        )
        wake()
        repeated = {} if new else {"repeated": True}
        return reply(shown(document) | repeated, 202 if new else 200, NO_STORE)

    @router.get("")
    async def several(caller: Caller = OPERATE, size: Size = 50, token: Token = None) -> Response:
        """Imports, newest first; with the first page the files that are expected."""
        mine: Document = {"tenant": caller.tenant_id, "mode": caller.mode}
        if token is not None:
            time, id = _place(token)
            mine["$or"] = [{"received_at": {"$lt": time}}, {"received_at": time, "_id": {"$lt": id}}]
        cursor = imports.collection.find(mine, {"format": 0, "audit": 0})
        found = await cursor.sort([("received_at", -1), ("_id", -1)]).limit(size + 1).to_list()
        told: Shown = {"imports": [shown(each) for each in found[:size]]}
        if len(found) > size:
            last = found[size - 1]
            told["nextPageToken"] = _token(f"{last['received_at'].isoformat()}|{last['_id']}")
        if token is None:
            told["expected"] = await expected.shown(caller)
        return reply(told, headers=NO_STORE)

    @router.get("/{id}")
    async def one(
        id: str,
        caller: Caller = OPERATE,
        size: Size = 200,
        token: Token = None,
        only: Literal["all", "problems"] = "all",
    ) -> Response:
        """One import, and what became of its rows, in their order."""
        document = await imports.collection.find_one({"_id": id, "tenant": caller.tenant_id, "mode": caller.mode})
        if document is None:
            raise Problem(404, "not-found", "You have no such import.")
        rows, following = await _rows(imports, document, _row(token), size, only == "problems")
        more = {"nextPageToken": _token(str(following))} if following is not None else {}
        return reply(shown(document) | {"rows": rows} | more, headers=NO_STORE)

    return router


async def _rows(
    imports: Imports, document: Document, after: int, size: int, problems: bool
) -> tuple[list[Shown], int | None]:
    """Rows behind the row `after`, and the last one of them where there may be more."""
    of_import: Document = {"import": document["_id"]}
    before = await imports.reports.find(of_import | {"n": {"$lte": after}}, {"n": 1}).sort("n", -1).limit(1).to_list()
    wanted = of_import | {"n": {"$gte": before[0]["n"] if before else 0}}
    wanted |= {"problems": {"$gt": 0}} if problems else {}
    found: list[Shown] = []
    async for batch in imports.reports.find(wanted).sort("n", 1).batch_size(2 + size // FEW):
        for stored in batch["rows"]:
            line = Line.of(stored)
            if line.row <= after or (problems and not line.is_problem):
                continue
            if len(found) == size:
                return found, found[-1]["row"]
            found.append(shown_line(line))
    return found, None


def shown_line(line: Line) -> Shown:
    said: Shown = {"row": line.row, "outcome": line.outcome, "message": OUTCOMES[line.outcome]}
    if line.opportunity is not None:
        said |= {"opportunityId": line.opportunity}
    if line.status is not None:
        said |= {"status": line.status}
    if line.faults:
        said["problems"] = [
            {"code": code, "message": FAULTS[code], **({"column": header} if header else {})}
            for code, header in line.faults
        ]
    return said


def shown(document: Document) -> Shown:
    """An import as it is told; how far it is, and why it ended."""
    names = {"_id": "id", "partner": "partner", "credential": "credential", "state": "state", "sha256": "sha256",
             "bytes": "bytes", "received_at": "receivedAt", "started_at": "startedAt", "done_at": "endedAt",
             "as_of": "asOf", "by": "by"}  # fmt: skip
    told = {shown: document[name] for name, shown in names.items() if document.get(name) is not None}
    counts = document["counts"]
    told |= {"dryRun": document["dry"], "lastRow": document["row"], "done": sum(counts.values()), "counts": counts}
    tally = document.get("tally")
    if tally:
        told["tally"] = tally
    if refusal := document.get("refusal"):
        columns = {"columns": refusal["columns"]} if refusal.get("columns") else {}
        told["problem"] = {"code": refusal["code"], "message": REFUSALS[refusal["code"]], **columns}
    return told


def _token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _said(token: str) -> str:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise _bad_token() from None


def _place(token: str) -> tuple[dt.datetime, str]:
    try:
        time, _, id = _said(token).partition("|")
        read = dt.datetime.fromisoformat(time)
    except ValueError:
        raise _bad_token() from None
    if read.tzinfo is None or not id:
        raise _bad_token()
    return read, id


def _row(token: str | None) -> int:
    said = _said(token) if token is not None else "0"
    if not re.fullmatch(r"[0-9]{1,12}", said):
        raise _bad_token()
    return int(said)


def _bad_token() -> Problem:
    return Problem(400, "page-token-invalid", "Use the pageToken of the page before, with the same query.")
