"""Making faults: what can be seen of it without a stack."""

import os
import subprocess
import sys

from proofs.chaos.faults import SHIM

CLOCKS = """
import asyncio, datetime as dt, time, uvloop
async def nap():
    begin = time.monotonic()
    await asyncio.sleep(0.05)
    print(time.monotonic() - begin)
print(time.time())
print(dt.datetime.now(dt.UTC).timestamp())
uvloop.run(nap())
"""


def test_a_skewed_program_is_wrong_about_the_date_and_right_about_how_long_things_take() -> None:
    """The calendar comes from another process, whose clock nobody moved."""
    environment = os.environ | {"PYTHONPATH": str(SHIM), "PROOFS_SKEW_SECONDS": "-600"}
    command = [sys.executable, "-c", CLOCKS]
    said = {}
    for name, told in (("wrong", environment), ("right", dict(os.environ))):
        done = subprocess.run(command, env=told, capture_output=True, text=True, check=True, timeout=60)
        said[name] = [float(line) for line in done.stdout.split()]
    for wrong, right in zip(said["wrong"][:2], said["right"][:2], strict=True):
        assert -660 < wrong - right < -595
    assert 0.04 < said["wrong"][2] < 5
