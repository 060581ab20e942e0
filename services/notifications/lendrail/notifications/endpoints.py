"""The endpoints of the tenants, in MongoDB; and those that the tenants file names, which need no registration: mail
addresses, and a topic of the tenant's own. Addresses and signing secrets rest sealed under a data key of the tenant.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lendrail.contracts.terms import Mode
from lendrail.contracts.topics import OUTCOMES
from lendrail.notifications.notify import Channel, Recipient, mail_recipient, registered_endpoint, topic_recipient
from lendrail.runtime import audit
from lendrail.runtime.audit import Actor
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, Tenant, Tenants
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.vault import Key, Vault

ACTIVE, DISABLED, DELETED = "active", "disabled", "deleted"
FRESH_SECONDS = 1.0
"""How long a delivery may use an endpoint that was deleted a moment ago."""
Audience = tuple[str, Mode]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a recipient is told, in plain. `secret` signs webhooks; mails and topics have none."""

    id: str
    tenant: str
    channel: Channel
    target: str
    state: str = ACTIVE
    secret: str = ""
    description: str | None = None


def key_id(tenant: str) -> str:
    return f"endpoints-{tenant}"


class Endpoints:
    """Registrations, and who hears of a tenant's applications."""

    def __init__(self, collection: Collection, vault: Vault, tenants: Mounted[Tenants]) -> None:
        self._collection, self._vault, self._tenants = collection, vault, tenants
        self._recent: dict[str, tuple[float, Endpoint | None]] = {}
        self._named: tuple[Tenants, dict[tuple[str, str], Endpoint]] | None = None

    async def prepare(self) -> None:
        await self._collection.create_index([("tenant", 1), ("mode", 1), ("state", 1)])

    async def register(self, audience: Audience, idempotency_key: str, wish: Endpoint, actor: Actor) -> Endpoint:
        """Store `wish` (its id is given here) and return what is stored under this idempotency key: it, or an older
        one.
        """
        tenant, mode = audience
        endpoint = str(registered_endpoint(tenant, mode, idempotency_key))
        key = (await self._vault.create([key_id(tenant)]))[key_id(tenant)]
        fresh = {
            "tenant": tenant,
            "mode": mode,
            "channel": wish.channel,
            "state": ACTIVE,
            "target": key.seal(wish.target),
            "secret": key.seal(wish.secret),
            "description": key.seal(wish.description) if wish.description is not None else None,
            "created": utc_now(),
        }
        after, about = audit.digest({"_id": endpoint} | fresh), {"channel": wish.channel}
        entry = audit.entry(actor, "endpoint-registered", f"endpoints/{endpoint}", after=after, about=about)
        stored = await self._collection.find_one_and_update(
            {"_id": endpoint}, {"$setOnInsert": fresh | audit.held(entry)}, upsert=True, return_document=True
        )
        assert stored is not None
        self._recent.pop(endpoint, None)
        return _opened(stored, key)

    async def registered(self, audience: Audience, idempotency_key: str) -> Endpoint | None:
        return await self.find(str(registered_endpoint(*audience, idempotency_key)))

    async def count(self, audience: Audience) -> int:
        return await self._collection.count_documents(_live(*audience))

    async def page(self, audience: Audience, limit: int, after: str | None) -> list[Endpoint]:
        """Registered endpoints in the order of their ids, from the one after `after`."""
        where = _live(*audience) | ({"_id": {"$gt": after}} if after else {})
        found = await self._collection.find(where).sort("_id", 1).limit(limit).to_list()
        return [await self._open(document) for document in found]

    async def delete(self, audience: Audience, endpoint: str, actor: Actor) -> bool:
        """Whether this tenant had it; deleting again changes nothing. Its address and secret are forgotten."""
        where = {"_id": endpoint, "tenant": audience[0], "mode": audience[1]}
        return await self._turn(where, DELETED, "endpoint-deleted", actor)

    async def disable(self, endpoint: str) -> None:
        """The endpoint said that it is gone for good (410)."""
        await self._turn({"_id": endpoint}, DISABLED, "endpoint-disabled")

    async def _turn(self, where: Document, state: str, what: str, actor: Actor | None = None) -> bool:
        """Bring an endpoint into a state that it is not in yet; without an actor it was we. Whether there is one."""
        self._recent.pop(where["_id"], None)
        while (document := await self._collection.find_one(where)) is not None:
            if document["state"] in (state, DELETED):
                return True
            by = actor or audit.by_service(document["tenant"], document["mode"], "notifications")
            change = _turned(document, state, what, by)
            matched = await self._collection.update_one(where | {"state": document["state"]}, change)
            if matched.matched_count == 1:
                return True
        return False

    async def find(self, endpoint: str) -> Endpoint | None:
        document = await self._collection.find_one({"_id": endpoint})
        return await self._open(document) if document else None

    async def current(self, tenant: str, endpoint: str) -> Endpoint | None:
        """An endpoint to deliver to now, known for a second; None when it was deleted or disabled."""
        named = self._of_the_file().get((tenant, endpoint))
        if named is not None:
            return named
        known = self._recent.get(endpoint)
        if known is None or known[0] < time.monotonic():
            if len(self._recent) > 10_000:
                self._recent.clear()
            known = self._recent[endpoint] = time.monotonic() + FRESH_SECONDS, await self.find(endpoint)
        found = known[1]
        return found if found is not None and found.state == ACTIVE and found.tenant == tenant else None

    async def recipients(self, audiences: Iterable[Audience]) -> dict[Audience, list[Recipient]]:
        """Who is told of the applications of each audience; an address in both lists is told once."""
        wanted = list(dict.fromkeys(audiences))
        tenants = self._tenants.current
        found: dict[Audience, list[Recipient]] = {a: _listed(tenants, a) for a in wanted}
        cursor = self._collection.find({"$or": [{**_live(*a), "state": ACTIVE} for a in wanted]})
        async for document in cursor:
            audience = (document["tenant"], document["mode"])
            endpoint = await self._open(document)
            mailed = {recipient.id for recipient in found[audience]}
            if endpoint.channel == "webhook" or mail_recipient(endpoint.tenant, endpoint.target) not in mailed:
                found[audience].append(Recipient(uuid.UUID(endpoint.id), endpoint.channel))
        return found

    def _of_the_file(self) -> dict[tuple[str, str], Endpoint]:
        tenants = self._tenants.current
        if self._named is None or self._named[0] is not tenants:
            self._named = tenants, {(t.id, e.id): e for t in tenants.tenants for e in _endpoints(t)}
        return self._named[1]

    async def _open(self, document: Document) -> Endpoint:
        return _opened(document, await self._vault.get(key_id(document["tenant"])))


def _turned(document: Document, state: str, what: str, actor: Actor) -> Document:
    """The update that turns it, with its audit entry."""
    gone = dict.fromkeys(("target", "secret", "description"), "") if state == DELETED else {}
    after = {name: value for name, value in document.items() if name not in gone} | {"state": state}
    before, of = audit.digest(document), f"endpoints/{document['_id']}"
    more = audit.pushed(audit.entry(actor, what, of, before=before, after=audit.digest(after)))
    change = {"$set": {"state": state} | more["$set"], "$push": more["$push"]}
    return change | ({"$unset": gone} if gone else {})


def _live(tenant: str, mode: Mode) -> Document:
    return {"tenant": tenant, "mode": mode, "state": {"$in": [ACTIVE, DISABLED]}}


def _opened(document: Document, key: Key) -> Endpoint:
    def opened(name: str) -> str:
        return key.open(document[name]) if document.get(name) else ""

    return Endpoint(
        id=document["_id"],
        tenant=document["tenant"],
        channel=document["channel"],
        target=opened("target"),
        state=document["state"],
        secret=opened("secret"),
        description=opened("description") if document.get("description") else None,
    )


def _listed(tenants: Tenants, audience: Audience) -> list[Recipient]:
    """Whom the tenants file names, each once; only of the tenant's own mode."""
    tenant = tenants.by_id.get(audience[0])
    if tenant is None or tenant.mode != audience[1]:
        return []
    return list(dict.fromkeys(Recipient(uuid.UUID(e.id), e.channel) for e in _endpoints(tenant)))


def _endpoints(tenant: Tenant) -> Iterator[Endpoint]:
    for address in tenant.emails:
        yield Endpoint(str(mail_recipient(tenant.id, address)), tenant.id, "email", address)
    if tenant.outcomes:
        yield Endpoint(str(topic_recipient(tenant.id)), tenant.id, "kafka", OUTCOMES.name(tenant.id))
