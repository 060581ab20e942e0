"""Who our tenants are, which credentials they have at partners, and what proves the partners' calls: mounted files,
read again when they change.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.alias_generators import to_camel

from lendrail.contracts.terms import Mode
from lendrail.runtime.clock import utc_now

log = structlog.get_logger()
SecretPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{32,}$")]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )


class Client(_Part):
    """An OAuth 2.0 client of a tenant. Only the SHA-256 of its secret is kept."""

    client_id: str
    secret_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: tuple[str, ...]

    def accepts(self, secret: str) -> bool:
        return hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), self.secret_sha256)


class FormerPath(_Part):
    """A secret path that was replaced, under which the partner may still call for a while."""

    path: SecretPath
    until: AwareDatetime


class PartnerAccount(_Part):
    """One credential of a tenant at a partner, without its secrets."""

    partner: str
    credential: str
    mode: Mode
    enabled: bool = True
    options: dict[str, str] = {}
    registry: str | None = None
    """The credential under which a registry clears applications before they go to this partner."""
    supplement: str | None = None
    """The credential of an email account through which the application also goes as a mail, for audit."""
    webhook_path: SecretPath
    """Part of the address that the partner calls; it tells tenant and credential."""
    former_webhook_paths: tuple[FormerPath, ...] = ()
    push: Literal["hint", "proven"] | None = None
    """Whether the partner also calls by Kafka, on `push-<credential>`; and what such a call is where the partner's
    profile declares no proof: that only the partner may write there proves it, or it is a hint.
    """

    @model_validator(mode="after")
    def _its_topic_has_a_name(self) -> PartnerAccount:
        if self.push and not re.fullmatch(r"[A-Za-z0-9._-]{1,200}(?<!-dlq)", self.credential):
            raise ValueError("a credential with a topic needs an id of letters, digits, dots, dashes and underscores")
        return self


class Tenant(_Part):
    id: str
    name: str
    mode: Mode
    emails: tuple[str, ...] = ()
    clients: tuple[Client, ...] = ()
    upstreams: tuple[str, ...] = ()
    intake_key_file: Path | None = None
    partners: tuple[PartnerAccount, ...] = ()
    outcomes: bool = False
    """Whether what becomes of its applications also goes to a topic of its own, `outcomes-<id>`."""

    @model_validator(mode="after")
    def _its_topic_has_a_name(self) -> Tenant:
        if self.outcomes and not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", self.id):
            raise ValueError("a tenant with a topic needs an id of letters, digits, dots, dashes and underscores")
        return self


class Tenants(_Part):
    tenants: tuple[Tenant, ...]

    @cached_property
    def by_id(self) -> dict[str, Tenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    @cached_property
    def by_client(self) -> dict[str, tuple[Tenant, Client]]:
        return {client.client_id: (tenant, client) for tenant in self.tenants for client in tenant.clients}

    @cached_property
    def by_upstream(self) -> dict[str, Tenant]:
        return {upstream: tenant for tenant in self.tenants for upstream in tenant.upstreams}

    @cached_property
    def by_webhook_path(self) -> dict[tuple[str, str], tuple[Tenant, PartnerAccount]]:
        return {(a.partner, a.webhook_path): (tenant, a) for tenant in self.tenants for a in tenant.partners}

    @cached_property
    def by_former_webhook_path(self) -> dict[tuple[str, str], tuple[Tenant, PartnerAccount, dt.datetime]]:
        """And until when the path is valid."""
        accounts = [(tenant, account) for tenant in self.tenants for account in tenant.partners]
        return {(a.partner, f.path): (tenant, a, f.until) for tenant, a in accounts for f in a.former_webhook_paths}

    @model_validator(mode="after")
    def _no_path_means_two_things(self) -> Tenants:
        accounts = [account for tenant in self.tenants for account in tenant.partners]
        former = [(account.partner, each.path) for account in accounts for each in account.former_webhook_paths]
        if len(set(former)) < len(former) or not self.by_webhook_path.keys().isdisjoint(former):
            raise ValueError("a former webhook path must be no other path of the partner")
        return self

    @model_validator(mode="after")
    def _no_topic_is_two_accounts(self) -> Tenants:
        pushing = [account.credential for tenant in self.tenants for account in tenant.partners if account.push]
        if len(set(pushing)) < len(pushing):
            raise ValueError("a credential with a topic must be one account's")
        return self

    @cached_property
    def by_push(self) -> dict[str, tuple[Tenant, PartnerAccount]]:
        """Accounts whose partner calls by Kafka, by credential."""
        return {a.credential: (tenant, a) for tenant in self.tenants for a in tenant.partners if a.push}

    @cached_property
    def accounts(self) -> dict[str, PartnerAccount]:
        return {account.credential: account for tenant in self.tenants for account in tenant.partners}


class Rate(_Part):
    """At most `requests` request starts in any `seconds` seconds."""

    requests: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(gt=0)]

    @property
    def interval(self) -> float:
        return self.seconds / self.requests


class Credential(_Part):
    """How to call a partner for one tenant; `auth` is read by the partner's channel."""

    id: str
    tenant: str
    partner: str
    mode: Mode
    base_url: str
    auth: dict[str, SecretStr]
    rate: Rate | None = None

    @cached_property
    def place(self) -> str:
        """Whose it is and where what goes through it arrives, secrets aside; as a hash, so that no address rests
        elsewhere.
        """
        token_url = self.auth.get("tokenUrl")
        addresses = [self.base_url, token_url.get_secret_value() if token_url else None]
        told = [self.tenant, self.partner, self.id, self.mode, addresses]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class Credentials(_Part):
    credentials: tuple[Credential, ...]

    @cached_property
    def by_id(self) -> dict[str, Credential]:
        return {credential.id: credential for credential in self.credentials}


class FormerSecret(_Part):
    secret: SecretStr
    until: AwareDatetime


class AccountSecrets(_Part):
    """What partners sign their calls with: the newest secret first, then others that are valid as long as they stand
    here, and former ones until a stated time.
    """

    credential: str
    secrets: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    former: tuple[FormerSecret, ...] = ()

    def valid(self, now: dt.datetime) -> tuple[SecretStr, ...]:
        return self.secrets + tuple(each.secret for each in self.former if now < each.until)


class WebhookSecrets(_Part):
    secrets: tuple[AccountSecrets, ...] = ()

    @cached_property
    def by_credential(self) -> dict[str, AccountSecrets]:
        return {each.credential: each for each in self.secrets}


P = TypeVar("P", bound=BaseModel)


class Mounted(Generic[P]):
    """A mounted JSON file; `current` follows changes, and keeps the last good content when the new one cannot be
    read: half written, not ours to read, or gone.
    """

    def __init__(self, path: Path, kind: type[P]) -> None:
        """Raises OSError, ValueError: a service does not start without good content."""
        self._path, self._kind = path, kind
        self._stamp: Any = None
        self._value = self._read()

    @property
    def current(self) -> P:
        if self._stamped() != self._stamp:
            try:
                self._value = self._read()
            except (OSError, ValueError) as error:
                log.error("a mounted file cannot be read; its last good content stays", file=self._path.name,
                          error=type(error).__name__)  # fmt: skip
        return self._value

    def _stamped(self) -> tuple[int, ...] | None:
        """What differs when the file was written, replaced or made readable."""
        try:
            status = self._path.stat()
        except OSError:
            return self._stamp  # type: ignore[no-any-return]
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _read(self) -> P:
        """The stamp is taken first: what is written while we read has another one."""
        self._stamp = self._stamped()
        return self._kind.model_validate_json(self._path.read_bytes())


class Secrets:
    """The webhook secrets of each credential, as the file has them now; without a file nobody has any."""

    def __init__(self, path: Path | None) -> None:
        self._mounted = Mounted(path, WebhookSecrets) if path is not None else None

    def of(self, credential: str, now: dt.datetime | None = None) -> tuple[SecretStr, ...]:
        """The newest first; those whose time is over are not among them."""
        found = self._mounted.current.by_credential.get(credential) if self._mounted else None
        return found.valid(now or utc_now()) if found else ()
