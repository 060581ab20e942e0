"""Logs: one JSON object a line on standard output, without personal data.

Only what a call names is logged. Exceptions are written as their type and the lines of code they passed, without their
text: a duplicate-key error, a validation error and an HTTP error all quote the data they complain of.
"""

from __future__ import annotations

import logging
import sys
import traceback

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_WORDS = ("authorization", "authentication", "api_key", "apikey", "password", "secret", "token", "cookie")
QUIET_SECONDS = 10.0
MOST_TOLD = 256


def configure(service: str, instance: str, level: str) -> None:
    """Set up structlog and the standard library's logging for this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception,
            _mask,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, instance=instance)
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


class _Bridge(logging.Handler):
    """What libraries log: their message template without its arguments, which may quote records and addresses.

    The same of the same library within `QUIET_SECONDS` is counted; whoever says it next tells how often it was. A
    client whose broker is away complains some hundred times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        said = record.name, str(record.msg)[:200]
        told, repeated = self._told.get(said, (-QUIET_SECONDS, 0))
        if 0 <= record.created - told < QUIET_SECONDS:
            self._told[said] = told, repeated + 1
            return
        if len(self._told) >= MOST_TOLD:  # some libraries write values into their templates
            self._told.clear()
        self._told[said] = record.created, 0
        more = {"repeated": repeated} if repeated else {}
        log = structlog.get_logger()
        log.warning("library", logger=record.name, template=said[1], exc_info=record.exc_info, **more)


def _exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        event["exception"] = type(error).__name__
        event["at"] = [f"{frame.filename.rsplit('/lendrail/', 1)[-1]}:{frame.lineno}" for frame in frames]
    return event


def _mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in event:
        if any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "***"
    return event
