"""How a mail lender's credential signs in: what the mail channel, which lives with the mail port, is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from lendrail.partners.channels.auth import Auth, AuthScheme, Plain, Settings, TokenStore


@dataclass(frozen=True)
class SmtpLogin(Plain):
    """AUTH under STARTTLS. Without `starttls` everything, the password included, travels in clear: never for live."""

    username: str
    password: SecretStr
    ca_file: Path | None = None
    """The authorities that may have signed the server's certificate; none: the usual ones."""
    starttls: bool = True


def smtp() -> AuthScheme:
    """`username` and `password`; `caFile`; `starttls`, which only the word `false` turns off."""

    def scheme(given: Settings, _: TokenStore) -> Auth:
        ca_file = given["caFile"].get_secret_value() if "caFile" in given else ""
        starttls = "starttls" not in given or given["starttls"].get_secret_value() != "false"
        username = given["username"].get_secret_value()
        return SmtpLogin(username, given["password"], Path(ca_file) if ca_file else None, starttls)

    return scheme
