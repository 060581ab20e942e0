"""What a hostile partner can send us over SOAP: no file is opened, nothing connected, time and memory stay bounded.

libxml2 opens files by itself, unseen by Python; so the kernel is asked (inotify), and a port listens for visitors.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.partners.soap_lender.hostile import SECRET, SOUND, Document, documents

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.partners.channels.soap import SoapBody, SoapFault, SoapService
from lendrail.partners.exchange import Accepted, Reply, Request, Unknown
from lendrail.partners.reading import Unreadable
from lendrail.partners.soap_lender.mapping import SERVICE

STRICT = SoapService(SERVICE.wsdl)
NAMES = [each.name for each in documents("/x", 1)]
SECONDS = 2.0
"""For one document on a busy machine; all of them need milliseconds."""
MEMORY = 600 * 2**20
"""Address space of a process that reads them all, the interpreter and its libraries included."""
PROBLEM_EVENTS = ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "urllib.Request")
seen: list[str] = []
watching = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if watching and event in PROBLEM_EVENTS:
        seen.append(f"{event} {arguments[:1]}")


sys.addaudithook(_hook)


class Watch:
    """Who opens or reads the canary, by inotify."""

    def __init__(self, path: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._fd, os.fsencode(path), 0x20 | 0x01) >= 0  # IN_OPEN, IN_ACCESS

    @property
    def opened(self) -> bool:
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


class Trap:
    def __init__(self, folder: Path) -> None:
        self.canary = folder / "canary.txt"
        self.canary.write_text(SECRET)
        self.watch = Watch(self.canary)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.documents = {each.name: each for each in documents(str(self.canary), self.port)}

    def visited(self) -> bool:
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    @contextmanager
    def set(self) -> Iterator[None]:
        global watching
        seen.clear()
        watching = True
        try:
            yield
        finally:
            watching = False
        assert not seen
        assert not self.watch.opened
        assert not self.visited()


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    trap = Trap(tmp_path_factory.mktemp("trap"))
    for service in (SERVICE, STRICT):  # whatever a first reading loads
        service.read("GetApplication", Reply(200, {}, SOUND.encode()))
    yield trap
    trap.watch.close()
    trap.listener.close()


def reply(document: Document) -> Reply:
    return Reply(document.status, {"content-type": document.kind} | document.headers, document.content)


def test_there_are_enough() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 150


def read(service: SoapService, document: Document) -> SoapBody | SoapFault | None:
    try:
        return service.read("GetApplication", reply(document))
    except Unreadable:
        return None


@pytest.mark.parametrize("name", NAMES)
def test_hostile(trap: Trap, name: str) -> None:
    document = trap.documents[name]
    for service in (SERVICE, STRICT):
        began = time.perf_counter()
        with trap.set():
            said = read(service, document)
        assert time.perf_counter() - began < SECONDS
        if said is None:
            assert service is STRICT or not (document.harmless or document.blank)
            continue
        assert document.harmless or document.blank, "was read"
        assert SECRET not in repr(vars(said))
        if isinstance(said, SoapBody):
            assert said.value["Application"]["Status"] == ("Approved" if document.harmless else None)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_to_the_adapter(trap: Trap, name: str) -> None:
    """Never an exception, never an invented status, and nobody else's answer taken for ours."""
    partner = PARTNERS["soap-lender"]
    assert partner.report
    document = trap.documents[name]
    request = Request(operation="read", method="POST", path="", context=(("message-id", "read"),))
    with trap.set():
        told, outcome = partner.report(reply(document)), partner.outcome(request, reply(document))
    assert told.offers == ()
    if document.harmless:
        assert told.status == Status.APPROVED
        assert outcome == Accepted()
    else:
        assert told.status is None
        assert told.flags
        assert isinstance(outcome, Unknown)


def test_cut_anywhere() -> None:
    """Whatever is missing at the end: a half `Approved` is no answer."""
    whole = SOUND.encode()
    for length in range(len(whole)):
        for service in (SERVICE, STRICT):
            with pytest.raises(Unreadable):
                service.read("GetApplication", Reply(200, {}, whole[:length]))


def test_all_of_them_within_bounds(tmp_path: Path) -> None:
    """One process reads everything under a limit of address space and of CPU seconds."""
    program = f"""
import resource, sys
from tests.partners import test_soap_hostile as hostile
found = list(hostile.documents({str(tmp_path / "none")!r}, 1))
for service in (hostile.SERVICE, hostile.STRICT):
    service.read("GetApplication", hostile.Reply(200, {{}}, hostile.SOUND.encode()))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime
for document in found:
    for service in (hostile.SERVICE, hostile.STRICT):
        try:
            service.read("GetApplication", hostile.reply(document))
        except hostile.Unreadable:
            pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_utime - spent)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 10.0


def test_the_trap_catches(trap: Trap) -> None:
    """A parser that does as it is told falls into it: otherwise the tests above would prove nothing."""
    from lxml import etree

    attack = trap.documents["external entity by file"].content
    root = etree.fromstring(attack, etree.XMLParser(resolve_entities=True, load_dtd=True))
    assert SECRET in etree.tostring(root).decode()
    assert trap.watch.opened
    socket.create_connection(("127.0.0.1", trap.port), 1).close()
    assert trap.visited()
    with pytest.raises(AssertionError), trap.set():
        trap.canary.read_text()
    trap.watch.opened  # noqa: B018 - emptied for the others
    assert resource.getrlimit(resource.RLIMIT_AS)


def test_nothing_that_was_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """zeep logs what it cannot convert, with the value."""
    with caplog.at_level(0):
        told = SOUND.replace("2030-01-02T03:04:05Z", SECRET)
        SERVICE.read("GetApplication", Reply(200, {}, told.encode()))
    assert SECRET not in caplog.text


def test_a_wsdl_that_refers_to_the_network_is_not_loaded(trap: Trap) -> None:
    wsdl = SERVICE.wsdl if isinstance(SERVICE.wsdl, bytes) else SERVICE.wsdl.read_bytes()
    there = f'<xsd:include schemaLocation="http://127.0.0.1:{trap.port}/x.xsd"/>'.encode()
    at = wsdl.index(b"<xsd:simpleType")
    service = SoapService(wsdl[:at] + there + wsdl[at:])
    with trap.set(), pytest.raises(Exception, match=r"hold all|External|forbid"):
        service.read("GetApplication", Reply(200, {}, SOUND.encode()))
