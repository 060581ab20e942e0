"""What runs inside a rendering process. It imports little, so that the process is there quickly."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Sequence

from lendrail.documents.sheet import Sheet
from lendrail.documents.workbook import render

Rendered = bytes | str
"""The file, or the type of the error that kept it from being made."""


def render_all(sheets: Sequence[Sheet]) -> list[Rendered]:
    """Every sheet, whatever happens to the others."""
    results = [_rendered(sheet) for sheet in sheets]
    gc.collect()
    return results


def _rendered(sheet: Sheet) -> Rendered:
    try:
        return render(sheet)
    except Exception as error:
        return type(error).__name__


def settle_in() -> None:
    """Collect garbage between orders only; leave Ctrl-C to the parent; end when the parent ends, even by SIGKILL."""
    gc.freeze()
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(0)
