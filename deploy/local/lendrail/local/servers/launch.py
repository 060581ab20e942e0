"""Start a program so that it ends with the process that started it: `python -S launch.py PARENT PROGRAM ARGS...`.

On Linux the kernel sends SIGKILL when the starter dies, however it dies (PR_SET_PDEATHSIG survives exec). SIGKILL,
because a service that waits for a broker which died in the same moment might never finish a polite end; everything we
start is built to survive it. Elsewhere the program is only started. Standard library only, for a quick start.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):  # it died before we asked
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the point of this file


main()
