"""Free loopback ports that stay ours across a restart.

They come from below the range that Linux gives to outgoing connections (32768 and up): a client that keeps calling a
stopped server from there can be given the very port it calls, connect to itself and hold the port.
"""

import random
import socket
from contextlib import closing

LOWEST, HIGHEST = 20_000, 32_000


def is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(LOWEST, HIGHEST)
        if is_free(port):
            return port


def listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
