"""SIGTERM ends a run through its `finally`, also in the middle of asynchronous work; a second one changes nothing."""

import signal
import subprocess
import sys
from pathlib import Path

RUN = """
import asyncio, time
from proofs.ending import orderly

async def work():
    print("working", flush=True)
    await asyncio.sleep(60)

orderly()
try:
    asyncio.run(work())
finally:
    print("taking down", flush=True)
    time.sleep(0.5)
    print("taken down", flush=True)
"""


def test_a_run_that_is_told_to_end_takes_down_what_it_started(project: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN], cwd=project, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    try:
        for said in ("working", "taking down"):
            assert run.stdout.readline().strip() == said
            run.send_signal(signal.SIGTERM)
        assert run.stdout.readline().strip() == "taken down"
        assert run.wait(30) == 128 + signal.SIGTERM
    finally:
        run.kill()
        run.wait()
