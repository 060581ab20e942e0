"""WS-Security by user name and password (WssUsernameToken10, PasswordText) with a timestamp, over TLS.

The header is put into the finished envelope when it leaves, so the stored request has no secret and a late repeat has
a fresh time. Only the envelope's beginning is parsed: a document may follow in it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import SecretStr

from lendrail.partners.channels.auth import Auth, AuthScheme, Plain, Settings, TokenStore
from lendrail.partners.channels.soap import ENVELOPES, Version, in_version
from lendrail.partners.exchange import Request

_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE, _WSU = f"{_WSS}wssecurity-secext-1.0.xsd", f"{_WSS}wssecurity-utility-1.0.xsd"
_PASSWORD_TEXT = f"{_WSS}username-token-profile-1.0#PasswordText"
_BODY = b"<soap-env:Body>"
LIFE = dt.timedelta(seconds=300)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class UsernameToken(Plain):
    username: str
    password: SecretStr
    environment: tuple[str, str] | None = None
    """`{namespace}name` and text of a header that says for which environment the message is."""
    version: Version | None = None
    """Of SOAP at the credential's address; None: as the request is made."""
    clock: Callable[[], dt.datetime] = _now

    def sign(self, request: Request) -> Request:
        """`request` (of `SoapService.request`) with the headers in front."""
        from lxml import etree

        request = in_version(request, self.version) if self.version else request
        head, body, rest = request.content.partition(_BODY)
        envelope = etree.fromstring(head + b"<soap-env:Body/></soap-env:Envelope>")
        header = envelope[0]
        if self.environment is not None:
            etree.SubElement(header, self.environment[0]).text = self.environment[1]
        security = etree.SubElement(header, f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE, "wsu": _WSU})
        security.set(header.tag.replace("Header", "mustUnderstand"), "1")
        now = self.clock()
        stamp = etree.SubElement(security, f"{{{_WSU}}}Timestamp")
        for name, time in (("Created", now), ("Expires", now + LIFE)):
            etree.SubElement(
                stamp, f"{{{_WSU}}}{name}"
            ).text = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"
        token = etree.SubElement(security, f"{{{_WSSE}}}UsernameToken")
        etree.SubElement(token, f"{{{_WSSE}}}Username").text = self.username
        password = etree.SubElement(token, f"{{{_WSSE}}}Password", Type=_PASSWORD_TEXT)
        password.text = self.password.get_secret_value()
        signed = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return replace(request, content=signed.partition(b"<soap-env:Body/>")[0] + body + rest)


def wsse(environment_header: str | None = None) -> AuthScheme:
    """`username`, `password`; `version` (1.1 or 1.2) of SOAP at the base address, where it is not the usual one;
    `environment` where the partner wants `environment_header` (`{namespace}name`).
    """

    def scheme(given: Settings, _: TokenStore) -> Auth:
        told = given.get("environment") if environment_header else None
        environment = (environment_header, told.get_secret_value()) if environment_header and told else None
        asked = given["version"].get_secret_value() if "version" in given else None
        version = next((each for each in ENVELOPES if each == asked), None)
        if asked is not None and version is None:
            raise KeyError("a version, 1.1 or 1.2")
        return UsernameToken(given["username"].get_secret_value(), given["password"], environment, version)

    return scheme
