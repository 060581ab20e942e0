"""Builds the one application: each configured partner with its own ledger, dials and pace, and the office beside."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from lendrail.sandbox.abn_lookup import AbnLookup
from lendrail.sandbox.desk import Desk
from lendrail.sandbox.dials import Dials
from lendrail.sandbox.email_lender import EmailLender
from lendrail.sandbox.finpace import Finpace
from lendrail.sandbox.forward_financing import ForwardFinancing
from lendrail.sandbox.journal import Journal
from lendrail.sandbox.ledger import Ledger
from lendrail.sandbox.limiter import Limiter
from lendrail.sandbox.monetago import MonetaGo
from lendrail.sandbox.office import Branch, Office
from lendrail.sandbox.optimum_finance import OptimumFinance
from lendrail.sandbox.outbound import Outbound
from lendrail.sandbox.partner import Build, MailDoor, Tools
from lendrail.sandbox.reference_partner import ReferencePartner
from lendrail.sandbox.server import tls_context
from lendrail.sandbox.settings import Settings, User
from lendrail.sandbox.soap_lender import SoapLender
from lendrail.sandbox.valiant import Valiant

PARTNERS: Mapping[str, Build] = {
    "abn-lookup": AbnLookup,
    "email-lender": EmailLender,
    "finpace": Finpace,
    "forward-financing": ForwardFinancing,
    "monetago": MonetaGo,
    "optimum-finance": OptimumFinance,
    "reference-partner": ReferencePartner,
    "soap-lender": SoapLender,
    "valiant": Valiant,
}
"""Every simulated partner; each is served under /<name>/."""


class UnknownPartner(ValueError):
    """The configuration names a partner that nobody simulates."""


def build(settings: Settings) -> Starlette:
    """Opens and replays the ledgers. Raises UnknownPartner, LedgerInUse, LedgerDamaged, OSError, ValidationError."""
    users = settings.users()
    if unknown := {user.partner for user in users} - set(PARTNERS):
        raise UnknownPartner(f"not simulated: {', '.join(sorted(unknown))}; known: {', '.join(PARTNERS)}")
    journals = {name: Journal(settings.sandbox_ledger / f"{name}.jsonl") for name in PARTNERS}
    door = _mail_door(settings)
    branches = {name: _open(name, journals[name], users, door) for name in PARTNERS}

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        for branch in branches.values():
            await branch.tools.ledger.open()
            branch.tools.outbound.start()
            branch.partner.start()
        yield
        for name, branch in branches.items():
            branch.partner.stop()
            await branch.tools.outbound.stop()
            await journals[name].close()

    routes = [route for branch in branches.values() for route in branch.partner.routes()]
    return Starlette(routes=[*routes, *Office(branches, time.time).routes()], lifespan=lifespan)


def _mail_door(settings: Settings) -> MailDoor | None:
    """With the certificate of the TLS listener."""
    if settings.sandbox_smtp_port is None:
        return None
    files = settings.sandbox_tls_cert_file, settings.sandbox_tls_key_file
    context = tls_context(settings.sandbox_ledger, settings.host, *files)
    given = settings.sandbox_tls_cert_file if settings.sandbox_tls_key_file else None
    certificate = given or settings.sandbox_ledger / "tls-cert.pem"
    return MailDoor(settings.host, settings.sandbox_smtp_port, context, certificate)


def _open(name: str, journal: Journal, everyone: tuple[User, ...], door: MailDoor | None) -> Branch:
    users = tuple(user for user in everyone if user.partner == name)
    ledger, dials, limiter, now = Ledger(journal), Dials(), Limiter(), time.monotonic()
    limits = {user.user: user.rate_limit for user in users}
    tools = Tools(users, ledger, dials, Desk(ledger, dials, limiter), Outbound(ledger), door)
    partner = PARTNERS[name](tools)
    ledger.follow(tools.outbound.apply)
    ledger.follow(partner.apply)
    ledger.restore(dials.replay, lambda record: limiter.replay(record, limits.get(record.get("user") or ""), now))
    return Branch(partner, tools)
