"""What a simulated partner is: a name, its operations as routes, and a fold over the ledger. Adding one means one
module (or folder) with such a class and one line in `app.PARTNERS`."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.routing import Route

from lendrail.sandbox.desk import Desk
from lendrail.sandbox.dials import Dials
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Ledger
from lendrail.sandbox.outbound import Outbound
from lendrail.sandbox.settings import User


@dataclass(frozen=True)
class MailDoor:
    """Where a partner that is reached by mail listens; its certificate is the sandbox's."""

    host: str
    port: int
    context: ssl.SSLContext
    certificate: Path


@dataclass(frozen=True)
class Tools:
    """What the sandbox gives each partner; nothing is shared between partners."""

    users: Sequence[User]
    ledger: Ledger
    dials: Dials
    desk: Desk
    outbound: Outbound
    mail_door: MailDoor | None = None


class Partner(Protocol):
    """One simulated partner. `apply` sees every record, old and new; `start` takes up what was left undone."""

    operations: frozenset[str]

    def routes(self) -> Sequence[Route]: ...

    def apply(self, record: Record) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


Build = Callable[[Tools], Partner]
