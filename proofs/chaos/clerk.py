"""Whoever brings us the lenders' lists: writes each as the lender's own ledger is then, and sends it until it is taken,
some twice and some late. In the end it reads what we made of them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import httpx
from pymongo import MongoClient

from proofs.chaos import lists
from proofs.chaos.books import SEATS, Ledger
from proofs.chaos.doors import Rest
from proofs.chaos.lists import Planned
from proofs.chaos.shapes import File, Filed, Row, Word
from proofs.chaos.traffic import ACKNOWLEDGE_SECONDS
from proofs.chaos.traffic import Ledger as Acknowledged

TAKEN = (200, 202)
TWICE_SECONDS = 2.0
"""After which a list is sent once more."""
AT_ONCE = 16


class Clerk:
    """Sends what is planned, each at its time."""

    def __init__(self, endpoints: dict[str, Any], sandbox: str, ledger: Acknowledged, *, over: float) -> None:
        """`ledger`: of all that we acknowledged; `over`: when the faults are, by the monotonic clock."""
        self.files: list[File] = []
        self._sandbox, self._ledger = sandbox, ledger
        self._rest = Rest(endpoints, over + ACKNOWLEDGE_SECONDS)

    async def run(self, planned: Sequence[Planned], begin: float) -> None:
        """`begin`: when the run began, by the monotonic clock."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in planned:
                    tasks.create_task(self._one(each, begin))
        finally:
            await self._rest.close()

    async def _one(self, planned: Planned, begin: float) -> None:
        await _until(begin + planned.at)
        rows = lists.rows(planned, await self._read(planned.lender), list(self._ledger.accepted))
        if not rows:
            return
        content = await asyncio.to_thread(lists.content, planned, rows)
        await _until(begin + planned.sent_at)
        answers = [await self._send(planned, content)]
        if planned.twice:
            await asyncio.sleep(TWICE_SECONDS)
            answers.append(await self._send(planned, content))
        file = _file(planned, rows, [each for each in answers if each is not None])
        self.files.append(file)
        await self._ledger.note("file", **asdict(file))

    async def _read(self, lender: str) -> Ledger:
        """As it is now. Connections are not kept: the simulators close what is idle, also just before a call."""
        fresh = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self._sandbox, trust_env=False, timeout=60, limits=fresh) as client:
            reply = await client.get(f"/_ledger/{SEATS[lender].ledger}", params={"bodies": "false"})
            found: Ledger = reply.raise_for_status().json()
            return found

    async def _send(self, planned: Planned, content: bytes) -> dict[str, Any] | None:
        """The import; None where nobody acknowledged it."""
        whose = {"partner": planned.lender, "credential": SEATS[planned.lender].credential}
        try:
            reply = await self._rest.post("/v1/imports", planned.name, params=whose, content=content)
        except TimeoutError:
            return None
        if reply.status_code not in TAKEN:
            await self._ledger.refuse(planned.name, "file", reply)
            return None
        return dict(reply.json())


def _file(planned: Planned, rows: tuple[Row, ...], answers: Sequence[dict[str, Any]]) -> File:
    return File(
        name=planned.name,
        rows=rows,
        strangers=planned.strangers,
        ids=tuple(each["id"] for each in answers),
        again=sum(bool(each.get("repeated")) for each in answers),
    )


async def _until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - time.monotonic()))


async def read(rest: Rest, mongo: str, files: Sequence[File]) -> Filed:
    """What we made of them. Raises TimeoutError."""
    ids = dict.fromkeys(id for each in files for id in each.ids)
    opportunities = dict.fromkeys(row.opportunity for each in files for row in each.rows)
    imports = dict(zip(ids, await _all(rest, "/v1/imports/{}?pageSize=1", ids), strict=True))
    views = await _all(rest, "/v1/opportunities/{}", opportunities)
    return Filed(
        files=files,
        states={id: each.get("state", "unknown") for id, each in imports.items()},
        heard={id: _heard(each) for id, each in zip(opportunities, views, strict=True)},
        kept=await asyncio.to_thread(kept, mongo),
        changed=sum(each.get("counts", {}).get("changed", 0) for each in imports.values()),
    )


async def _all(rest: Rest, path: str, ids: Iterable[str]) -> list[dict[str, Any]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(id: str) -> dict[str, Any]:
        async with gate:
            return await rest.find(path.format(id)) or {}

    return await asyncio.gather(*(one(each) for each in ids))


def _heard(view: dict[str, Any]) -> list[Word]:
    """Everything that came by a file; what is stored twice stands here twice."""
    told = [each for each in view.get("observations", ()) if each["source"] == "csv"]
    return [(each["said"]["report"]["words"], dt.datetime.fromisoformat(each["partnerTime"])) for each in told]


def kept(mongo: str) -> frozenset[str]:
    """Ids in the rows that are kept since nobody knows them."""
    with MongoClient[dict[str, Any]](mongo) as client:
        found = client["status"]["orphans"].find({"source": "csv"}, {"row_keys": 1})
        return frozenset(id for each in found for id in each["row_keys"].values())
