"""One run from its beginning to its verdict: the ground, the traffic, the faults, the quiet afterwards, the reading."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lendrail.local import publish
from lendrail.local.servers.ports import free_port, listening
from lendrail.local.servers.process import Process, wait_until
from proofs.chaos import books, clerk, ledgers, lists, subscriber, truth
from proofs.chaos.cast import cast
from proofs.chaos.clerk import Clerk
from proofs.chaos.doors import Rest
from proofs.chaos.faults import Faults
from proofs.chaos.ground import DEADLINE_SECONDS, Ground
from proofs.chaos.induced import SENDER, evidence
from proofs.chaos.plan import plan
from proofs.chaos.quiet import due
from proofs.chaos.remote import PROJECT
from proofs.chaos.shapes import Carried, Options, Verdict
from proofs.chaos.state import State
from proofs.chaos.traffic import Upstream
from proofs.chaos.verdict import judge

WAITS = json.dumps([1, 2, 3, *(5 for _ in range(60))])
ENVIRONMENT = {
    "LENDRAIL_RETRY_SECONDS": WAITS,
    "LENDRAIL_UNKNOWN_SECONDS": "[0, 1, 2, 3, 5]",
    "LENDRAIL_LONGEST_WAIT_SECONDS": "5",
    "LENDRAIL_REGISTRY_CANCEL_SECONDS": "5",
    "LENDRAIL_PARTNER_PROCESSING_SECONDS": "4",
    "LENDRAIL_IMPORT_LEASE_SECONDS": "8",
    "LENDRAIL_ORPHAN_SWEEP_SECONDS": "4",
}
"""Waits that are minutes and hours in production, so that a run ends. There are more of them: it is no proof of what is
given up after days.
"""
QUIET_SECONDS, STILL_SECONDS = 300.0, 25.0
"""At most so long after the faults until all is quiet: nothing is due, and nothing has changed for a while."""


@dataclass(frozen=True, kw_only=True)
class Result:
    verdict: Verdict
    options: Options
    carried: Sequence[Carried]
    troubles: Sequence[str]
    sent: int
    refused: dict[str, int]
    """What the upstream was answered that it should not have been, and how often."""
    forged: int
    """Notices whose signature was wrong."""
    unfinished: Sequence[str]
    """What was still open when the wait was over."""
    quiet: bool = True
    """Whether there was nothing more to do then. If not, what is called lost may only be late."""
    seconds: float


class Run:
    """One run in `folder`; `state` tells how it goes."""

    def __init__(self, options: Options, folder: Path) -> None:
        # The last fifth of the time is without faults, and without new applications too.
        planned = cast(options.applications, options.seconds * 0.85, options.seed)
        self.state = State(options, planned, plan(options), lists.plan(options.seconds, options.seed))
        self._options, self._folder = options, folder
        self._ledger, self._notices = folder / "upstream.jsonl", folder / "notices.jsonl"
        self._secret, self._endpoint = folder / "webhook.secret", ""

    async def run(self) -> Result:
        """Raises ServerError, Unwell, TimeoutError."""
        begin = time.monotonic()
        ground = Ground(self._folder, seed=self._options.seed, environment=ENVIRONMENT)
        receiver = self._receiver(port := free_port())
        try:
            await asyncio.to_thread(ground.start)
            await asyncio.to_thread(receiver.start)
            await asyncio.to_thread(wait_until, 20, "no subscriber", lambda: listening(port), receiver)
            return await self._on(ground, port, begin)
        finally:
            await asyncio.to_thread(receiver.stop)
            await asyncio.to_thread(ground.stop)

    def _receiver(self, port: int) -> Process:
        files = [str(self._notices), str(self._secret)]
        command = [sys.executable, "-m", "proofs.chaos.subscriber", str(port), *files]
        return Process(
            "subscriber", command, self._folder / "subscriber.log", os.environ | {"PYTHONPATH": str(PROJECT)}
        )

    async def _on(self, ground: Ground, port: int, begun: float) -> Result:
        state, options = self.state, self._options
        rest = Rest(ground.endpoints, time.monotonic() + 60)
        await self._register(rest, f"http://127.0.0.1:{port}/")
        following = asyncio.create_task(state.truth.follow(ground.kafka.bootstrap))
        try:
            async with Faults(ground) as faults:
                state.made, state.begin, state.step = faults, time.monotonic(), "makes trouble"
                upstream = self._upstream(ground, state.begin + options.seconds)
                state.clerk = bringing = self._clerk(ground, upstream, state.begin + options.seconds)
                sending = asyncio.gather(
                    upstream.run(state.planned, state.begin), bringing.run(state.lists, state.begin)
                )
                await faults.carry(state.faults)
                state.step = "makes all well"
                await faults.well()
                ground.must_live()
                state.step = "waits for the upstream"
                await sending
                state.step = "waits until it is quiet"
                quiet = await self._quiet(ground)
            state.step = "reads the ledgers"
            return replace(await self._read(ground, faults, begun), quiet=quiet)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await rest.close()

    def _upstream(self, ground: Ground, over: float) -> Upstream:
        """`over`: when the last fault is."""
        key, state = publish.public_key(ground.state.config / "intake.jwk"), self.state
        upstream = Upstream(ground.endpoints, key, self._ledger, state.truth, seed=self._options.seed, over=over)
        state.upstream = upstream
        return upstream

    def _clerk(self, ground: Ground, upstream: Upstream, over: float) -> Clerk:
        return Clerk(ground.endpoints, ground.sandbox, upstream.ledger, over=over)

    async def _register(self, rest: Rest, url: str) -> None:
        reply = await rest.post("/v1/endpoints", f"chaos-{self._options.seed}", json={"url": url})
        said = reply.raise_for_status().json()
        self._endpoint = said["id"]
        self._secret.write_text(said["secret"])

    async def _quiet(self, ground: Ground) -> bool:
        """Whether it became quiet in time: all is where it must come to, or nothing has changed for a while; and
        nothing is due.
        """
        end, before, since = time.monotonic() + QUIET_SECONDS, (-1, -1), time.monotonic()
        while time.monotonic() < end:
            now = self.state.truth.count, self._notices.stat().st_size if self._notices.exists() else 0
            settled = not await asyncio.to_thread(self.state.open)
            if now != before:
                before, since = now, time.monotonic()
            calm = time.monotonic() - since
            if calm > (5 if settled else STILL_SECONDS) and not await asyncio.to_thread(due, ground.mongo.url):
                return True
            await asyncio.sleep(1)
        return False

    async def _read(self, ground: Ground, faults: Faults, begun: float) -> Result:
        upstream, bringing = self.state.upstream, self.state.clerk
        assert upstream is not None
        assert bringing is not None
        ledger, rest = upstream.ledger, Rest(ground.endpoints, time.monotonic() + 600)
        try:
            found = ledgers.Reader(
                books=await books.read(ground.sandbox, ledger.accepted),
                calls=await asyncio.to_thread(ground.proxy.calls),
                truth=await truth.read(ground.kafka.bootstrap),
                found=evidence((*faults.carried, *faults.spoilt), faults.start, DEADLINE_SECONDS),
                attempts=await asyncio.to_thread(ledgers.attempts, ground.mongo.url),
            )
            views = await ledgers.views(rest, ledger.accepted)
            shown = [one for each in ledger.accepted for one in found.shown(each, views[each.application])]
            notices, forged = subscriber.read(self._notices)
            filed = await clerk.read(rest, ground.mongo.url, bringing.files)
            shown, superseded = await ledgers.without_superseded(rest, self._endpoint, shown, notices)
        finally:
            await rest.close()
        accepted = ledgers.with_lives(ledger.accepted, ledger.acted, shown)
        kept: dict[str, Any] = {"carried": faults.carried, "spoilt": faults.spoilt, "taken": found.books.taken}
        self._keep(**kept, shown=shown, filed=filed, start=faults.start)
        freezes = _freezes(faults.carried, faults.start)
        verdict = judge(accepted, found.books.taken, notices, shown, sent=ledger.sent, freezes=freezes, filed=filed)
        return Result(
            verdict=replace(verdict, calls=found.sends.calls, touched=found.sends.touched, superseded=superseded),
            options=self._options,
            carried=sorted(faults.carried, key=lambda each: each.began),
            troubles=faults.troubles,
            sent=len(ledger.sent),
            refused=dict(ledger.refused),
            forged=forged,
            unfinished=self.state.open(),
            seconds=time.monotonic() - begun,
        )

    def _keep(self, **found: Any) -> None:
        """For whoever looks into a violation."""
        told = json.dumps(found, default=lambda each: vars(each) if hasattr(each, "__dict__") else str(each), indent=1)
        (self._folder / "found.json").write_text(told)


def _freezes(carried: Sequence[Carried], start: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    frozen = [each for each in carried if (each.fault.kind, each.fault.target) == ("freeze", SENDER)]
    return [(start + dt.timedelta(seconds=each.began), start + dt.timedelta(seconds=each.ended)) for each in frozen]
