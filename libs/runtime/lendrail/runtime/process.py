"""The process of a service, from its environment to its end. Each service's `__main__` calls `run`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
import uvicorn
from fastapi import FastAPI

from lendrail.runtime import logs, republish
from lendrail.runtime.service import STOP_SECONDS, Service
from lendrail.runtime.settings import ServiceSettings

log = structlog.get_logger()
S = TypeVar("S", bound=ServiceSettings)


def run(
    name: str,
    settings_of: Callable[[], S],
    build: Callable[[S], tuple[Service, FastAPI]],
    declare: Callable[[Path], None] | None = None,
) -> None:
    """The whole life of a service's process: read its environment, set up logs, build it, serve until SIGTERM; or
    republish what it stored, when that is its first argument.

    `declare` comes from a service that looks partners up. It makes those of a file known before anything is built, and
    tells what is wrong with the file by a ValueError whose text quotes no secret.
    """
    settings = settings_of()
    logs.configure(name, settings.instance, settings.log_level)
    if declare is not None and settings.partners_file is not None:
        try:
            declare(settings.partners_file)
        except ValueError as error:
            log.critical("cannot start", reason=str(error))
            sys.exit(2)
    service, app = build(settings)
    if sys.argv[1:2] == ["republish"]:
        sys.exit(republish.main(service, sys.argv[2:]))
    gc.collect()
    gc.freeze()  # it lives as long as the process; looking through it for garbage took a third of a busy process
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a header that anybody can write tells nothing of who calls
        timeout_graceful_shutdown=int(STOP_SECONDS),
        loop="uvloop",
        http="httptools",
        ws="none",
    )
