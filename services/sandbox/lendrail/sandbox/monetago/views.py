"""Results, matches and events as the registry tells them; amounts come back without separators."""

from typing import Any

from lendrail.sandbox.monetago.registry import EXACT, Fvr, Match, Registry, derived


def result(registry: Registry, fvr: Fvr) -> dict[str, Any]:
    """One FVR with its report of duplicates."""
    names = {
        "request_identification": fvr.request_id,
        "submitter_data_set_identification": fvr.dataset,
        "submitter_batch_identification": fvr.batch,
        "batch_identification": fvr.batch_id,
    }
    pool = {"pool_identification": fvr.pool} if fvr.pool else {}
    return {
        **names,
        **pool,
        "financing_request_status": fvr.told,
        "financing_request_amount": dict(fvr.amount),
        "financing_request_duplicate_report": [_reported(fvr, match) for match in registry.matches(fvr)],
    }


def _reported(fvr: Fvr, match: Match) -> dict[str, Any]:
    risk = {"proprietary_matching_details": {"proprietary_description": "CRITICAL_RISK"}}
    return {
        "match_identification": match.id,
        "match_type": match.kind,
        "matched_financing_request_status": match.other.status,
        "matched_financing_request_amount": dict(match.other.amount),
        "matched_date_time": max(fvr.at, match.other.at),
        **(risk if match.kind == EXACT else {}),
        "related_document_match_identifications": [derived("document", match.id)],
    }


def lines(fvr: Fvr, match: Match) -> dict[str, Any]:
    """One match field by field, without a word of what the other side wrote."""
    ours, theirs = fvr.documents[0], match.other.documents[0]
    compared = [
        {"field": name, "matched": ours[name] == theirs[name]}
        for name in ("type", "number", "date", "seller", "buyer", "amount")
    ]
    about = {"match_identification": match.id, "match_type": match.kind}
    return about | {"submitter_data_set_identification": fvr.dataset, "document_match_lines": compared}
