"""What the sandbox is told from outside: the environment, and one JSON file that names its users."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, SettingsConfigDict


class Model(BaseModel):
    """camelCase on the wire; an unknown name is an error, because a misspelt dial that does nothing misleads."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class OAuth(Model):
    """What the password grant of the newer revision asks for."""

    username: str
    password: SecretStr


class RateLimit(Model):
    """So many requests in so many seconds. The tolerance forgives the jitter of a client that spaces its *starts*
    exactly; whether a call to the token endpoint (another host in real life) counts is not documented."""

    requests: int = Field(default=1, ge=1, le=10_000)
    seconds: float = Field(default=1.0, gt=0)
    tolerance_ms: int = Field(default=50, ge=0)
    count_tokens: bool = False


class User(Model):
    """One customer of one simulated partner. `settings` are read by that partner's module, which also decides what a
    user needs to sign in: an `apiKey`, an `oauth` entry, or secrets of its own among the settings."""

    partner: str
    user: str
    api_key: SecretStr | None = None
    oauth: OAuth | None = None
    rate_limit: RateLimit | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict, repr=False)


class SandboxConfig(Model):
    """The file that LENDRAIL_SANDBOX_CONFIG names."""

    users: tuple[User, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "SandboxConfig":
        names = [(user.partner, user.user) for user in self.users]
        if len(set(names)) != len(names):
            raise ValueError("two users of one partner have the same name")
        return self


class Settings(BaseSettings):
    """Environment only. The ledger folder is the whole state: delete it and every partner forgets."""

    model_config = SettingsConfigDict(env_prefix="LENDRAIL_", extra="ignore")

    host: str = "127.0.0.1"
    port: int
    log_level: str = "INFO"
    sandbox_ledger: Path
    sandbox_config: Path
    sandbox_tls_port: int | None = None
    sandbox_tls_cert_file: Path | None = None
    sandbox_tls_key_file: Path | None = None
    sandbox_smtp_port: int | None = None

    def users(self) -> tuple[User, ...]:
        """Raises OSError or pydantic's ValidationError; both end the start with their reason."""
        return SandboxConfig.model_validate_json(self.sandbox_config.read_bytes()).users
