"""The demo's webhook receiver believes only what the secret signed."""

import datetime as dt
import json
import time

import httpx
from standardwebhooks import Webhook

from lendrail.local.hooks import Receiver

SECRET = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def send(url: str, secret: str, stamp: float) -> int:
    body = json.dumps({"data": {"applicationId": "a-1", "status": "approved"}})
    signature = Webhook(secret).sign("msg-1", dt.datetime.fromtimestamp(stamp, dt.UTC), body)
    headers = {"webhook-id": "msg-1", "webhook-timestamp": str(int(stamp)), "webhook-signature": signature}
    return httpx.post(url, content=body, headers=headers, trust_env=False).status_code


def test_only_what_is_signed_and_recent_is_kept() -> None:
    """Signed with the public library of Standard Webhooks, checked with our own few lines."""
    other = SECRET.replace("QUFB", "QkJC", 1)
    with Receiver() as receiver:
        receiver.secret = SECRET
        assert send(receiver.url, other, time.time()) == 401
        assert send(receiver.url, SECRET, time.time() - 3600) == 401
        assert not receiver.notices
        assert send(receiver.url, SECRET, time.time()) == 204
        assert receiver.told("a-1", "approved")
        assert not receiver.told("a-1", "declined")
