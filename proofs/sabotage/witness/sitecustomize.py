"""Python runs this at its start when the folder is on its path: notes where this process would take the sabotaged
module from, so that a run can tell that all of its programs had the copy and none the installed one.
"""

import importlib.util
import os

if (_module := os.environ.get("PROOFS_SABOTAGED")) and (_seen := os.environ.get("PROOFS_SEEN")):
    _spec = importlib.util.find_spec(_module)
    with open(_seen, "a", encoding="utf-8") as _file:
        _file.write(f"{_spec.origin if _spec else None}\n")
