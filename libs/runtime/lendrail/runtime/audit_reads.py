"""`GET /v1/audit` of a service: its chained entries, newest first, for operators of the tenant that they belong to.

A page token is a place in time, the same for every service, so the gateway can ask all of them for the next page with
one token and put their pages together.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pymongo import DESCENDING

from lendrail.contracts.sensitive import Erased, SealBroken
from lendrail.runtime.audit_chain import Chain
from lendrail.runtime.http import Problem, authorised, reply
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.service import Service
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key, Vault

LARGEST_PAGE = 200
NAMES = {"id": "id", "tenant": "tenant", "mode": "mode", "who": "who", "what": "what", "of": "of",
         "application": "applicationId", "request": "requestId", "before": "before", "after": "after",
         "about": "about"}  # fmt: skip
NEWEST_FIRST = [("entry.at", DESCENDING), ("entry.id", DESCENDING)]
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
Shown = dict[str, Any]
Text = Annotated[str | None, Query(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for, and for whom."""

    tenant: str
    mode: str
    who: str | None = None
    what: str | None = None
    application: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    size: int = 50
    token: str | None = None

    @property
    def question(self) -> str:
        """Binds a token to the list that it was given for, without showing it."""
        times = [each.isoformat() if each else None for each in (self.since, self.until)]
        said = [self.tenant, self.mode, self.who, self.what, self.application, *times]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def where(self) -> Document:
        """Raises `Problem` 400 for a token of another list."""
        named = {"tenant": self.tenant, "mode": self.mode, "who": self.who, "what": self.what}
        named["application"] = self.application
        conditions: list[Document] = [{f"entry.{name}": value} for name, value in named.items() if value is not None]
        if self.since is not None:
            conditions.append({"entry.at": {"$gte": self.since}})
        if self.until is not None:
            conditions.append({"entry.at": {"$lt": self.until}})
        if self.token is not None:
            at, last = _place(self.token, self.question)
            conditions.append({"$or": [{"entry.at": {"$lt": at}}, {"entry.at": at, "entry.id": {"$lt": last}}]})
        return {"$and": conditions}

    def token_after(self, shown: Shown) -> str:
        """The token of the page that begins after this entry."""
        milliseconds = (_moment(shown["at"]) - _EPOCH) // dt.timedelta(milliseconds=1)
        place = json.dumps([milliseconds, shown["id"], self.question])
        return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def asked(
    caller: Annotated[Caller, Depends(authorised("operator"))],
    who: Text = None,
    what: Text = None,
    application: Text = None,
    since: Text = None,
    until: Text = None,
    size: Annotated[int, Query(alias="pageSize", ge=1, le=LARGEST_PAGE)] = 50,
    token: Annotated[str | None, Query(alias="pageToken", max_length=300)] = None,
) -> Asked:
    """A dependency: what an operator looks for. Raises `Problem`."""
    times = [_stated(name, text) for name, text in (("since", since), ("until", until))]
    return Asked(caller.tenant_id, caller.mode, who, what, application, times[0], times[1], size, token)


class Entries:
    """The chained entries of one service."""

    def __init__(self, service: str, links: Collection, vault: Vault) -> None:
        self._service, self._links, self._vault = service, links, vault

    async def page(self, wanted: Asked) -> Shown:
        """Raises `Problem`."""
        cursor = self._links.find(wanted.where()).sort(NEWEST_FIRST).limit(wanted.size + 1)
        found = await cursor.to_list()
        keys = await self._keys(found)
        return paged([self._shown(link, keys) for link in found], wanted)

    async def _keys(self, links: Iterable[Document]) -> dict[str, Key]:
        """Erasure is asked of the store, not of the keys that this process remembers."""
        named = {link["entry"]["key"] for link in links if "key" in link["entry"]}
        return await self._vault.find(named - await self._vault.erased(named)) if named else {}

    def _shown(self, link: Document, keys: dict[str, Key]) -> Shown:
        entry = link["entry"]
        fields: Shown = {shown: entry[name] for name, shown in NAMES.items() if name in entry}
        fields |= {"at": _text(entry["at"]), "service": self._service}
        fields |= {"sequence": link["_id"], "hash": link["hash"]}
        if "why" in entry:
            fields["why"] = _opened(entry["why"], keys.get(entry["key"]))
        return {name: value for name, value in fields.items() if value is not None}


def keep(service: Service, *sources: Collection) -> Entries:
    """Chain the entries in these collections as long as the service lives."""
    chain = Chain(service.name, service.database, sources)
    service.prepare(chain.prepare)
    service.loop(chain.run)
    return Entries(service.name, chain.store.links, service.vault)


def paged(found: Sequence[Shown], wanted: Asked, *, more: bool = False) -> Shown:
    """One page of entries that are in order; `more`: there are others behind the last of them."""
    page = list(found[: wanted.size])
    following = page and (more or len(found) > wanted.size)
    return {"items": page} | ({"nextPageToken": wanted.token_after(page[-1])} if following else {})


def merged(pages: Sequence[Shown], wanted: Asked) -> Shown:
    """One page out of the pages of several services, each asked for the same. A page that has more is full, so nothing
    of its service behind it can belong before its last entry.
    """
    found = sorted((each for page in pages for each in page["items"]), key=_order, reverse=True)
    return paged(found, wanted, more=any("nextPageToken" in page for page in pages))


def routes(entries: Entries) -> APIRouter:
    """What a service answers the gateway, which puts the pages together."""
    router = APIRouter(prefix="/v1")

    @router.get("/audit", tags=["audit"])
    async def audit(wanted: Annotated[Asked, Depends(asked)]) -> Response:
        """Who did what, and why."""
        return reply(await entries.page(wanted), headers={"Cache-Control": "no-store"})

    return router


def _order(shown: Shown) -> tuple[dt.datetime, str]:
    return _moment(shown["at"]), shown["id"]


def _opened(sealed: str, key: Key | None) -> str | None:
    """None where the person that it spoke of was erased."""
    try:
        return key.open(sealed) if key is not None else None
    except (SealBroken, Erased):
        return None


def _text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _stated(name: str, text: str | None) -> dt.datetime | None:
    """A time with its zone. Raises `Problem` 422."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        detail = f"{name} must be a time with its zone, such as 2026-03-02T11:00:00Z."
        raise Problem(422, "invalid-request", detail) from None


def _place(token: str, question: str) -> tuple[dt.datetime, str]:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        milliseconds, last, of = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if of != question or type(milliseconds) is not int or not re.fullmatch(r"[0-9a-f]{32}", last):
            raise ValueError
        return _EPOCH + dt.timedelta(milliseconds=milliseconds), last
    except (ValueError, TypeError, OverflowError, binascii.Error):
        detail = "Use the pageToken of the page before, with the same query."
        raise Problem(400, "page-token-invalid", detail) from None
