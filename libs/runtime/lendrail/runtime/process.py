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
IDLE_SECONDS = 75
"""How long a connection may rest. Longer than our clients (5 s) and usual load balancers (60 s) keep one, so that it is
never we who close it while a request is on its way.
"""
NEW_OBJECTS = 10_000
"""So many before the youngest are looked through for garbage."""


def settle() -> None:
    """What was made so far lives as long as the process, and what a batch makes lives as long as the batch: looking
    through all of it for garbage, again and again, took a third of a busy process, up to 80 ms at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


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
    settle()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a header that anybody can write tells nothing of who calls
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=int(STOP_SECONDS),
        loop="uvloop",
        http="httptools",
        ws="none",
    )
