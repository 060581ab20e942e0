"""What documents hears: an application was validated, or a change of it. It makes the documents and says: submit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.contracts.terms import DocumentRef
from lendrail.documents.files import Files, Listed, StoredFile, file_id
from lendrail.documents.links import Links
from lendrail.documents.package import Package, asked, sends, uploads_of
from lendrail.documents.process import Rendered
from lendrail.documents.renderer import Renderer
from lendrail.documents.settings import Settings
from lendrail.documents.summary import summary
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.inbox import Effect, once
from lendrail.runtime.mongo import Collection
from lendrail.runtime.step import Delivery

SERVICE = "documents"
KIND, NAME = "application-summary", "application-summary.xlsx"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
log = structlog.get_logger()
Validated = Delivery[ApplicationValidated]


@dataclass(frozen=True)
class Handlers:
    packages: Collection
    files: Files
    links: Links
    renderer: Renderer
    tenants: Mounted[Tenants]
    settings: Settings

    async def on_application_validated(self, deliveries: Sequence[Validated]) -> Sequence[Record]:
        return await once(self.packages, deliveries, self._package)

    async def _package(self, deliveries: Sequence[Validated]) -> list[Effect]:
        """Files first, under their hash; then the links; the caller then stores the one document that counts."""
        summaries, stored = await self._render(deliveries), await self._stored(deliveries)
        packages = [Package(each, summaries.get(each.id), stored[each.id]) for each in deliveries]
        await self.files.put([package.summary for package in packages if package.summary])
        accounts, expires = self.tenants.current.accounts, utc_now() + self.settings.link_life
        for package in packages:
            package.link(accounts, expires)
        await self.links.put([link for package in packages for link in package.links.values()])
        return [self._effect(package) for package in packages]

    async def _render(self, deliveries: Sequence[Validated]) -> dict[str, StoredFile | None]:
        """The summaries that are needed, by event."""
        wanted = [each for each in deliveries if each.event.eligible and sends(each.event)]
        sheets = [summary(e.event.application, e.event.application_id, e.event.received_at) for e in wanted]
        rendered = await self.renderer.render(sheets)
        return {each.id: _stored(each, result) for each, result in zip(wanted, rendered, strict=True)}

    async def _stored(self, deliveries: Sequence[Validated]) -> dict[str, dict[str, Listed]]:
        """The uploads that are needed and here, by event. Another application's are as unknown as none at all."""
        wanted = {each.id: list(uploads_of(each.event)) for each in deliveries}
        ids = {id for some in wanted.values() for id in some}
        found = await self.files.listed(ids) if ids else {}
        return {
            each.id: {id: found[id] for id in wanted[each.id] if id in found and found[id].key_id == each.key.id}
            for each in deliveries
        }

    def _effect(self, package: Package) -> Effect:
        delivery = package.delivery
        facts = [package.submit(each, self.settings.public_url) for each in asked(delivery.event)]
        time = utc_now()
        records = [encode(fact, envelope_of(fact, SERVICE, time, delivery.envelope), delivery.key) for fact in facts]
        stored = {
            "tenant": delivery.event.tenant_id,
            "mode": delivery.event.mode,
            "application": str(delivery.event.application_id),
            "revision": delivery.event.revision,
            "files": [package.summary.ref.id] if package.summary else [],
        }
        return stored, records


def _stored(delivery: Validated, rendered: Rendered) -> StoredFile | None:
    if isinstance(rendered, str):
        log.error("a document could not be made", application=str(delivery.event.application_id), error=rendered)
        return None
    sha256 = hashlib.sha256(rendered).hexdigest()
    ref = DocumentRef(
        id=file_id(delivery.key.id, sha256),
        kind=KIND,
        name=NAME,
        content_type=XLSX,
        sha256=sha256,
        size=len(rendered),
    )
    return StoredFile(ref, delivery.key.id, delivery.key.seal_content(rendered))
