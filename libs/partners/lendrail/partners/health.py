"""What an answer tells of the partner itself, whatever it means for the request."""

from __future__ import annotations

from lendrail.partners.exchange import NoAnswer, NotSent, Reply, Request

OURS = frozenset({"withheld", "invalid-request", "credential-refused"})
"""Reasons for which nothing was sent that tell nothing of the partner."""
MAIL_CLOSED = 421
"""The one reply of a mail server that speaks of the server (RFC 5321, 3.8); all others speak of the message."""


def healthy(request: Request, answer: Reply | NotSent | NoAnswer) -> bool | None:
    """False: no connection, no complete answer, or one that speaks of trouble. None: it tells nothing."""
    if isinstance(answer, Reply):
        return answer.status != MAIL_CLOSED if request.method == "MAIL" else answer.status < 500
    return None if isinstance(answer, NotSent) and answer.reason in OURS else False
