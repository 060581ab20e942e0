"""Python runs this at its start when the folder is on its path: moves its calendar clocks, and not the monotonic one,
by PROOFS_SKEW_SECONDS.
"""

import os

if _skew := os.environ.get("PROOFS_SKEW_SECONDS"):
    import datetime as dt

    import time_machine

    time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=float(_skew)), tick=True).start()
