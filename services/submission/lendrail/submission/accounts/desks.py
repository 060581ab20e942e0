"""Looks up what is configured for an opportunity, as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lendrail.contracts.submit import Submit
from lendrail.partners import PARTNERS
from lendrail.partners.partner import Fetched
from lendrail.runtime.directory import Credentials, Mounted, PartnerAccount, Tenants
from lendrail.submission.accounts.lists import PartnerLists
from lendrail.submission.attempts.attempt import Opportunity
from lendrail.submission.planning.desk import Beside, Desk
from lendrail.submission.store import Store


class Desks:
    def __init__(self, tenants: Mounted[Tenants], credentials: Mounted[Credentials], lists: PartnerLists) -> None:
        self._tenants, self._credentials, self._lists = tenants, credentials, lists

    async def fetched(self, wanted: Sequence[Submit | Opportunity]) -> Mapping[str, Fetched]:
        """By credential, the lists of those partners that give any."""
        giving = {each.credential for each in wanted if _gives_lists(each.partner)}
        return await self._lists.fetched(giving) if giving else {}

    async def of_one(self, opportunity: Opportunity) -> Desk:
        return self.of(opportunity.tenant, opportunity, await self.fetched([opportunity]))

    def of(self, tenant_id: str, wanted: Submit | Opportunity, lists: Mapping[str, Fetched]) -> Desk:
        tenant = self._tenants.current.by_id.get(tenant_id)
        accounts = {each.credential: each for each in tenant.partners} if tenant else {}
        credential, account = self._credentials.current.by_id.get(wanted.credential), accounts.get(wanted.credential)
        beside = self._beside(account, accounts)
        return Desk(PARTNERS.get(wanted.partner), account, credential, beside, lists.get(wanted.credential, {}))

    def _beside(self, account: PartnerAccount | None, accounts: Mapping[str, PartnerAccount]) -> Beside | None:
        if account is None or account.supplement is None:
            return None
        mail = accounts.get(account.supplement)
        login = self._credentials.current.by_id.get(account.supplement)
        return Beside(PARTNERS.get(mail.partner) if mail else None, mail, login)


def is_registry(partner: str) -> bool:
    found = PARTNERS.get(partner)
    return found is not None and found.kind == "registry"


async def with_lenders(desk: Desk, opportunity: str, store: Store) -> Desk:
    """A registration's, with the lenders that it clears as they are now."""
    if desk.partner is None or not is_registry(desk.partner.name):
        return desk
    return replace(desk, lenders=tuple(await store.behind(opportunity)))


def _gives_lists(partner: str) -> bool:
    found = PARTNERS.get(partner)
    return found is not None and found.lists is not None
