"""The process behind `lendrail up`: it starts the stack, obeys requests and ends what it started."""

import os
import queue
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import psutil

from lendrail.local.control import Control, Request
from lendrail.local.servers import ServerError
from lendrail.local.servers.process import started_at
from lendrail.local.stack import Options, Say, Stack
from lendrail.local.state import Lock, State, read_json, write_private

DOWN_SECONDS = 40.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyUp(Exception):
    """Another supervisor holds the lock of this stack."""


class Stop(BaseException):
    """A signal asked us to end; not an Exception, so that nothing swallows it."""


def supervise(state: State, options: Options, say: Say, ready: Callable[[], None]) -> None:
    """Run a stack until one of SIGNALS arrives; whatever happens, nothing of it is left.

    Raises AlreadyUp, ServerError (something did not start).
    """
    state.prepare()
    lock = Lock(state)
    if not lock.take():
        raise AlreadyUp
    stack, control = Stack(state, options, say), Control(state)
    try:
        write_private(state.folder / "supervisor.json", _identity())
        _listen_to_signals()
        end_left_overs(state)
        control.open()
        stack.start()
        ready()
        _obey(stack, control)
    except Stop:
        say("stopping")
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        stack.stop()
        control.close()
        (state.folder / "supervisor.json").unlink(missing_ok=True)
        lock.release()


def _identity() -> str:
    return f'{{"pid": {os.getpid()}, "started": {started_at(os.getpid())}}}'


def _listen_to_signals() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Stop

    for number in SIGNALS:
        signal.signal(number, stop)


def _obey(stack: Stack, control: Control) -> None:
    while True:
        stack.reap()
        with suppress(queue.Empty):
            _carry_out(stack, control.requests.get(timeout=0.2))


def _carry_out(stack: Stack, request: Request) -> None:
    name = request.service
    if request.do not in ("restart", "start", "stop") or name not in stack.processes:
        request.answer.put({"ok": False, "message": f"there is no {name}; there are {', '.join(stack.processes)}"})
        return
    begin = time.monotonic()
    if request.do == "stop":
        stack.halt(name)
        request.answer.put({"ok": True, "message": f"{name}: stopped"})
        return
    try:
        stack.restart(name, request.environment, wait=request.do == "restart")
    except ServerError as error:
        request.answer.put({"ok": False, "message": str(error)})
    else:
        took = time.monotonic() - begin
        how = "restarted, ready" if request.do == "restart" else "started"
        request.answer.put({"ok": True, "message": f"{name}: {how} after {took:.1f} s"})


def end_supervisor(state: State) -> bool:
    """Ask a running supervisor to end and wait for it, by force after DOWN_SECONDS; False when none ran."""
    known = read_json(state.folder / "supervisor.json")
    pid = known.get("pid")
    if not pid or started_at(pid) != known.get("started"):
        return False
    with suppress(psutil.Error):
        supervisor = psutil.Process(pid)
        supervisor.terminate()
        try:
            supervisor.wait(DOWN_SECONDS)
        except psutil.TimeoutExpired:
            supervisor.kill()  # its children follow, see launch.py
            supervisor.wait(5)
    return True


def end_left_overs(state: State) -> list[str]:
    """End what a crashed supervisor left, where the kernel did not do it; says which programs those were."""
    ended = []
    for name, known in read_json(state.processes).items():
        pid = known.get("pid")
        if pid and started_at(pid) is not None and started_at(pid) == known.get("started"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            ended.append(name)
    return ended


def tidy(state: State) -> None:
    """Remove what a crashed supervisor wrote about itself."""
    for file in (state.endpoints, state.processes, state.control, state.folder / "supervisor.json", state.lock):
        file.unlink(missing_ok=True)
