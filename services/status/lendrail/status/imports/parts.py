"""The parts of imports, put together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import FastAPI

from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.http import allow_body
from lendrail.runtime.mongo import Collection
from lendrail.runtime.service import Service
from lendrail.status.hints import Hints
from lendrail.status.imports.batch import Batch
from lendrail.status.imports.expected import Expected
from lendrail.status.imports.match import Matcher
from lendrail.status.imports.orphaned import Orphaned
from lendrail.status.imports.routes import routes
from lendrail.status.imports.run import Runner
from lendrail.status.imports.store import Imports, Pieces
from lendrail.status.imports.take import Taking
from lendrail.status.reports import Reports
from lendrail.status.settings import Settings
from lendrail.status.store import Opportunities
from lendrail.status.timing import Timing

PATH = r"/v1/imports"


@dataclass(frozen=True)
class Importing:
    imports: Imports
    pieces: Pieces
    matcher: Matcher
    orphaned: Orphaned
    expected: Expected
    runner: Runner
    taking: Taking

    async def prepare(self) -> None:
        """Indexes; needs MongoDB."""
        for part in (self.imports, self.pieces, self.matcher, self.orphaned, self.expected):
            await part.prepare()

    async def drain(self, seconds: float) -> None:
        await asyncio.gather(self.runner.drain(seconds), self.expected.worker.drain(seconds))

    def install(self, service: Service, app: FastAPI, settings: Settings) -> None:
        """Its loops and routes."""
        service.loop(self.runner.worker.run, self.drain)
        service.loop(self.orphaned.run)
        service.loop(self.expected.run)
        service.loop(self.expected.worker.run)
        allow_body(app, "POST", PATH, settings.max_import_bytes)
        app.include_router(routes(self.taking, self.imports, self.expected, self.runner.worker.wake))


def assemble(
    service: Service,
    settings: Settings,
    opportunities: Opportunities,
    hints: Hints,
    reports: Reports,
    timing: Timing,
    orphans: Collection,
) -> Importing:
    database, vault = service.database, service.vault
    imports = Imports(database["imports"], database["import_reports"])
    pieces = Pieces(database["import_pieces"], vault)
    tenants = Mounted(settings.tenants_file, Tenants)
    matcher = Matcher(opportunities.collection)
    orphaned = Orphaned(orphans, hints, matcher, reports, vault, settings.orphan_sweep_seconds)
    expected = Expected(database["expected_files"], tenants)
    batch = Batch(opportunities, matcher, orphaned, timing, vault)
    runner = Runner(imports, pieces, batch, expected, settings.import_lease_seconds, settings.import_most_seconds)
    taking = Taking(imports, pieces, tenants, settings)
    return Importing(imports, pieces, matcher, orphaned, expected, runner, taking)
