"""Tells partners where to call us, and what shall prove their calls: once for each credential, address and secret,
looked after by one worker. A secret path or a secret that is replaced in the mounted files is told within seconds, so
that the former one can end.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import SecretStr

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    NoAnswer,
    NotSent,
    Outcome,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Webhook
from lendrail.runtime import due
from lendrail.runtime.directory import Mounted, PartnerAccount, Secrets, Tenants
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.submission.planning.desk import crossing
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.hearing import tell
from lendrail.submission.settings import Settings

log = structlog.get_logger()
OPERATION = "register-webhook"
NOTICE_SECONDS = 2.0
LANES = 4
"""So that a partner that hangs holds up none of the others."""


class Registrations:
    """The collection `registrations`: one document for each credential, address and secret, of which a hash is kept."""

    def __init__(
        self,
        settings: Settings,
        collection: Collection,
        tenants: Mounted[Tenants],
        port: PartnerPort,
        channels: Channels,
    ) -> None:
        self._settings, self._collection, self._tenants = settings, collection, tenants
        self._port, self._channels = port, channels
        self._secrets = Secrets(settings.webhook_secrets_file)
        self.worker = Worker(
            collection, self._register, where=self._open, lanes=LANES, lease_seconds=settings.lease_seconds
        )

    async def prepare(self) -> None:
        await due.prepare(self._collection)

    async def run(self) -> None:
        """Look for accounts without a registration every hour, and whenever there is a new address or secret."""
        known, again = frozenset[str](), 0.0
        every = self._settings.register_webhooks_every
        while True:
            try:
                wanted = self._wanted()
                if time.monotonic() >= again or not known.issuperset(wanted):
                    await self._look(wanted)
                    known, again = frozenset(wanted), time.monotonic() + every
                await asyncio.sleep(min(NOTICE_SECONDS, every))
            except OUTAGES as error:
                log.warning("registrations wait for their store", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _look(self, wanted: Mapping[str, PartnerAccount]) -> None:
        for credential in self._unproven():
            log.error("no secret could prove this partner's calls: not registered", credential=credential)
        for registration, account in wanted.items():
            await self._want(registration, account)
        self.worker.wake()

    def _wanted(self) -> dict[str, PartnerAccount]:
        """Accounts at partners that call back, by registration id."""
        proven = [each for each in self._calling_back() if self._secret(each) or not _signs(each)]
        return {f"{each.credential}|{self._digest(each)}": each for each in proven}

    def _unproven(self) -> list[str]:
        """Credentials whose partner signs its calls, but with what nobody said."""
        return [each.credential for each in self._calling_back() if _signs(each) and not self._secret(each)]

    def _calling_back(self) -> list[PartnerAccount]:
        if not self._settings.public_url:
            return []
        accounts = [account for tenant in self._tenants.current.tenants for account in tenant.partners]
        return [each for each in accounts if each.enabled and (hook := _webhook(each)) and hook.register]

    def _secret(self, account: PartnerAccount) -> SecretStr | None:
        """The newest one; of partners that do not sign none."""
        secrets = self._secrets.of(account.credential) if _signs(account) else ()
        return secrets[0] if secrets else None

    def _address(self, account: PartnerAccount) -> str:
        return f"{self._settings.public_url.rstrip('/')}/webhooks/{account.partner}/{account.webhook_path}"

    def _digest(self, account: PartnerAccount) -> str:
        """The path in an address is a secret, long enough to hide another one behind their common hash."""
        secret = self._secret(account)
        told = self._address(account) + (f"|{secret.get_secret_value()}" if secret else "")
        return hashlib.sha256(told.encode()).hexdigest()[:24]

    async def _want(self, registration: str, account: PartnerAccount) -> None:
        fresh = {"credential": account.credential, "partner": account.partner, "state": "wanted", "tries": 0}
        is_new = {"$eq": [{"$type": "$state"}, "missing"]}
        with_due = {"$mergeObjects": ["$$ROOT", {"$literal": fresh}, {"due": "$$NOW"}]}
        change = [{"$replaceWith": {"$cond": [is_new, with_due, "$$ROOT"]}}]
        await self._collection.update_one({"_id": registration}, change, upsert=True)

    async def _open(self) -> Document:
        return {"credential": {"$nin": list(await self._port.paused())}}

    async def _register(self, document: Document, lease: Lease, lane: int) -> None:
        account = self._wanted().get(document["_id"])
        if account is None:
            await self._end(document, lease, "withdrawn")
            return
        partner = PARTNERS[account.partner]
        assert partner.webhook is not None
        assert partner.webhook.register is not None
        operation = partner.operations[OPERATION]
        if document["tries"] > operation.repeats:
            log.error("a webhook address could not be registered", credential=account.credential)
            await self._end(document, lease, "parked")
            return
        try:
            outcome = await self._call(
                document, lease, lane, account, partner.webhook.register(self._address(account), self._secret(account))
            )
        except (Paused, Open):
            await self._later(document, lease, 1.0, taken_back=True)
            return
        except (ValueError, KeyError) as error:  # no credential, another mode's, or one that no channel fits
            log.error("a call could not begin", credential=account.credential, error=type(error).__name__)
            await self._later(document, lease, self._wait(document), taken_back=True)
            return
        await self._decide(document, lease, outcome)

    async def _call(
        self, document: Document, lease: Lease, lane: int, account: PartnerAccount, request: Request
    ) -> Outcome | NotSent | NoAnswer:
        """A try is counted before its first byte, and taken back when it is known that nothing came of it."""
        partner = PARTNERS[account.partner]
        deadline = self._settings.deadline(partner.operations[OPERATION])
        if crossing(self._port.credential(account.credential), account.mode):
            raise ValueError("mode-crossing")
        async with self._port.call(account.credential, "submission", OPERATION) as credential:
            await self._collection.update_one(_mine(document, lease), {"$inc": {"tries": 1}})
            answer = await self._channels.open(lane, credential).send(
                request, deadline, lambda: lease.seconds_left() >= deadline
            )
            await tell(self._port, credential.id, request, answer)
        if not isinstance(answer, Reply):
            return answer
        try:
            return partner.outcome(request, answer)
        except Exception as error:  # the call is over; what we cannot read we do not know
            log.error("a reply could not be read", partner=partner.name, exc_info=error)
            return Unknown("unreadable-reply")

    async def _decide(self, document: Document, lease: Lease, outcome: Outcome | NotSent | NoAnswer) -> None:
        if isinstance(outcome, Accepted):
            log.info("a webhook address is registered", credential=document["credential"])
            await self._end(document, lease, "registered")
        elif isinstance(outcome, Rejected):
            log.error("a webhook address was refused", credential=document["credential"])
            await self._end(document, lease, "refused")
        elif isinstance(outcome, NotSent | RetryLater | CredentialRefused):
            after = outcome.after if isinstance(outcome, RetryLater) else 0.0
            if isinstance(outcome, CredentialRefused):
                await self._port.pause(
                    document["credential"], "credential-refused", self._settings.credential_pause_seconds
                )
            await self._later(document, lease, after + self._wait(document), taken_back=True)
        else:
            operation = PARTNERS[document["partner"]].operations[OPERATION]
            await self._later(document, lease, self._settings.processing(operation) + self._wait(document))

    def _wait(self, document: Document) -> float:
        schedule = self._settings.retry_seconds or (1.0,)
        return random.uniform(0, schedule[min(document.get("delays", 0), len(schedule) - 1)])

    async def _end(self, document: Document, lease: Lease, state: str) -> None:
        change: list[Document] = [{"$set": {"state": state, "ended": "$$NOW"}}, {"$unset": ["due", "lease"]}]
        await self._collection.update_one(_mine(document, lease), change)

    async def _later(self, document: Document, lease: Lease, seconds: float, *, taken_back: bool = False) -> None:
        fields: dict[str, Any] = {"due": due.in_seconds(seconds), "delays": document.get("delays", 0) + 1}
        if taken_back:
            fields["tries"] = document["tries"]
        await self._collection.update_one(_mine(document, lease), [{"$set": fields}, {"$unset": "lease"}])


def _mine(document: Document, lease: Lease) -> Document:
    return {"_id": document["_id"], "lease.token": lease.token}


def _webhook(account: PartnerAccount) -> Webhook | None:
    partner = PARTNERS.get(account.partner)
    return partner.webhook if partner else None


def _signs(account: PartnerAccount) -> bool:
    webhook = _webhook(account)
    return webhook is not None and webhook.proof is not None
