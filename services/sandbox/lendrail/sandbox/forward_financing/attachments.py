"""Documents: raw bytes, strict Base64, one link, or up to 25 links. Only name, hash and size are kept."""

import asyncio
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.forward_financing.deals import Deal, Deals
from lendrail.sandbox.ledger import Effect
from lendrail.sandbox.outbound import Fetched, Outbound, is_web_url

RECEIVED = {"message": "Your attachment was received and is being processed"}
BULK_LIMIT = 25
"""Entries of one bulk call that are used; the rest is ignored."""


class Attachments:
    """`POST /attachment` and `POST /attachments`; `due` tells when the next decision falls after this call."""

    def __init__(self, deals: Deals, outbound: Outbound, due: Callable[[Call, str], float]) -> None:
        self._deals, self._outbound, self._due = deals, outbound, due

    def reference(self, call: Call) -> str | None:
        """For dials: the reference of the lead a document belongs to."""
        deal = self._deals.find(call.user.user, str(self._parameters(call).get("lead_id", "")))
        return deal.reference if deal else None

    async def one(self, call: Call) -> Answer:
        """Bytes are taken as they are, whatever content type is claimed: real clients claim wrong ones."""
        parameters = self._parameters(call)
        deal = self._deals.find(call.user.user, str(parameters.get("lead_id", "")))
        filename = parameters.get("filename")
        if deal is None or not isinstance(filename, str) or not filename:
            return _bad("filename and lead_id must be given, lead_id as the lead endpoint returned it")
        if "attachment_url" in parameters or _claims_json(call):
            return await self._by_url(call, deal, filename, parameters.get("attachment_url"))
        data, how = call.body, "raw"
        if str(parameters.get("encoded", "")).lower() == "true":
            how = "base64"
            try:
                data = binascii.a2b_base64(call.body, strict_mode=True)
            except binascii.Error:
                return _bad("the body is not strict Base64")
        if not data:
            return _bad("the file is empty")
        file = Fetched(hashlib.sha256(data).hexdigest(), len(data))
        return self._answer(call, deal, 202, RECEIVED, [_effect(deal, filename, how, file)])

    async def _by_url(self, call: Call, deal: Deal, filename: str, url: object) -> Answer:
        """202 means received for processing: a link that gives nothing shows in the ledger, not in the answer."""
        if not isinstance(url, str) or not is_web_url(url):
            return _bad("attachment_url is not a valid URL")
        file = await self._outbound.fetch(url)
        return self._answer(call, deal, 202, RECEIVED, [_effect(deal, filename, "url", file)])

    async def bulk(self, call: Call) -> Answer:
        """202 when all were taken, 207 with results in request order when some were, 422 when none was."""
        parameters = self._parameters(call)
        deal = self._deals.find(call.user.user, str(parameters.get("lead_id", "")))
        entries = parameters.get("attachments")
        if deal is None or not isinstance(entries, list) or not entries:
            return _bad("lead_id and attachments must be given, lead_id as the lead endpoint returned it")
        entries = [entry if isinstance(entry, dict) else {} for entry in entries[:BULK_LIMIT]]
        files = await asyncio.gather(*(self._entry(entry) for entry in entries))
        effects = [
            _effect(deal, str(entry.get("filename", "")), "bulk", file, entry.get("tags"))
            for entry, file in zip(entries, files, strict=True)
        ]
        results = [_result(effect) for effect in effects]
        failed = sum(file.error is not None for file in files)
        if failed == len(files):
            errors = {"attachments": ["none could be accepted"]}
            return self._answer(call, deal, 422, {"errors": errors, "results": results}, effects)
        if failed:
            return self._answer(call, deal, 207, {"results": results}, effects)
        return self._answer(call, deal, 202, {**RECEIVED, "results": results}, effects)

    async def _entry(self, entry: dict[str, Any]) -> Fetched:
        url = entry.get("attachment_url")
        if not isinstance(entry.get("filename"), str) or not entry["filename"]:
            return Fetched(error="filename can't be blank")
        return (
            await self._outbound.fetch(url)
            if isinstance(url, str) and is_web_url(url)
            else Fetched(error="invalid url")
        )

    def _answer(self, call: Call, deal: Deal, status: int, content: dict[str, Any], effects: list[Effect]) -> Answer:
        due = self._due(call, deal.reference)
        for effect in effects:
            effect["decisionDue"] = due

        async def reschedule() -> None:
            self._deals.schedule(deal)

        return Answer(status, content, effects, deal.reference, deal.lead_id, reschedule)

    def _parameters(self, call: Call) -> dict[str, Any]:
        """The query, and over it the JSON body when the call is (or can only be) one by URL."""
        query: dict[str, Any] = dict(call.request.query_params)
        if not _claims_json(call) and "lead_id" in query:
            return query
        try:
            content = call.json
        except ValueError:
            return query
        return {**query, **content} if isinstance(content, dict) else query


def _claims_json(call: Call) -> bool:
    return call.request.headers.get("content-type", "").lower().startswith("application/json")


def _effect(deal: Deal, filename: str, how: str, file: Fetched, tags: object = None) -> Effect:
    effect: Effect = {"kind": "attachments", "leadId": deal.lead_id, "filename": filename, "how": how}
    effect |= {"sha256": file.sha256, "size": file.size, "accepted": file.error is None, "error": file.error}
    return effect | ({"tags": tags} if isinstance(tags, list) else {})


def _result(effect: Effect) -> dict[str, Any]:
    good = {"filename": effect["filename"], "status": "accepted"}
    return good if effect["accepted"] else {**good, "status": "rejected", "error": effect["error"]}


def _bad(text: str) -> Answer:
    return Answer(400, {"message": text})
