"""Idempotency keys as a simulated partner keeps them: a fold over the ledger's effects of kind `keys`."""

import hashlib
from dataclasses import dataclass
from typing import Any

from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect


@dataclass(frozen=True, slots=True)
class Kept:
    """What was answered to a key, for what; `until` in seconds since 1970, None for ever."""

    sha256: str
    status: int
    content: Any
    reference: str | None
    lead_id: str | None
    until: float | None


class Keys:
    """Of all users; each sees only its own."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Kept] = {}

    def apply(self, record: Record) -> None:
        """Follower."""
        for effect in record.get("effects", ()):
            if effect["kind"] == "keys":
                self._kept[record["user"], effect["key"]] = Kept(
                    effect["sha256"],
                    effect["status"],
                    effect["content"],
                    record.get("reference"),
                    record.get("leadId"),
                    effect["until"],
                )

    def seen(self, call: Call, key: str) -> Kept | None:
        """What this user was answered under `key`, unless that is forgotten by now."""
        kept = self._kept.get((call.user.user, key))
        return None if kept is None or (kept.until is not None and kept.until <= call.wall) else kept


def fingerprint(call: Call) -> str:
    """Of method, path and body: the same key with another one is a conflict."""
    head = f"{call.request.method} {call.request.url.path}\n".encode()
    return hashlib.sha256(head + call.body).hexdigest()


def remembered(call: Call, key: str, answer: Answer, life: float | None) -> Effect:
    """The effect that keeps `answer` under `key` for `life` seconds (None: for ever)."""
    until = None if life is None else call.wall + life
    told = {"status": answer.status, "content": answer.content}
    return {"kind": "keys", "key": key, "sha256": fingerprint(call), "until": until, **told}


def replayed(kept: Kept) -> Answer:
    """The original answer once more, noted as a duplicate."""
    return Answer(kept.status, kept.content, [{"kind": "duplicates", "by": "key"}], kept.reference, kept.lead_id)
