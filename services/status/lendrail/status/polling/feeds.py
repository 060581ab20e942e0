"""Partners' feeds: one list of all that happened at a partner, read from a cursor on; each entry is a hint.

One document for each credential, under a lease, so one reader at a time. A page's hints are stored before the cursor
moves, and the cursor moves before anything is acknowledged: whoever dies in between, the next reader does it again, and
what it does again is known by its id.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from typing import Any

import structlog

from lendrail.contracts.terms import NAMESPACE
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import CredentialRefused, Hint, Page, Reply, Request, RetryLater
from lendrail.partners.partner import Feed, Partner
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.faults import point
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.vault import INTAKE_KEY_DAYS, Vault
from lendrail.status.hints import Hints
from lendrail.status.polling.asking import Asked, Asking, NotNow, kept
from lendrail.status.settings import Settings
from lendrail.status.timing import Timing, readable, released

log = structlog.get_logger()
PAGES_A_TURN = 20
"""Then the lease is given back and the rest is due at once."""
LANES = 256
"""Feeds read at the same time, one connection each; a partner that hangs holds one."""
MOST_SEEN = 20_000
"""Entries that are remembered over the overlap."""
OWN_LANE = -1
"""Not one of those on which opportunities are looked at."""
LEASE_SECONDS, LONGEST_SECONDS = 10.0, 300.0
"""Of a turn: its lease is renewed while it goes on, and after the death of its process another one reads on."""
LOOK_FOR_CREDENTIALS_SECONDS = 2.0


class Feeds:
    """Reads the feed of every credential whose partner has one and can be asked what its hints mean."""

    def __init__(
        self,
        collection: Collection,
        hints: Hints,
        asking: Asking,
        timing: Timing,
        credentials: Mounted[Credentials],
        vault: Vault,
        settings: Settings,
    ) -> None:
        self.collection, self._hints, self._asking, self._timing = collection, hints, asking, timing
        self._credentials, self._vault, self._longest = credentials, vault, settings.longest_wait_seconds
        poll = min(1.0, (self._longest or 4.0) / 4)
        self.worker = Worker(
            collection, self.turn, where=self._open, lanes=LANES, lease_seconds=LEASE_SECONDS,
            longest_seconds=LONGEST_SECONDS, poll_seconds=poll,
        )  # fmt: skip

    async def prepare(self) -> None:
        await due.prepare(self.collection)

    async def run(self) -> None:
        """Follow the mounted file of credentials."""
        while True:
            try:
                await self.provide()
            except OUTAGES as error:
                log.warning("feeds wait for their store", error=type(error).__name__)
            await asyncio.sleep(LOOK_FOR_CREDENTIALS_SECONDS)

    def _fed(self) -> list[Credential]:
        return [each for each in self._credentials.current.credentials if _feed(each.partner) is not None]

    async def provide(self) -> None:
        """Give each credential its document."""
        for credential in self._fed():
            await self._want(credential)

    async def _want(self, credential: Credential) -> None:
        names = {"tenant": credential.tenant, "partner": credential.partner, "credential": credential.id}
        is_new = {"$eq": [{"$type": "$partner"}, "missing"]}
        fresh = {"$mergeObjects": ["$$ROOT", {"$literal": names}, {"due": "$$NOW"}]}
        change = [{"$replaceWith": {"$cond": [is_new, fresh, "$$ROOT"]}}]
        await self.collection.update_one({"_id": credential.id}, change, upsert=True)

    async def _open(self) -> Document:
        paused = await self._asking.port.paused()
        return {"_id": {"$in": [each.id for each in self._fed() if each.id not in paused]}}

    async def turn(self, document: Document, lease: Lease, _: int) -> None:
        """Read pages until there are no more, or enough for one turn."""
        partner, feed = PARTNERS[document["partner"]], _feed(document["partner"])
        if feed is None or not await self._acknowledge(document, lease, partner, feed):
            return
        more, entries = True, None
        for _page in range(PAGES_A_TURN):
            page = await self._page(document, lease, partner, feed)
            moved = await self._store(document, lease, feed, page) if page is not None else None
            if page is None or moved is None or not await self._acknowledge(moved, lease, partner, feed):
                return
            onward = moved["cursor"] != document.get("cursor") or (feed.acknowledge and page.entries != entries)
            document, entries, more = moved, page.entries, page.more and bool(onward)
            if not more:
                break
        await self._rest(document, lease, feed, more)

    async def _page(self, document: Document, lease: Lease, partner: Partner, feed: Feed) -> Page | None:
        """The next page; None when it could not be had or read, which is then stored."""
        request = feed.request(document.get("cursor"), utc_now())
        asked = await self._ask(document, lease, partner, request)
        if asked is None:
            return None
        if not isinstance(asked.reply, Reply):
            await self._failed(document, lease, asked.reply.reason)
            return None
        try:
            page = feed.page(asked.reply)
        except Exception as error:  # a fault in a translation must not lose the partner's word
            log.error("a feed could not be translated", credential=document["_id"], exc_info=error)
            page = None
        if page is None:
            await self._not_understood(document, lease, partner, request, asked.reply)
        return page

    async def _ask(self, document: Document, lease: Lease, partner: Partner, request: Request) -> Asked | None:
        try:
            return await self._asking.ask(partner, request, document, "poll", OWN_LANE, lease)
        except NotNow as reason:
            await self._change(document, lease, dict(reason.fields))
            return None

    async def _not_understood(
        self, document: Document, lease: Lease, partner: Partner, request: Request, reply: Reply
    ) -> None:
        """A refusal that the profile knows, or a reply that is kept, sealed under the intake key of the day."""
        try:
            outcome: object = partner.outcome(request, reply)
        except Exception as error:
            log.error("a feed could not be translated", credential=document["_id"], exc_info=error)
            outcome = None
        if isinstance(outcome, RetryLater):
            await self._asking.port.pause(document["_id"], "retry-later", outcome.after)
            await self._failed(document, lease, "retry-later", outcome.after)
            return
        if isinstance(outcome, CredentialRefused):
            await self._asking.refused(document["_id"])
        reason = f"status-{reply.status}" if reply.status != 200 else "unreadable-reply"
        await self._failed(document, lease, reason, reply=kept(reply, await self._vault.intake(utc_now())))

    async def _store(self, document: Document, lease: Lease, feed: Feed, page: Page) -> Document | None:
        """Follow the hints of a page, then move the cursor and note what is to be acknowledged. None when the lease was
        lost.
        """
        contents = {content_of(hint): hint for hint in page.hints}
        seen = {*document.get("last", ()), *document.get("current", ())} if feed.acknowledge is None else set()
        fresh = [(content, hint) for content, hint in contents.items() if content not in seen]
        await self._hints.take([_call(document, content, hint) for content, hint in fresh])
        point("feeds.stored")
        cursor = page.cursor if page.cursor is not None else document.get("cursor")
        current = list(dict.fromkeys([*document.get("current", ()), *contents]))
        entries = list(page.entries) if feed.acknowledge is not None else []
        fields = {"cursor": cursor, "current": current[-MOST_SEEN:], "unacknowledged": entries}
        if not await self._change(document, lease, {name: {"$literal": value} for name, value in fields.items()}):
            return None
        point("feeds.moved")
        return document | fields

    async def _acknowledge(self, document: Document, lease: Lease, partner: Partner, feed: Feed) -> bool:
        """Whether the reader may go on. What is not acknowledged now is before the next page is read."""
        entries = document.get("unacknowledged")
        if feed.acknowledge is None or not entries:
            return True
        asked = await self._ask(document, lease, partner, feed.acknowledge(tuple(entries)))
        if asked is None:
            return False
        if not isinstance(asked.reply, Reply) or not 200 <= asked.reply.status < 300:
            await self._failed(document, lease, "not-acknowledged")
            return False
        point("feeds.acknowledged")
        return await self._change(document, lease, {"unacknowledged": {"$literal": []}})

    async def _rest(self, document: Document, lease: Lease, feed: Feed, more: bool) -> None:
        """The turn is over: what it saw is what the next one's overlap may bring again."""
        every = min(feed.every, self._longest) if self._longest is not None else feed.every
        seen = {"last": {"$literal": document.get("current", [])}, "current": {"$literal": []}}
        good: Document = {"fetch.seen_at": "$$NOW", "fetch.failures": 0, "fetch.error": "$$REMOVE"}
        again = {"due": "$$NOW" if more else due.in_seconds(every)}
        await self._change(document, lease, seen | good | again | released(lease.token))

    async def _failed(
        self,
        document: Document,
        lease: Lease,
        reason: str,
        seconds: float | None = None,
        reply: Document | None = None,
    ) -> None:
        log.warning("a feed told nothing", credential=document["_id"], reason=reason)
        fields = self._timing.after_failure(document, lease.token, reason, seconds, reply)
        await self._change(document, lease, fields)

    async def _change(self, document: Document, lease: Lease, fields: dict[str, Any]) -> bool:
        where = {"_id": document["_id"], "lease.token": lease.token}
        return (await self.collection.update_one(where, [{"$set": fields}])).matched_count == 1


def _feed(partner: str) -> Feed | None:
    """Hints that nobody can follow are not fetched."""
    known = PARTNERS.get(partner)
    return known.feed if known is not None and readable(partner) else None


def content_of(hint: Hint) -> str:
    """What tells one entry from another: the partner gives entries no ids."""
    content = "\n".join((hint.partner_id, hint.reference or "", hint.word))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _call(document: Document, content: str, hint: Hint) -> Document:
    """A hint as calls are kept; the same for the same entry after the same cursor, whoever reads it again."""
    cursor, now = document.get("cursor"), utc_now()
    return {
        "_id": str(uuid.uuid5(NAMESPACE, f"feed|{document['_id']}|{cursor}|{content}")),
        "tenant": document["tenant"],
        "partner": document["partner"],
        "credential": document["_id"],
        "partner_id": hint.partner_id or None,
        "reference": hint.reference,
        "words": hint.word[:500],
        "received_at": now,
        "expires": now + dt.timedelta(days=INTAKE_KEY_DAYS),
    }
