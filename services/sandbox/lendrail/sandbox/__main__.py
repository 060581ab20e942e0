"""`python -m lendrail.sandbox`: settings from the environment, plain and, if asked for, TLS listeners."""

import logging
import sys

import uvicorn
from pydantic import ValidationError

from lendrail.sandbox.app import UnknownPartner, build
from lendrail.sandbox.journal import LedgerDamaged, LedgerInUse
from lendrail.sandbox.server import Protocol, Server, tls_context
from lendrail.sandbox.settings import Settings

logger = logging.getLogger("lendrail.sandbox")


def main() -> int:
    """Exit code 2 and one sentence when it cannot start; validation errors are told without their input."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "httpcore"):  # they log full URLs, and a link's token is in its URL
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = Settings()
        logger.setLevel(settings.log_level.upper())
        server = _server(settings)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        logger.error("the settings are wrong: %s", [(problem["loc"], problem["msg"]) for problem in problems])
        return 2
    except (OSError, UnknownPartner, LedgerInUse, LedgerDamaged) as error:
        logger.error("cannot start: %s", error)
        return 2
    logger.info("listening on http://%s:%s tls_port=%s", settings.host, settings.port, settings.sandbox_tls_port)
    server.run()
    return 0


def _server(settings: Settings) -> Server:
    app = build(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,  # its lines hold query strings: file names, lead ids
        proxy_headers=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    context = None
    if settings.sandbox_tls_port is not None:
        files = settings.sandbox_tls_cert_file, settings.sandbox_tls_key_file
        context = tls_context(settings.sandbox_ledger, settings.host, *files)
    return Server(config, settings.sandbox_tls_port, context)


if __name__ == "__main__":
    sys.exit(main())
