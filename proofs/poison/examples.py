"""Real records to spoil: the contracts' examples, readable by the stack they are sent to, and a sealed import."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from tests import make

from lendrail.contracts.event import Malformed, read_envelope
from lendrail.contracts.topics import TOPICS
from lendrail.local.publish import public_key, record
from lendrail.runtime.settings import read_key
from lendrail.runtime.step import read_delivery
from lendrail.runtime.vault import Key, LocalWrapper
from proofs.poison.mutations import Raw

SECRET = hashlib.sha256(b"lendrail example key, not a secret").digest()
"""Under it, and the id that `ce_keyid` names, the tokens in the examples are sealed."""
INTAKE = "intake-demo-crm"
_TOPICS = {topic.name: topic for topic in TOPICS}


def of_events() -> dict[str, list[Raw]]:
    """By topic."""
    found: dict[str, list[Raw]] = {}
    for path in sorted(make.EXAMPLES.glob("*.json")):
        content: dict[str, Any] = json.loads(path.read_text())
        if content.get("topic") in _TOPICS:
            headers = tuple((name, text.encode()) for name, text in content["headers"].items())
            value = json.dumps(content["body"]).encode()
            found.setdefault(content["topic"], []).append(
                Raw(content["topic"], content["key"].encode(), value, headers)
            )
    return found


def of_intake(folder: Path) -> list[Raw]:
    """An import of the demo tenant's upstream, sealed for the key that the stack's folder holds."""
    value, headers, event = record(make.application_json(), public_key(folder / "config" / "intake.jwk"))
    return [Raw(INTAKE, event.encode(), value, tuple(headers))]


def unlock(mongo: str, folder: Path, examples: dict[str, list[Raw]]) -> None:
    """Put the examples' keys into the stack's vault, so that what is wrong with a record is all that is wrong."""
    wrapper = LocalWrapper(read_key(folder / "config" / "master.key"))
    ids = {dict(raw.headers)["ce_keyid"] for raws in examples.values() for raw in raws}
    with MongoClient[dict[str, Any]](mongo) as client:
        for key_id in sorted(each.decode() for each in ids if each):
            fresh = {"$setOnInsert": {"wrapped": wrapper.wrap(SECRET)}}
            client["keys"]["data_keys"].update_one({"_id": key_id}, fresh, upsert=True)


def readable(raw: Raw) -> bool:
    """Whether a consumer of our own topics could read it, had it the examples' keys and no other."""
    try:
        envelope = read_envelope(raw.headers, _TOPICS[raw.topic].event.type())
        known = {key_id: Key(key_id, SECRET) for key_id in (envelope.key_id,) if key_id in key_ids()}
        read_delivery(_TOPICS[raw.topic], raw, envelope, known)
    except Malformed:
        return False
    return True


@cache
def key_ids() -> frozenset[str]:
    return frozenset(
        (dict(raw.headers).get("ce_keyid") or b"").decode() for raws in of_events().values() for raw in raws
    )
