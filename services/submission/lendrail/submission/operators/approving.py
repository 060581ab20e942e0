"""Approvers let live applications through a credential, and take that back. Recorded before it takes effect.

What is approved is the credential as it is mounted here now (`Credential.place`); a repeated request gives its first
answer, says again what it said then, and so never approves a place that the credential has moved to since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Model
from lendrail.partners import PARTNERS
from lendrail.runtime.approvals import Approval, Approvals
from lendrail.runtime.bodies import checked, idempotency_key
from lendrail.runtime.directory import Credential, Credentials, Mounted, PartnerAccount
from lendrail.runtime.http import Problem, authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.submission.operators.actions import Actions
from lendrail.submission.operators.pauses import Done, Pauses
from lendrail.submission.planning.desk import crossing

APPROVER = "approver"
"""The scope; an operator does not have it by being one."""
What = Literal["approve", "revoke-approval"]
SAID: dict[What, str] = {"approve": "credential-approved", "revoke-approval": "approval-revoked"}
"""In the audit."""


class Approving(Model):
    """Why, and of which credential; of all that the caller has at the partner when none is named."""

    reason: SensitiveText
    credential: Annotated[str, Field(strict=True, min_length=1, max_length=200)] | None = None


@dataclass(frozen=True)
class Approved:
    """How a live account stands."""

    state: Literal["approved", "missing", "moved", "revoked", "not-configured"]
    """`moved`: what was approved is another place than where it points now."""
    address: str | None
    """Where it points now, without what may be secret in it."""
    word: Approval | None


class Approvers:
    """Their words, and the effect."""

    def __init__(
        self, actions: Actions, approvals: Approvals, pauses: Pauses, credentials: Mounted[Credentials]
    ) -> None:
        """`pauses` knows the accounts of a caller."""
        self._actions, self._approvals, self._pauses, self._credentials = actions, approvals, pauses, credentials

    async def carry_out(
        self, caller: Caller, what: What, partner: str, told: Approving, idempotency: str, request: str
    ) -> Done:
        """`request`: its id. Raises `Problem`."""
        accounts = self._accounts(caller, partner, told)
        places = [self._place(caller, each) for each in accounts] if what == "approve" else [""] * len(accounts)
        subjects = [{"credential": a.credential, "place": place} for a, place in zip(accounts, places, strict=True)]
        document, replayed = await self._actions.record(
            caller, idempotency, request, said=SAID[what], why=told.reason,
            about={"what": what, "partner": partner, "subjects": subjects},
            told=[what, partner, caller.mode, told.credential],
            noted={"credentials": ", ".join(each.credential for each in accounts)},
        )  # fmt: skip
        for each in document["subjects"]:
            word = Approval(
                action=document["_id"], at=document["at"], approved=document["what"] == "approve",
                place=each["place"], by=document["who"], reason=document["why"],
            )  # fmt: skip
            await self._approvals.say(each["credential"], word)
        return Done(_answer(document), replayed)

    async def stands(self, accounts: Sequence[PartnerAccount]) -> dict[str, Approved]:
        """By credential, how the live ones of these stand."""
        live = [each.credential for each in accounts if each.mode == "live"]
        said = await self._approvals.said(live) if live else {}
        mounted = self._credentials.current.by_id
        return {each: _stand(mounted.get(each), said.get(each)) for each in live}

    def _accounts(self, caller: Caller, partner: str, told: Approving) -> list[PartnerAccount]:
        """Those that are meant. Raises `Problem`."""
        mine = self._pauses.accounts(caller, partner) if partner in PARTNERS else []
        meant = [each for each in mine if told.credential in (None, each.credential)]
        if not meant:
            raise Problem(404, "not-found", "There is no such partner, or you have no such account there.")
        if caller.mode != "live":
            raise Problem(409, "approval-not-needed", "Test credentials need no approval.")
        return meant

    def _place(self, caller: Caller, account: PartnerAccount) -> str:
        """What an approval of it is bound to. Raises `Problem` where nothing could go there anyway."""
        credential = self._credentials.current.by_id.get(account.credential)
        wanted = caller.tenant_id, account.partner
        if credential is None or (credential.tenant, credential.partner) != wanted:
            raise Problem(409, "not-configured", "A credential is not in the mounted file, or is somebody else's.")
        if crossing(credential, account.mode):
            raise Problem(409, "mode-crossing", "A credential is for test, or its address is plain http.")
        return credential.place


def routes(approvers: Approvers) -> APIRouter:
    router = APIRouter(prefix="/v1/partners", tags=["partners"])
    approver = Depends(authorised(APPROVER))

    @router.post("/{partner}/approve")
    async def approve(partner: str, request: Request, caller: Caller = approver) -> Response:
        """Let live applications through; what waited goes on by itself."""
        return await carry_out(caller, "approve", partner, request)

    @router.post("/{partner}/revoke-approval")
    async def revoke(partner: str, request: Request, caller: Caller = approver) -> Response:
        """Hold all calls again, until there is another approval."""
        return await carry_out(caller, "revoke-approval", partner, request)

    async def carry_out(caller: Caller, what: What, partner: str, request: Request) -> Response:
        told = checked(Approving, await strict_body(request))
        done = await approvers.carry_out(caller, what, partner, told, idempotency_key(request), request_id(request))
        return reply(done.answer, headers={"Idempotency-Replayed": "true"} if done.replayed else None)

    return router


def _stand(credential: Credential | None, word: Approval | None) -> Approved:
    if credential is None:
        return Approved("not-configured", None, word)
    address = urlsplit(credential.base_url)
    shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    if word is None:
        return Approved("missing", shown, None)
    if not word.approved:
        return Approved("revoked", shown, word)
    return Approved("approved" if word.place == credential.place else "moved", shown, word)


def _answer(document: Document) -> dict[str, Any]:
    return {
        "partner": document["partner"],
        "mode": document["mode"],
        "approved": document["what"] == "approve",
        "credentials": [each["credential"] for each in document["subjects"]],
        "at": document["at"].isoformat(),
    }
