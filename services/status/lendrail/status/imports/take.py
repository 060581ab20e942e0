"""A file comes: whose it is, how it is read, whether it was here before. Nothing of it is read here."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator

import structlog
from starlette.requests import ClientDisconnect

from lendrail.contracts.files import BadFormat, FileFormat
from lendrail.partners import PARTNERS
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenants
from lendrail.runtime.http import Problem, unavailable
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.status.imports.expected import account_format
from lendrail.status.imports.store import KEPT_DAYS, Imports, Pieces, Stored, Wanted, import_id
from lendrail.status.settings import Settings

log = structlog.get_logger()
AT_ONCE = 4
WAIT_SECONDS = 5.0


class Taking:
    def __init__(self, imports: Imports, pieces: Pieces, tenants: Mounted[Tenants], settings: Settings) -> None:
        self._imports, self._pieces, self._tenants, self._settings = imports, pieces, tenants, settings
        self._free = asyncio.Semaphore(AT_ONCE)

    def wanted(
        self,
        caller: Caller,
        partner: str,
        credential: str | None,
        *,
        as_of: dt.datetime | None,
        dry: bool,
        again: str | None,
    ) -> Wanted:
        """Raises `Problem`."""
        account = self._account(caller, partner, credential)
        format = _format(account)
        return Wanted(
            tenant=caller.tenant_id,
            mode=caller.mode,
            partner=partner,
            credential=account.credential,
            format=format,
            as_of=as_of,
            dry=dry,
            again=again,
        )

    def _account(self, caller: Caller, partner: str, credential: str | None) -> PartnerAccount:
        tenant = self._tenants.current.by_id.get(caller.tenant_id)
        found = [
            each
            for each in (tenant.partners if tenant and partner in PARTNERS else ())
            if each.partner == partner and each.mode == caller.mode and credential in (None, each.credential)
        ]
        if not found:
            detail = "You have no such account: name a partner of yours, and its credential if you state one."
            raise Problem(404, "no-account", detail)
        if len(found) > 1:
            names = ", ".join(sorted(each.credential for each in found))
            detail = (
                f"You have several accounts at this partner. State credential, one of {names}: ids differ by account."
            )
            raise Problem(422, "credential-needed", detail)
        return found[0]

    async def take(
        self, wanted: Wanted, body: AsyncIterator[bytes], caller: Caller, request: str, correlation: str
    ) -> tuple[Document, bool]:
        """The import, and whether it is a new one. Raises `Problem`."""
        async with self._slot():
            stored = await self._whole(body)
        if stored.size == 0:
            raise Problem(422, "import-empty", "The body is empty; send the file as the body of the request.")
        document = _document(wanted, stored, caller, request, correlation)
        if not await self._imports.begin(document):
            await self._pieces.drop(stored.upload)
            return await self._imports.find(document["_id"]) or document, False
        log.info("a file was taken", id=document["_id"], partner=wanted.partner, bytes=stored.size, dry=wanted.dry)
        return document, True

    async def _whole(self, body: AsyncIterator[bytes]) -> Stored:
        try:
            async with asyncio.timeout(self._settings.import_seconds):
                return await self._pieces.keep(body)
        except TimeoutError:
            raise Problem(408, "upload-too-slow", "The file did not come in time; nothing was stored.") from None
        except ClientDisconnect:
            raise Problem(400, "upload-cut", "The file did not come whole; nothing was stored.") from None

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise unavailable() from None
        try:
            yield
        finally:
            self._free.release()


def _format(account: PartnerAccount) -> FileFormat:
    try:
        return account_format(account)
    except BadFormat as fault:
        raise Problem(422, "import-options", f"An operator has to correct this account: {fault}.") from None


def _document(wanted: Wanted, stored: Stored, caller: Caller, request: str, correlation: str) -> Document:
    """With the audit entry of who sent it."""
    id, now = import_id(wanted, stored.sha256), utc_now()
    about = {"partner": wanted.partner, "credential": wanted.credential, "dryRun": str(wanted.dry).lower()}
    entry = audit.entry(
        audit.by(caller, request), "file-imported", f"imports/{id}", after=stored.sha256, at=now, about=about
    )
    return {
        "_id": id,
        "tenant": wanted.tenant,
        "mode": wanted.mode,
        "partner": wanted.partner,
        "credential": wanted.credential,
        "format": wanted.format.model_dump(mode="json", by_alias=True),
        "as_of": wanted.as_of,
        "dry": wanted.dry,
        "sha256": stored.sha256,
        "bytes": stored.size,
        "upload": stored.upload,
        "pieces": stored.pieces,
        "state": "waiting",
        "row": 0,
        "counts": {},
        "by": caller.client_id,
        "cause": {"id": id, "correlation_id": correlation, "traceparent": None},
        "received_at": now,
        "expires": now + dt.timedelta(days=KEPT_DAYS),
        **audit.held(entry),
    }
