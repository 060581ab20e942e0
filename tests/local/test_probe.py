"""How a program's health is asked for."""

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from lendrail.local.stack import probe


class Slow(http.server.BaseHTTPRequestHandler):
    """As a gateway while MongoDB is away: it looks for two seconds, then says that it takes calls all the same."""

    def do_GET(self) -> None:
        time.sleep(2.1)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/ready"
    server.shutdown()
    server.server_close()


def test_a_service_that_looks_for_its_store_is_waited_for(slow: str) -> None:
    assert probe(slow)[0]
