"""Who may call: a WS-Security user name with password and a timestamp that is neither old nor from the future."""

import datetime as dt
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, SecretStr

from lendrail.sandbox.settings import Model, User
from lendrail.sandbox.soap_lender.envelope import SERVICES, SOAP, WSSE, WSU, Message

Quirk = Literal[
    "fault-200", "missing-nillable", "extra-element", "namespace-slash", "server-fault", "server-fault-after-work"
]  # fmt: skip


class UserSettings(Model):
    """The `settings` of a user; the name of the user is its WS-Security user name."""

    password: SecretStr
    password_expired: bool = False
    environment: str = "Discovery"
    """What the header `TargetEnvironment` must say."""
    country: str = "US"
    currency: str = "USD"
    decision_delay_ms: int = Field(default=1500, ge=0)
    key_life_seconds: float = Field(default=86_400, ge=0)
    """How long a message id is remembered; 0 forgets it at once."""
    clock_skew_seconds: float = Field(default=300, ge=0)
    quirks: frozenset[Quirk] = frozenset()


class Refused(Exception):
    """`code` of the fault, or the name of a typed one with its further elements."""

    def __init__(self, code: str, text: str, detail: str = "", more: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.code, self.text, self.detail, self.more = code, text, detail, more


class Doorkeeper:
    """Raises ValueError (pydantic's ValidationError is one) for users without a password."""

    def __init__(self, users: Sequence[User]) -> None:
        self.settings: Mapping[str, UserSettings] = {
            user.user: UserSettings.model_validate(user.settings) for user in users
        }
        self._users = {user.user: user for user in users}

    def admit(self, message: Message, now: float) -> User:
        """Raises Refused; nothing of the message was carried out then."""
        security = message.header.find(f"{{{WSSE}}}Security")
        if security is None:
            raise Refused("wsse:InvalidSecurity", "a Security header is required")
        for each in message.header:
            if each.get(f"{{{SOAP[message.version]}}}mustUnderstand") in ("1", "true") and each is not security:
                raise Refused("MustUnderstand", "a header that must be understood is not")
        name = security.findtext(f"{{{WSSE}}}UsernameToken/{{{WSSE}}}Username") or ""
        password = security.findtext(f"{{{WSSE}}}UsernameToken/{{{WSSE}}}Password") or ""
        known = self.settings.get(name)
        if known is None or not hmac.compare_digest(known.password.get_secret_value().encode(), password.encode()):
            raise Refused("wsse:FailedAuthentication", "user name or password is wrong")
        if not _fresh(security, now, known.clock_skew_seconds):
            raise Refused("wsu:MessageExpired", "the timestamp is missing, over or from the future")
        if known.password_expired:
            raise Refused("Client", "the password has expired", "UnauthorisedFault", [("Task", "ChangePassword")])
        _environment(message, known.environment)
        return self._users[name]


def _environment(message: Message, ours: str) -> None:
    told = message.header.findtext(f"{{{SERVICES}}}TargetEnvironment")
    if told != ours:
        more = [("ReceivedByEnvironment", ours), *([("TargetEnvironment", told)] if told else [])]
        text = "the message is for another environment"
        raise Refused("Client", text, "IncorrectEnvironmentFault", more)


def _fresh(security: object, now: float, skew: float) -> bool:
    stamps = [_moment(security.findtext(f"{{{WSU}}}Timestamp/{{{WSU}}}{name}")) for name in ("Created", "Expires")]  # type: ignore[attr-defined]
    created, expires = stamps
    return created is not None and expires is not None and created - skew <= now <= expires + skew


def _moment(text: str | None) -> float | None:
    """UTC with `Z`, as the profile of WS-Security advises."""
    if text is None or not re.fullmatch(r"[0-9-]{10}T[0-9:]{8}(\.[0-9]{1,6})?Z", text.strip()):
        return None
    try:
        return dt.datetime.fromisoformat(text.strip()[:-1] + "+00:00").timestamp()
    except ValueError:
        return None
