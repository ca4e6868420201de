"""Ctrl-C and SIGTERM stop the load, then the report is written and what was started is taken down.

The first signal asks (`run.stop`); every long wait of the suite looks at it. The second one ends the process at once:
the supervisor then stops the stack, because the lease is gone.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.run import Run

log = logging.getLogger("suite")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """Handle SIGINT and SIGTERM for this run; Python handles signals in the main thread only, elsewhere it is inert."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        if run.stopped_by:
            raise SystemExit(128 + number)
        log.warning("%s: stopping the load, then report and teardown; once more ends at once", signal.strsignal(number))
        run.stopped_by = number
        run.stop.set()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
