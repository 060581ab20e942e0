"""What an amendment makes of a stored application, and whether it can be made at all. Pure; the doors ask and store.

A refusal here comes from what the partner's profile and the read model say. What only submission knows is answered
later, by its ack, and shown with the opportunity.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lendrail.contracts.application import Application, Upload
from lendrail.contracts.application_amended import (
    Amendment,
    Corrected,
    DocumentAdded,
    OfferAccepted,
    PartnerAdded,
    Withdrawn,
)
from lendrail.contracts.application_fields import ALL, FileName
from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.terms import DocumentRef, FieldProblem, Offer, Status
from lendrail.gateway.shapes import AmendmentView, ApplicationView, OpportunityView
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import Tenant

MAX_SCOPE, MAX_UPLOADS = 50, 100
"""What the application's own schema allows."""
CLOSED = frozenset({Status.DECLINED, Status.DUPLICATE, Status.FUNDED, Status.WITHDRAWN, Status.EXPIRED, Status.ERASED})
"""Nothing changes these any more, not even a correction."""
ENDED = CLOSED | {Status.FAILED, Status.INELIGIBLE, Status.INVALID}
"""There is nothing at the partner that could be accepted, withdrawn or added to."""
TAKEN = frozenset(
    {
        Status.SUBMITTED,
        Status.IN_REVIEW,
        Status.INFO_REQUIRED,
        Status.REFERRED,
        Status.APPROVED,
        Status.ACCEPTED,
    }
)
REFUSED_BY_PARTNER = {
    "withdrawn": {"not-withdrawable", "withdraw-rejected"},
    "offer-accepted": {"not-acceptable", "accept-rejected"},
}
"""After one of these, as a reason or as a flag of the opportunity, the same may be asked again."""


@dataclass(frozen=True)
class Standing:
    """An application at the moment somebody wants to amend it."""

    view: ApplicationView
    content: Application | None
    """As it stands; None where it was rejected and never corrected."""
    tenant: Tenant
    now: dt.datetime

    @property
    def lenders(self) -> list[OpportunityView]:
        return [each for each in self.view.opportunities if each.kind == "lender"]

    def opportunity(self, wanted: uuid.UUID) -> OpportunityView | None:
        return next((each for each in self.view.opportunities if each.opportunity_id == wanted), None)


@dataclass(frozen=True)
class Refusal:
    """Why it cannot be done. `wait`: it may be possible in a moment."""

    code: str
    detail: str
    status: int = 409
    errors: tuple[FieldProblem, ...] = ()
    wait: bool = False


def replayed(first: Application | None, amendments: Iterable[Amendment]) -> Application | None:
    """The application after all of these."""
    content = first
    for amendment in amendments:
        content = applied(content, amendment)
    return content


def applied(content: Application | None, amendment: Amendment) -> Application | None:
    """What `amendment` makes of `content`. A document asked for by one partner stays with that one."""
    if isinstance(amendment, Corrected):
        return amendment.application
    if content is None:
        return None
    if isinstance(amendment, PartnerAdded) and content.target_partners != ALL:
        more = tuple(name for name in amendment.partners if name not in content.target_partners)
        return content.model_copy(update={"target_partners": (*content.target_partners, *more)})
    if isinstance(amendment, DocumentAdded) and amendment.opportunity_id is None:
        others = tuple(each for each in content.uploads if each.id != amendment.document.id)
        return content.model_copy(update={"uploads": (*others, upload_of(amendment.document))})
    return content


def upload_of(document: DocumentRef) -> Upload:
    known = document.kind in set(UploadKind)
    return Upload(
        id=document.id,
        kind=UploadKind(document.kind) if known else UploadKind.OTHER,
        sha256=document.sha256,
        name=FileName(document.name),
    )


def refusal(amendment: Amendment, standing: Standing) -> Refusal | None:
    """Why this amendment cannot be made as things stand; None: it can, as far as we can tell here."""
    if isinstance(amendment, Corrected):
        return _correcting(standing)
    if isinstance(amendment, Withdrawn):
        return _withdrawing(amendment, standing)
    if standing.content is None:
        return Refusal("application-invalid", "The application was rejected; correct it first, with PUT.")
    if isinstance(amendment, PartnerAdded):
        return _adding_partners(amendment, standing)
    if isinstance(amendment, DocumentAdded):
        return _adding_a_document(amendment, standing)
    return _accepting(amendment, standing)


def _correcting(standing: Standing) -> Refusal | None:
    lenders = standing.lenders
    if lenders and all(each.status in CLOSED for each in lenders):
        return _ended("The application has ended at every partner; send a new one.")
    return _withdrawal_under_way(standing)


def _adding_partners(amendment: PartnerAdded, standing: Standing) -> Refusal | None:
    assert standing.content is not None
    problems = partner_problems(amendment.partners, standing.content, standing.tenant)
    if problems:
        return Refusal("invalid-amendment", "Nothing was stored; `errors` names every fault.", 422, problems)
    if withdrawn := _withdrawal_under_way(standing):
        return withdrawn
    if any(each.kind == "corrected" and each.state == "received" for each in standing.view.amendments):
        detail = "A correction is being validated; repeat the request in a second."
        return Refusal("correction-undecided", detail, wait=True)
    there = {each.partner for each in standing.view.opportunities if each.status not in (Status.INELIGIBLE,)}
    if there & set(amendment.partners):
        return Refusal("already-there", "One of these partners has the application already.")
    return None


def partner_problems(partners: Sequence[str], content: Application, tenant: Tenant) -> tuple[FieldProblem, ...]:
    """What the tenant's set-up and the person's consent say against adding these partners."""
    own = {account.partner for account in tenant.partners}
    found = []
    for index, partner in enumerate(partners):
        if partner not in own:
            found.append(_problem(index, "unknown-partner", "is not a partner of yours"))
        elif not content.consents_to(partner):
            message = "may not have it: no consent (share-with-partners) covers this partner; correct the application"
            found.append(_problem(index, "consent-missing", message))
    if content.target_partners != ALL and len({*content.target_partners, *partners}) > MAX_SCOPE:
        found.append(_problem(0, "too-many-partners", f"would make more than {MAX_SCOPE} target partners"))
    return tuple(found)


def _adding_a_document(amendment: DocumentAdded, standing: Standing) -> Refusal | None:
    assert standing.content is not None
    if amendment.opportunity_id is None:
        lenders = standing.lenders
        if lenders and all(each.status in CLOSED for each in lenders):
            return _ended("The application has ended at every partner.")
        known = {each.id for each in standing.content.uploads}
        if len(known | {amendment.document.id}) > MAX_UPLOADS:
            return Refusal("too-many-documents", f"An application carries at most {MAX_UPLOADS} documents.")
        return _withdrawal_under_way(standing)
    at = standing.opportunity(amendment.opportunity_id)
    if at is None:
        return _unknown_opportunity()
    if at.status in ENDED:
        return _ended()
    words = "takes no documents after the application"
    return _withdrawal_under_way(standing, at) or _lacking(at, "takes_later_documents", words)


def _withdrawing(amendment: Withdrawn, standing: Standing) -> Refusal | None:
    if amendment.opportunity_id is not None:
        at = standing.opportunity(amendment.opportunity_id)
        return _unknown_opportunity() if at is None else _withdrawing_at(at, standing)
    lenders = standing.lenders
    if not lenders:
        if standing.view.status in ENDED:
            return _ended("The application has ended.")
        return _withdrawal_under_way(standing)
    refusals = [_withdrawing_at(each, standing) for each in lenders]
    if any(each is None for each in refusals):
        return None
    return min((each for each in refusals if each), key=lambda each: _TELLING.index(each.code))


_TELLING = ("not-possible-at-partner", "already-withdrawn", "already-ended")
"""Where all lenders refuse, the word of one that is still open tells most."""


def _withdrawing_at(at: OpportunityView, standing: Standing) -> Refusal | None:
    if at.status in ENDED:
        return _ended()
    return _withdrawal_under_way(standing, at) or _lacking(at, "withdraw", "takes no withdrawal")


def _accepting(amendment: OfferAccepted, standing: Standing) -> Refusal | None:
    at = standing.opportunity(amendment.opportunity_id)
    if at is None:
        return _unknown_opportunity()
    if at.status in (Status.ACCEPTED, Status.FUNDED) or _asked(standing, "offer-accepted", at):
        return Refusal("already-accepted", "An offer of this opportunity was accepted already.")
    if at.status in ENDED:
        return _ended()
    if withdrawn := _withdrawal_under_way(standing, at):
        return withdrawn
    offers = meant(at.made, amendment.offer_id, amendment.variant)
    if len(offers) != 1:
        detail = "State which variant." if offers else "The partner made no such offer here."
        return Refusal("unknown-offer", detail)
    return _taking_up(amendment, at, offers[0], standing.now)


def meant(offers: Iterable[Offer], offer: str, variant: str | None) -> list[Offer]:
    """The offers that somebody may mean by these words."""
    return [each for each in offers if each.id == offer and variant in (None, each.variant)]


def _taking_up(amendment: OfferAccepted, at: OpportunityView, offer: Offer, now: dt.datetime) -> Refusal | None:
    if amendment.reported:
        return None  # the partner took it there, whatever our clock says of its last day
    if offer.expires_at is not None and offer.expires_at <= now:
        return Refusal("offer-expired", "The offer's time is over.")
    if _able(at, "accept"):
        return None
    if offer.action_link is not None:
        where = f"/v1/opportunities/{at.opportunity_id}/offers/{{offerId}}/link"
        detail = (
            f"The partner takes it up by its own link only: get it from GET {where}, and then report the acceptance "
            "with `reported`: true."
        )
        return Refusal("accept-by-link", detail)
    return Refusal("not-possible-at-partner", "The partner takes up offers by itself; report it with `reported`: true.")


def _withdrawal_under_way(standing: Standing, at: OpportunityView | None = None) -> Refusal | None:
    if _asked(standing, "withdrawn", at):
        return Refusal("already-withdrawn", "A withdrawal is under way.")
    return None


def _asked(standing: Standing, kind: str, at: OpportunityView | None) -> bool:
    """Whether this was asked before and neither validation nor the partner refused it."""
    places = standing.view.opportunities if at is None else (at,)
    if any(REFUSED_BY_PARTNER[kind] & {*each.flags, *(why.code for why in each.reasons)} for each in places):
        return False
    return any(_concerns(each, at) for each in standing.view.amendments if each.kind == kind)


def _concerns(amendment: AmendmentView, at: OpportunityView | None) -> bool:
    wide = amendment.opportunity_id is None or (at is not None and amendment.opportunity_id == at.opportunity_id)
    return wide and amendment.state != "refused"


def _lacking(at: OpportunityView, operation: str, words: str) -> Refusal | None:
    """Before the partner has it, everything can be done here."""
    if at.kind == "registry":
        return Refusal("not-possible-at-partner", "A registry follows what happens at the lender by itself.")
    if (at.status in TAKEN or at.partner_id is not None) and not _able(at, operation):
        return Refusal("not-possible-at-partner", f"This partner {words}.")
    return None


def _able(at: OpportunityView, operation: str) -> bool:
    """Whether the partner's profile has this; one that is no longer in our table has nothing."""
    return bool(getattr(PARTNERS.get(at.partner or ""), operation, None))


def _ended(detail: str = "The opportunity has ended.") -> Refusal:
    return Refusal("already-ended", detail)


def _unknown_opportunity() -> Refusal:
    return Refusal("not-found", "You have no such opportunity.", 404)


def _problem(index: int, code: str, message: str) -> FieldProblem:
    return FieldProblem(pointer=f"/partners/{index}", code=code, message=message, phase="backend")
