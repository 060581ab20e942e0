"""What a row of the table says."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.sabotage.copied import Edit

RUNTIME = "libs/runtime/lendrail/runtime"
CONTRACTS = "libs/contracts/lendrail/contracts"
SUBMISSION = "services/submission/lendrail/submission"
GATEWAY = "services/gateway/lendrail/gateway"
PARTNERS = "libs/partners/lendrail/partners"
STATUS = "services/status/lendrail/status"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One protection."""

    name: str
    protection: str
    edits: tuple[Edit, ...]
    proofs: tuple[str, ...]
    """Node ids of pytest. All must be green with the protection; one must report the violation without it."""
    reports: str
    """A regular expression for a part of what the proof says, so that a crash does not pass for a report."""
    judge: str
    """Who counted."""
    kafka: bool = False
    """Whether the proof needs a broker; MongoDB is there for all."""
    quick: bool = False
    """Both runs take a few seconds: fit for the sample in `make test`."""
