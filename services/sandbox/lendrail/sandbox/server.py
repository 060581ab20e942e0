"""uvicorn with two additions: a connection can be hung up on from inside a call, and one process can listen with and
without TLS."""

import asyncio
import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lendrail.sandbox.replies import TRANSPORT


class Protocol(HttpToolsProtocol):
    """Hands the transport to the application, for `HangUp`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {TRANSPORT: self.transport}
        self.scope["extensions"] = extensions


class Server(uvicorn.Server):
    """Opens the TLS listener, if there is one, beside the plain one."""

    def __init__(self, config: uvicorn.Config, tls_port: int | None, context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls_port, self._context = tls_port, context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._context is not None:
            self.servers.append(
                await asyncio.get_running_loop().create_server(
                    lambda: Protocol(self.config, self.server_state, self.lifespan.state),
                    host=self.config.host,
                    port=self._tls_port,
                    ssl=self._context,
                )
            )


def tls_context(folder: Path, host: str, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """From the given files, else from a self-signed certificate kept in the ledger folder (`tls-cert.pem`)."""
    if certificate is None or key is None:
        certificate, key = folder / "tls-cert.pem", folder / "tls-key.pem"
        if not (certificate.exists() and key.exists()):
            self_sign(certificate, key, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def self_sign(certificate: Path, key: Path, host: str) -> None:
    """A year's certificate for localhost and the host; the key is readable by its owner only."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lendrail sandbox")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([*names, *_extra(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    certificate.write_bytes(signed.public_bytes(pem))


def _extra(host: str) -> list[x509.GeneralName]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return [] if host == "localhost" else [x509.DNSName(host)]
    return [] if str(address) == "127.0.0.1" else [x509.IPAddress(address)]
