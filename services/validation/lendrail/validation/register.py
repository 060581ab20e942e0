"""Asks the business register, within a time and the budget of our credential there, and remembers what it said."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from lendrail.contracts.terms import Mode
from lendrail.partners.abn_lookup import AUTH, NAME, OPERATION, Asked, Finding, meaning, missing, question
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.partners.exchange import Reply
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.validation.answers import Answers

log = structlog.get_logger()
LAST_SECONDS = 0.2
"""Kept back from a call's time, so that what came of it can still be told."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of asking, and when the register was asked."""

    finding: Finding
    at: dt.datetime


def not_checked(code: str) -> Told:
    return Told(Finding(result="not-checked", code=code), utc_now())


class Register:
    """ABN Lookup under our credentials there, at most one for each mode."""

    def __init__(
        self, port: PartnerPort | None, credentials: Sequence[str], answers: Answers, retry: Sequence[float], lanes: int
    ) -> None:
        """Without port or credentials nothing is asked. `retry`: seconds between tries while time is left."""
        self._port, self._answers, self._retry = port, answers, tuple(retry)
        self._ids = tuple(credentials) if port is not None else ()
        trusted = ssl.create_default_context() if self._ids else False  # 30 ms to make
        self._clients = [lane_client(trusted) for _ in range(lanes if self._ids else 0)]

    async def prepare(self) -> None:
        """Indexes; and the WSDL, which takes a moment to read, before the first question."""
        if self._ids:
            await self._answers.prepare()
            await asyncio.to_thread(question, "0")

    async def close(self) -> None:
        await asyncio.gather(*(each.aclose() for each in self._clients))

    def credential(self, mode: Mode) -> Credential | None:
        """Ours for this mode: what is for test is never asked for live, nor the other way round."""
        for each in self._ids:
            assert self._port is not None
            try:
                credential = self._port.credential(each)
            except KeyError:
                log.error("a credential of the register is not in the mounted file", credential=each)
                continue
            if credential.mode == mode and credential.partner == NAME:
                return credential
        return None

    async def ask(self, asked: Asked, mode: Mode, seconds: float, lane: int) -> Told:
        """What is remembered, else what the register says within `seconds`. Only what it says is remembered."""
        credential = self.credential(mode)
        if credential is None:
            return not_checked("not-configured")
        known = await self._answers.known(credential.id, asked)
        if known is not None:
            return Told(*known)
        if seconds <= LAST_SECONDS:
            return not_checked("out-of-time")
        told = Told(await self._within(credential.id, asked, seconds, lane), utc_now())
        if told.finding.result == "not-checked":
            log.warning("a business was not checked", credential=credential.id, code=told.finding.code)
        else:
            await self._answers.keep(credential.id, asked, told.finding, told.at)
        return told

    async def _within(self, credential_id: str, asked: Asked, seconds: float, lane: int) -> Finding:
        """Again while the register has trouble, names no time to wait, and there is some left."""
        ends = time.monotonic() + seconds
        for wait in self._retry:
            finding = await self._once(credential_id, asked, ends, lane)
            pause = random.uniform(wait / 2, wait)
            over = time.monotonic() + pause + LAST_SECONDS >= ends
            if not finding.trouble or finding.hold is not None or over:
                return finding
            await asyncio.sleep(pause)
        return await self._once(credential_id, asked, ends, lane)

    async def _once(self, credential_id: str, asked: Asked, ends: float, lane: int) -> Finding:
        """One call, or the reason why there was none."""
        assert self._port is not None
        code = "throttled"
        try:
            async with (
                asyncio.timeout(ends - time.monotonic()),
                self._port.call(credential_id, "submission", OPERATION) as credential,
            ):
                code = "too-slow"
                return await self._call(credential, asked, ends, lane)
        except TimeoutError:
            return not_checked(code).finding
        except Paused:
            return not_checked("paused").finding
        except Open:
            return not_checked("unavailable").finding
        except (KeyError, ValueError) as error:  # its text may come from the file with the secrets
            log.error("the register's credential is not usable", credential=credential_id, error=type(error).__name__)
            return not_checked("not-configured").finding

    async def _call(self, credential: Credential, asked: Asked, ends: float, lane: int) -> Finding:
        assert self._port is not None
        auth = AUTH[credential.auth["scheme"].get_secret_value()](credential.auth, MemoryTokens())
        channel = RestChannel(self._clients[lane], credential.base_url, credential.mode, auth)
        answer = await channel.send(question(asked.abn), max(ends - time.monotonic() - LAST_SECONDS, 0.01))
        finding = meaning(asked, answer) if isinstance(answer, Reply) else missing(answer)
        if finding.trouble:
            await self._port.failed(credential.id, OPERATION)
        elif isinstance(answer, Reply):
            await self._port.answered(credential.id, OPERATION)
        if finding.hold is not None:
            refused = finding.code == "refused"
            log.log(50 if refused else 30, "the register is not asked for a while", credential=credential.id)
            await self._port.pause(credential.id, "credential-refused" if refused else "retry-later", finding.hold)
        return finding
