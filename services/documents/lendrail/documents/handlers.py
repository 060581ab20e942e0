"""What documents hears: an application was validated. It makes the documents and says: submit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from lendrail.contracts.application_validated import ApplicationValidated, Eligible
from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import DocumentRef, FieldProblem, utc_now
from lendrail.documents.files import Files, StoredFile, file_id
from lendrail.documents.links import Link, Links, new_token
from lendrail.documents.process import Rendered
from lendrail.documents.renderer import Renderer
from lendrail.documents.settings import Settings
from lendrail.documents.summary import summary
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenants
from lendrail.runtime.inbox import Effect, once
from lendrail.runtime.mongo import Collection
from lendrail.runtime.step import Delivery

SERVICE = "documents"
KIND, NAME = "application-summary", "application-summary.xlsx"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
UNMADE = FieldProblem(
    pointer="", code="document-not-made", message="the application summary could not be made", phase="backend"
)
log = structlog.get_logger()
Validated = Delivery[ApplicationValidated]


@dataclass
class Package:
    """One application with its documents, on the way to its partners."""

    delivery: Validated
    file: StoredFile | None
    links: dict[str, Link] = field(default_factory=dict)
    """By opportunity."""

    def submit(self, each: Eligible, public_url: str) -> Submit:
        event = self.delivery.event
        partner = PARTNERS.get(each.partner)
        takes = partner is None or partner.delivery is not None
        documents = (self._ref(each, public_url),) if self.file and takes else ()
        return Submit(
            application_id=event.application_id,
            tenant_id=event.tenant_id,
            mode=event.mode,
            revision=event.revision,
            received_at=event.received_at,
            opportunity_id=each.opportunity_id,
            partner=each.partner,
            credential=each.credential,
            gate=each.gate,
            intent=Send(application=event.application, documents=documents, unmade=() if self.file else (UNMADE,)),
        )

    def _ref(self, each: Eligible, public_url: str) -> DocumentRef:
        assert self.file is not None
        link = self.links.get(str(each.opportunity_id))
        if link is None:
            return self.file.ref
        return self.file.ref.model_copy(update={"link": Sensitive(link.address(public_url))})


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
        packages = await self._render(deliveries)
        await self.files.put([package.file for package in packages if package.file])
        self._link(packages)
        await self.links.put([link for package in packages for link in package.links.values()])
        return [self._effect(package) for package in packages]

    async def _render(self, deliveries: Sequence[Validated]) -> list[Package]:
        wanted = [each for each in deliveries if each.event.eligible]
        sheets = [summary(e.event.application, e.event.application_id, e.event.received_at) for e in wanted]
        rendered = dict(zip((each.id for each in wanted), await self.renderer.render(sheets), strict=True))
        return [Package(each, _stored(each, rendered[each.id]) if each.id in rendered else None) for each in deliveries]

    def _link(self, packages: Sequence[Package]) -> None:
        """Draw a link for each partner that fetches documents itself."""
        accounts, expires = self.tenants.current.accounts, utc_now() + self.settings.link_life
        for package in packages:
            if package.file is None:
                continue
            for each in package.delivery.event.eligible:
                if fetches(each.partner, accounts.get(each.credential)):
                    opportunity, file = str(each.opportunity_id), package.file
                    package.links[opportunity] = Link(
                        new_token(), file.ref.id, file.key_id, opportunity, each.partner, expires
                    )

    def _effect(self, package: Package) -> Effect:
        delivery = package.delivery
        facts = [package.submit(each, self.settings.public_url) for each in delivery.event.eligible]
        time = utc_now()
        records = [encode(fact, envelope_of(fact, SERVICE, time, delivery.envelope), delivery.key) for fact in facts]
        stored = {
            "tenant": delivery.event.tenant_id,
            "application": str(delivery.event.application_id),
            "revision": delivery.event.revision,
            "files": [package.file.ref.id] if package.file else [],
        }
        return stored, records


def fetches(partner: str, account: PartnerAccount | None) -> bool:
    """Whether the partner takes documents by link under this account."""
    delivery = PARTNERS[partner].delivery if partner in PARTNERS else None
    return delivery is not None and delivery(account.options if account else {}).by == "link"


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
