"""What each partner is asked to do about an application at one revision, with the documents that it needs for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lendrail.contracts.application import Upload
from lendrail.contracts.application_amended import DocumentAdded, OfferAccepted, Withdrawn
from lendrail.contracts.application_validated import ApplicationValidated, Eligible
from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.submit import AcceptOffer, AddDocument, Intent, Send, Submit, Withdraw
from lendrail.contracts.terms import DocumentRef, FieldProblem
from lendrail.documents.files import Listed, StoredFile, renamed
from lendrail.documents.links import Link, new_token
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import PartnerAccount
from lendrail.runtime.step import Delivery

UNMADE = FieldProblem(
    pointer="", code="document-not-made", message="the application summary could not be made", phase="backend"
)
Accounts = Mapping[str, PartnerAccount]


def sends(event: ApplicationValidated) -> bool:
    """Whether this revision is brought to partners as a whole; else only what was added, accepted or withdrawn."""
    return not isinstance(event.amendment, DocumentAdded | OfferAccepted | Withdrawn)


def asked(event: ApplicationValidated) -> tuple[Eligible, ...]:
    """Whom this revision asks for something: nobody where a person did it at the partner already, and a document that
    is meant for no one partner goes only to those that take its kind.
    """
    match event.amendment:
        case OfferAccepted(reported=True):
            return ()
        case DocumentAdded(opportunity_id=None, document=document):
            return tuple(each for each in event.eligible if _takes(each.partner, document.kind))
    return event.eligible


def uploads_of(event: ApplicationValidated) -> Iterator[str]:
    """Ids of the uploads that partners may need now."""
    if isinstance(event.amendment, DocumentAdded):
        yield event.amendment.document.id
    elif sends(event) and event.eligible:
        yield from (upload.id for upload in event.application.uploads)


@dataclass
class Package:
    """One application at one revision, on the way to its partners."""

    delivery: Delivery[ApplicationValidated]
    summary: StoredFile | None
    stored: Mapping[str, Listed]
    """Its uploads that are here, by id."""
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    """By opportunity and document."""

    def link(self, accounts: Accounts, expires: dt.datetime) -> None:
        """Draw a link to each document for each partner that fetches documents itself."""
        for each in asked(self.delivery.event):
            if fetches(each.partner, accounts.get(each.credential)):
                for ref in self._here(each):
                    opportunity = str(each.opportunity_id)
                    self.links[opportunity, ref.id] = Link(
                        new_token(), ref.id, self.delivery.key.id, opportunity, each.partner, expires
                    )

    def submit(self, each: Eligible, public_url: str) -> Submit:
        event = self.delivery.event
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
            intent=self._intent(each, public_url),
        )

    def _intent(self, each: Eligible, public_url: str) -> Intent:
        event = self.delivery.event
        match event.amendment:
            case DocumentAdded(document=document):
                return AddDocument(document=self._linked(each, document, public_url))
            case OfferAccepted(offer_id=offer_id, variant=variant):
                return AcceptOffer(offer_id=offer_id, variant=variant)
            case Withdrawn(reason=reason):
                return Withdraw(reason=reason)
        documents = tuple(self._linked(each, ref, public_url) for ref in self._here(each))
        return Send(application=event.application, documents=documents, unmade=tuple(self._unmade(each)))

    def _here(self, each: Eligible) -> list[DocumentRef]:
        """The documents for this partner that can be handed over."""
        if isinstance(self.delivery.event.amendment, DocumentAdded):
            stored = self.stored.get(self.delivery.event.amendment.document.id)
            return [stored.ref] if stored else []
        summary = [self.summary.ref] if self.summary and takes_documents(each.partner) else []
        uploads = [(upload, self._found(upload)) for _, upload in self._wanted(each)]
        return summary + [renamed(found.ref, upload.kind.value) for upload, found in uploads if found]

    def _unmade(self, each: Eligible) -> Iterator[FieldProblem]:
        if self.summary is None:
            yield UNMADE
        for at, upload in self._wanted(each):
            if self._found(upload) is None:
                message = "there is no such upload of this application"
                yield FieldProblem(pointer=f"/uploads/{at}/id", code="upload-missing", message=message, phase="backend")

    def _wanted(self, each: Eligible) -> Iterator[tuple[int, Upload]]:
        """The uploads whose kind the partner takes, with their place in the application."""
        partner, event = PARTNERS.get(each.partner), self.delivery.event
        if partner is not None and partner.delivery is not None and sends(event):
            for at, upload in enumerate(event.application.uploads):
                if upload.kind in partner.facts.documents:
                    yield at, upload

    def _found(self, upload: Upload) -> Listed | None:
        found = self.stored.get(upload.id)
        return found if found and found.ref.sha256 == upload.sha256 else None

    def _linked(self, each: Eligible, ref: DocumentRef, public_url: str) -> DocumentRef:
        link = self.links.get((str(each.opportunity_id), ref.id))
        return ref if link is None else ref.model_copy(update={"link": Sensitive(link.address(public_url))})


def _takes(name: str, kind: str) -> bool:
    """Whether the partner asks for documents of this kind; of one that is not known here nobody can say no."""
    partner = PARTNERS.get(name)
    return partner is None or kind in partner.facts.documents


def takes_documents(name: str) -> bool:
    """Whether a document can be handed to this partner; one that is not known here is submission's to refuse."""
    partner = PARTNERS.get(name)
    return partner is None or partner.delivery is not None


def fetches(partner: str, account: PartnerAccount | None) -> bool:
    """Whether the partner takes documents by link under this account."""
    delivery = PARTNERS[partner].delivery if partner in PARTNERS else None
    return delivery is not None and delivery(account.options if account else {}).by == "link"
