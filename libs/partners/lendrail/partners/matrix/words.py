"""The sentences of the published matrix: what a class means, how a scheme signs in, how a call to us is proven."""

from __future__ import annotations

from dataclasses import dataclass

from lendrail.partners.matrix.markdown import code, duration, listed
from lendrail.partners.partner import Capability, Webhook
from lendrail.partners.signatures import StaticHeader

CLASSES = {
    Capability.KEYED: ("keyed", "it honours an idempotency key", "the same bytes go again, while the key lives"),
    Capability.UNIQUE_REFERENCE: (
        "unique reference",
        "it refuses a reference that it has seen",
        "the same bytes go again",
    ),
    Capability.SEARCHABLE: (
        "searchable",
        "it can be asked for our reference",
        "it is asked; what is absent may go again",
    ),
    Capability.ASYNCHRONOUS: ("asynchronous", "it gives a request id first, the result later", "as C"),
    Capability.BLIND: ("blind", "nothing helps", "nothing goes again without a person"),
    Capability.HARMLESS: ("read", "it changes nothing", "it is simply asked again"),
}
"""Name, what the partner does, what follows an unknown outcome."""


@dataclass(frozen=True)
class Scheme:
    """How a scheme signs in; `needs` and `may` are the names of its values in the credentials file."""

    says: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


SCHEMES = {
    "api-key": Scheme("a fixed key in a header", ("key",)),
    "bearer": Scheme("a fixed token in `Authorization`", ("token",)),
    "guid": Scheme("an id in the body of each call", ("guid",)),
    "introducer-id": Scheme("an id among the parameters of each call", ("value",)),
    "oauth-client": Scheme(
        "OAuth 2.0 client credentials", ("tokenUrl", "clientId", "clientSecret"), ("audience", "scope", "header")
    ),
    "oauth-password": Scheme("OAuth 2.0 password grant", ("tokenUrl", "username", "password")),
    "signed-key": Scheme("a key and its HMAC-SHA256 in headers", ("uuid", "key", "secret")),
    "smtp": Scheme("AUTH under STARTTLS", ("username", "password"), ("caFile", "starttls")),
    "wsse": Scheme("WS-Security user name and timestamp", ("username", "password"), ("version", "environment")),
}


def sign_in(name: str) -> str:
    scheme = SCHEMES[name]
    may = f", may have {listed(map(code, scheme.may))}" if scheme.may else ""
    return f"{code(name)}, {scheme.says} (needs {listed(map(code, scheme.needs))}{may})"


def proof(webhook: Webhook) -> str:
    """What proves that the partner called."""
    known = webhook.proof
    if known is None:
        return f"unproven, from {listed(map(code, webhook.addresses))}" if webhook.addresses else "unproven"
    if isinstance(known, StaticHeader):
        return f"the secret itself in {code(known.header)}"
    clock = f", at most {duration(known.tolerance)} old" if known.dated else ""
    return f"HMAC-{known.digest.upper()} of {code(known.signed)} as {known.encoding} in {code(known.header)}{clock}"
