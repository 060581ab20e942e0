"""Amendments from the Kafka intake: kept at once, made when their application is there, each in its order.

An amendment may arrive before its application: topics and partitions keep no pace with one another. So every one is
first stored as due work under its own id, and loops make it through the same door as REST does. Nobody waits here for
the answer: a refusal is shown with the application.

Changes of one application of one tenant form a queue: what waits holds back only those behind it. Files are a lane of
their own, so that while the documents service is slow no other change waits for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Sequence

import structlog

from lendrail.contracts.application_amended import DocumentAdded
from lendrail.contracts.terms import FieldProblem
from lendrail.gateway.amending.amendments import Amendments, Asked, Asker, stale
from lendrail.gateway.amending.intake_amendments import DOCUMENT, Change, read_paper, read_wish
from lendrail.gateway.store import utc
from lendrail.gateway.uploads import NOBODY, Uploads
from lendrail.runtime.clock import utc_now
from lendrail.runtime.failures import DefectMeter
from lendrail.runtime.faults import point
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import OUTAGES, Collection, Document, insert_absent
from lendrail.runtime.vault import INTAKE_KEY_DAYS, Key, Vault

log = structlog.get_logger()
PATIENCE = dt.timedelta(hours=24)
"""How long an amendment waits for its application, for the opportunity that it names, or for the documents service."""
SOONEST, LATEST = dt.timedelta(seconds=0.5), dt.timedelta(minutes=5)
UNSETTLED = frozenset({400, 404, 408, 429, 502, 503})
"""What these say may be otherwise later: nothing here yet, or a file that did not get through whole."""
AWAY = UNSETTLED - {404}
ROUND = 500


class Changes:
    """Keeps and makes amendments from Kafka."""

    def __init__(
        self,
        collection: Collection,
        amendments: Amendments,
        uploads: Uploads,
        vault: Vault,
        defects: DefectMeter,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._collection, self._amendments, self._uploads = collection, amendments, uploads
        self._vault, self._defects, self._clock = vault, defects, clock
        self._awake = {lane: asyncio.Event() for lane in (False, True)}

    async def prepare(self) -> None:
        waiting = {"due": {"$exists": True}}
        await self._collection.create_index("due", partialFilterExpression=waiting)
        await self._collection.create_index("application", partialFilterExpression=waiting)
        await self._collection.create_index("expires", expireAfterSeconds=0)

    async def keep(self, changes: Sequence[Change]) -> list[Change]:
        """Durable when it returns. Returns those that came before with other content."""
        if not changes:
            return []
        now = self._clock()
        key = await self._vault.intake(now)
        first = {each.id: each for each in reversed(changes)}
        await insert_absent(self._collection, [_waiting(each, key, now) for each in first.values()])
        told = self._collection.find({"_id": {"$in": list(first)}}, {"key": 1, "fingerprint": 1})
        kept = {each["_id"]: each async for each in told}
        keys = await self._vault.find({each["key"] for each in kept.values()})
        for awake in self._awake.values():
            awake.set()
        return [each for each in changes if _contradicts(each, kept[each.id], keys)]

    async def run(self) -> None:
        """Make what is due until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            for files in self._awake:
                lanes.create_task(self._lane(files))

    async def _lane(self, files: bool) -> None:
        while True:
            try:
                if not await self.work(files):
                    await self._idle(self._awake[files])
            except OUTAGES as error:
                log.warning("amendments wait for their store", error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _idle(self, awake: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(0.5):
                await awake.wait()
        except TimeoutError:
            pass
        awake.clear()

    async def work(self, files: bool) -> int:
        """Make what is due; an application's amendments one after the other. Returns how many were settled."""
        where = {"due": {"$lte": self._clock()}, "kind": DOCUMENT if files else {"$ne": DOCUMENT}}
        due = await self._collection.find(where, {"tenant": 1, "application": 1}).sort("due").limit(ROUND).to_list()
        return sum(
            [await self._queue(*of, files) for of in dict.fromkeys((d["tenant"], d["application"]) for d in due)]
        )

    async def _queue(self, tenant: str, application: str, files: bool) -> int:
        """Settle the amendments of this lane that stand first. Those behind one that waits, wait with it."""
        mine = {"tenant": tenant, "application": application, "due": {"$exists": True}}
        cursor = self._collection.find(mine, {"due": 1, "kind": 1})
        settled = 0
        for head in await cursor.sort([("arrived", 1), ("partition", 1), ("offset", 1)]).to_list():
            now = self._clock()
            ours = (head.get("kind") == DOCUMENT) == files
            if not ours or utc(head["due"]) > now:
                await self._hold(mine, now + SOONEST if not ours else utc(head["due"]), files)
                break
            waiting = await self._collection.find_one({"_id": head["_id"], "due": {"$exists": True}})
            if waiting is None:  # another replica settled it
                continue
            if not await self._settle(waiting):
                break
            settled += 1
        return settled

    async def _hold(self, mine: Document, until: dt.datetime, files: bool) -> None:
        """They are not looked at before the one that they wait for."""
        lane = {"kind": DOCUMENT if files else {"$ne": DOCUMENT}}
        await self._collection.update_many(mine | lane | {"due": {"$lt": until}}, {"$set": {"due": until}})

    async def _settle(self, waiting: Document) -> bool:
        """Whether it is settled; if not, it comes again later, and those behind it wait."""
        try:
            return await self._make(waiting)
        except OUTAGES:
            raise
        except Exception as error:
            log.error("our code failed on an amendment", amendment=waiting["_id"], exc_info=error)
            self._defects.count()
            return await self._later(waiting)

    async def _make(self, waiting: Document) -> bool:
        key = (await self._vault.find([waiting["key"]])).get(waiting["key"])
        if key is None:  # its day's key was destroyed: nobody can read it any more
            return await self._done(waiting, "unreadable")
        asker, data = _asker(waiting, key), json.loads(key.open_bytes(bytes(waiting["value"])))
        kind = data["kind"]
        try:
            _raise(tuple(FieldProblem.model_validate(each) for each in waiting["problems"]))
            await (self._add(asker, data) if kind == DOCUMENT else self._change(asker, data))
        except Problem as fault:
            return await self._refused(waiting, asker, kind, fault)
        return await self._done(waiting, "stored")

    async def _change(self, asker: Asker, data: Document) -> None:
        """Durable when it returns. Raises `Problem`."""
        said = read_wish(data, self._amendments.tenant(asker.tenant))
        _raise(said.problems)
        assert said.amendment is not None
        await self._amendments.store(Asked(**asker.__dict__, amendment=said.amendment))

    async def _add(self, asker: Asker, data: Document) -> None:
        """Durable when it returns. The bytes go to the documents service first, which keeps the same ones once. So when
        this process dies before the amendment is stored, all of it is done again, to the same effect. Raises `Problem`.
        """
        paper, problems = read_paper(data)
        _raise(problems)
        assert paper is not None
        document = await self._amendments.find(asker.tenant, asker.mode, asker.application)
        if await self._amendments.known(document, asker.idempotency, asker.fingerprint):
            return
        if asker.revision not in (None, document["revision"]):
            raise stale(document["revision"])
        await self._amendments.may(document, DocumentAdded(document=NOBODY, opportunity_id=paper.opportunity))
        file, name = paper.file, paper.file.name.reveal() if paper.file.name else None
        ref = await self._uploads.bring_bytes(file.content.bytes(), asker.application, file.kind.value, name)
        point("intake.file.brought")
        added = DocumentAdded(document=ref, opportunity_id=paper.opportunity)
        await self._amendments.store(Asked(**asker.__dict__, amendment=added))

    async def _refused(self, waiting: Document, asker: Asker, kind: str, fault: Problem) -> bool:
        """What a problem means where nobody waits for the answer."""
        if fault.status == 410:
            return await self._done(waiting, "erased")
        if self._may_pass(waiting, fault):
            return await self._later(waiting)
        message = "it did not work for a day; publish it again under a new id" if fault.status in AWAY else fault.detail
        told = FieldProblem(pointer="", code=fault.code, message=message[:1000], phase="backend")
        try:
            await self._amendments.refuse(asker, kind, fault.errors or (told,))
        except Problem as why:
            if why.status == 503 or self._may_pass(waiting, why):
                return await self._later(waiting)
            if why.status == 410:
                return await self._done(waiting, "erased")
            log.warning("an amendment of nothing", amendment=waiting["_id"], code=fault.code)
            return await self._done(waiting, "unknown-application")
        return await self._done(waiting, "refused")

    def _may_pass(self, waiting: Document, fault: Problem) -> bool:
        passing = fault.status in UNSETTLED or "Retry-After" in fault.headers
        return passing and self._clock() - utc(waiting["arrived"]) < PATIENCE

    async def _later(self, waiting: Document) -> bool:
        """Again after a quarter of its age: soon while its application may be just behind it, seldom after hours. What
        was settled, or forgotten, meanwhile stays so.
        """
        now = self._clock()
        wait = min(max((now - utc(waiting["arrived"])) / 4, SOONEST), LATEST)
        due: Document = {"_id": waiting["_id"], "due": {"$exists": True}}
        await self._collection.update_one(due, {"$set": {"due": now + wait}})
        return False

    async def _done(self, waiting: Document, result: str) -> bool:
        """Its id stays known for as long as it could come again; its content does not."""
        change = {"$unset": {"due": "", "value": ""}, "$set": {"result": result}}
        await self._collection.update_one({"_id": waiting["_id"]}, change)
        return True


def _raise(problems: tuple[FieldProblem, ...]) -> None:
    if problems:
        raise Problem(422, "invalid-amendment", "Nothing was stored; `errors` names every fault.", errors=problems)


def _waiting(change: Change, key: Key, now: dt.datetime) -> Document:
    return {
        "_id": change.id,
        "tenant": change.tenant.id,
        "mode": change.tenant.mode,
        "upstream": change.upstream,
        "application": change.application,
        "revision": change.revision,
        "kind": change.data["kind"],
        "event": change.envelope.id,
        "correlation": change.envelope.correlation_id,
        "arrived": now,
        "partition": change.record.partition,
        "offset": change.record.offset,
        "due": now,
        "expires": now + dt.timedelta(days=INTAKE_KEY_DAYS),
        "key": key.id,
        "fingerprint": key.seal(change.fingerprint),
        "value": key.seal_bytes(json.dumps(change.data, default=float).encode()),
        "problems": [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in change.problems],
    }


def _asker(waiting: Document, key: Key) -> Asker:
    """The key holds a space, so no caller of the REST door can state it."""
    return Asker(
        tenant=waiting["tenant"],
        mode=waiting["mode"],
        by=waiting["upstream"],
        application=waiting["application"],
        idempotency=f"intake {waiting['_id']}",
        fingerprint=key.open(waiting["fingerprint"]),
        request=waiting["event"],
        correlation=waiting["correlation"],
        revision=waiting["revision"],
        cause=waiting["event"],
    )


def _contradicts(change: Change, kept: Document, keys: dict[str, Key]) -> bool:
    """Of an erased person nothing is left to compare with."""
    if kept["key"] not in keys or "fingerprint" not in kept:
        return False
    return keys[kept["key"]].open(kept["fingerprint"]) != change.fingerprint
