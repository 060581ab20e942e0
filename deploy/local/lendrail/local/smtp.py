"""An SMTP server that delivers to a folder: `python -m lendrail.local.smtp PORT FOLDER CONFIG_FOLDER`.

STARTTLS is offered with a self-signed certificate, AUTH is accepted and not needed. One `.eml` file for each message,
written whole (temporary name, then rename), in the order of arrival.
"""

import asyncio
import datetime as dt
import ipaddress
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lendrail.local.state import write_private

MAX_BYTES = 25 * 1024 * 1024


class Folder:
    """aiosmtpd's handler: whatever arrives becomes a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._count += 1
        name = f"{time.time_ns()}-{self._count:06d}.eml"
        recipients = "".join(f"X-Envelope-To: {recipient}\r\n" for recipient in envelope.rcpt_tos)
        content = envelope.original_content or b""
        draft = self._folder / f".{name}"
        draft.write_bytes(recipients.encode() + content)
        draft.rename(self._folder / name)
        return "250 OK"


def accept_anyone(*_: Any) -> AuthResult:
    return AuthResult(success=True)


def certificate(folder: Path) -> ssl.SSLContext:
    """A self-signed certificate for localhost, made once and kept in `folder`; clients may trust `smtp.pem`."""
    chain, key_file = folder / "smtp.pem", folder / "smtp.key"
    if not (chain.exists() and key_file.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=3650))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
        write_private(key_file, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none).decode())
        write_private(chain, made.public_bytes(pem).decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key_file)
    return context


async def serve(port: int, mail: Path, config: Path) -> None:
    handler, context = Folder(mail), certificate(config)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def session() -> SMTP:
        return SMTP(
            handler,
            hostname="localhost",
            tls_context=context,
            auth_require_tls=False,
            authenticator=accept_anyone,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
        )

    server = await loop.create_server(session, "127.0.0.1", port)
    print(f"smtp: listening on 127.0.0.1:{port}", flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
