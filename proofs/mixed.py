"""Two versions side by side on one Kafka and one MongoDB: `python -m proofs.mixed --previous COMMIT`.

Half of the services come from the earlier commit, so that every step of the way hands over from one version to the
other; then the halves change places, and in the end all are of the later version again. Between any two of these some
work is under way, and each service that changes its version dies by `kill -9`. The partners' ledgers judge.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from tests.flow.stack import SERVICES, Stack, deal, opportunity, post, seen, until

from proofs.ending import orderly
from proofs.judged import Sent, Verdict, judge, send, settled
from proofs.page import PAGES, Ran, Table, show, verdict, write
from proofs.subscriber import Subscriber

PROJECT = Path(__file__).resolve().parents[1]
HALVES = (("gateway", "documents", "status"), ("validation", "submission", "notifications"))
"""No two services of one half are neighbours on the way of an application."""
ENDS_SECONDS = 180.0
BEGIN_SECONDS = 60.0
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PAGE = PAGES / "mixed.md"
HEAD = """# Two versions side by side

Written by `python -m proofs.mixed`. One Kafka, one MongoDB; half of the services are an earlier commit's, so that every
step of the way hands over from one version to the other, then the other half, then none. Applications are sent before,
while and after services change their version, which each does by `kill -9`; what was begun under one version gets its
document, its acceptance or its withdrawal under another one. The partners' ledgers, the subscriber's book and the
tenant's topic are what is counted. Partners' simulators are of the later version throughout.
"""


@dataclass(frozen=True)
class Life:
    """An application to which something happens under the next version."""

    amount: str
    partner: str
    first: str
    """What the partner says at first."""
    last: str
    """How it ends after a paper, an acceptance, a withdrawal."""


LIVES = (
    Life("40002", "forward-financing", "info-required", "approved"),
    Life("40000", "reference-partner", "approved", "accepted"),
    Life("40003", "soap-lender", "in-review", "withdrawn"),
)


class Copy:
    """The services of an earlier commit, unpacked beside this checkout."""

    def __init__(self, commit: str, folder: Path) -> None:
        """Raises CalledProcessError: there is no such commit here."""
        self._folder = folder
        self.commit = _git("log", "-1", "--format=%h of %cs", commit)
        archive = subprocess.run(
            ["git", "archive", commit, "libs", "services"], cwd=PROJECT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as content:
            content.extractall(folder, filter="data")
        self.path = ":".join(str(each) for part in ("libs", "services") for each in sorted((folder / part).iterdir()))

    def serves(self, service: str) -> bool:
        """Whether a program that is told this path runs the copy's code."""
        asked = f"import lendrail.{service} as s, lendrail.contracts as c; print(*s.__path__, *c.__path__)"
        told = {"PYTHONPATH": self.path, "PATH": "/usr/bin:/bin"}
        said = subprocess.run([sys.executable, "-c", asked], env=told, check=True, capture_output=True, text=True)
        return all(each.startswith(f"{self._folder}/") for each in said.stdout.split())


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


class Mixed:
    """One run on a stack of its own."""

    def __init__(self, stack: Stack, previous: Copy, each: int, say: Callable[[str], None]) -> None:
        """`each`: applications of each of the four parts, once while services change and once afterwards."""
        self._stack, self._previous, self._each, self._say = stack, previous, each, say
        self._sent: list[Sent] = []
        self._alive: list[tuple[Life, Sent]] = []
        """Those to which something still happens, in the next part."""
        self.parts: list[tuple[str, ...]] = []

    async def run(self) -> Verdict:
        subscriber = Subscriber()
        async with subscriber.open(), self._stack.client() as client:
            await _post(client, "/v1/endpoints", json={"url": subscriber.url})
            await self._part(client, (), ())
            await self._part(client, HALVES[0], HALVES[0])
            await self._part(client, HALVES[1], SERVICES)
            await self._part(client, (), HALVES[1])
            self._sent += [sent for _, sent in self._alive]
            return await judge(self._stack, client, self._sent, subscriber, ENDS_SECONDS)

    async def _part(self, client: httpx.AsyncClient, earlier: Collection[str], changes: Sequence[str]) -> None:
        """Applications are sent while services change their version, and after that; those of the part before go on
        with their lives.
        """
        under_way = asyncio.create_task(send(client, self._each, len(self._sent)))
        for service in changes:
            await asyncio.sleep(0.5)
            self._stack.kill(service)
            told = {"PYTHONPATH": self._previous.path} if service in earlier else {}
            await asyncio.to_thread(self._stack.restart, service, **told)
        self._sent += await under_way
        self._sent += await send(client, self._each, len(self._sent))
        for life, sent in self._alive:
            await self._live_on(client, life, sent)
            self._sent.append(replace(sent, ends=life.last))
        self._alive = [(life, await self._begin(client, life)) for life in LIVES]
        await self._tell(client, ", ".join(earlier) or "none")

    async def _tell(self, client: httpx.AsyncClient, earlier: str) -> None:
        found = await settled(self._stack, client, self._sent, ENDS_SECONDS)
        for word, left in (("not as it must be", found.wrong), ("told nobody", found.unheard)):
            for each in left:
                self._say(f"  {word}: {each}")
        self.parts.append((earlier, str(len(self._sent)), str(len(found.wrong)), str(len(found.unheard))))
        self._say(f"of the earlier version {earlier}: {len(self._sent)} so far, {len(found.wrong)} not as they must be")

    async def _begin(self, client: httpx.AsyncClient, life: Life) -> Sent:
        application = await post(client, deal(life.amount, life.partner))
        await until(
            client, application, lambda view: opportunity(view, life.partner).get("status") == life.first, BEGIN_SECONDS
        )
        return Sent(application, (life.partner,), life.amount, ends=life.first)

    async def _live_on(self, client: httpx.AsyncClient, life: Life, sent: Sent) -> None:
        """What was begun under one version is changed under another one."""
        deal = opportunity(await seen(client, sent.application), life.partner)
        match life.last:
            case "approved":
                about = {"kind": "bank-statement", "name": "fake.pdf"}
                await _post(client, f"/v1/applications/{sent.application}/documents", params=about, content=PDF)
            case "accepted":
                offer = deal["offers"][0]["id"]
                await _post(client, f"/v1/opportunities/{deal['opportunityId']}/accept", json={"offerId": offer})
            case _:
                said = {"reason": "the applicant found another way"}
                await _post(client, f"/v1/opportunities/{deal['opportunityId']}/withdraw", json=said)


async def _post(client: httpx.AsyncClient, path: str, **what: Any) -> None:
    reply = await client.post(path, headers={"Idempotency-Key": str(uuid.uuid4())}, **what)
    assert reply.is_success, f"{path}: {reply.status_code} {reply.text[:500]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.mixed", description=__doc__)
    parser.add_argument("--previous", required=True, help="an earlier commit of this repository")
    parser.add_argument("--applications", type=int, default=96)
    parser.add_argument("--report", type=Path, default=PAGE, help="where the page about the run is written")
    asked = parser.parse_args()
    orderly()
    folder, ran = Path(tempfile.mkdtemp(prefix="lendrail-mixed-")), Ran()
    stack = Stack(folder / "stack")
    try:
        previous = Copy(asked.previous, folder / "previous")
        assert all(previous.serves(service) for service in SERVICES), "the earlier services would run today's code"
        stack.up("--no-rate-limit", "--no-email")
        mixed = Mixed(stack, previous, max(1, asked.applications // 8), print)
        found = asyncio.run(mixed.run())
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
    columns = ("of the earlier version", "applications so far", "not as they must be", "told nobody by their partner")
    tables = [
        Table(f"The earlier version is {previous.commit}", columns, mixed.parts),
        Table("What was counted", ("", ""), [*found.rows()]),
        verdict([*found.checks()]),
    ]
    show(tables, Console(highlight=False, width=140))
    write(asked.report, HEAD, ran, tables)
    return 0 if all(check.kept for check in found.checks()) else 1


if __name__ == "__main__":
    sys.exit(main())
