"""Ctrl-C and SIGTERM stop the load, then the report is written and what was started is taken down.

The first signal asks (`run.stop`); every long wait of the suite looks at it. The second one ends the process at once:
the supervisor then stops the stack, because the lease is gone.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.run import Run

log = logging.getLogger("suite")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME_WITHIN_S = 2.0
"""Prefect signals a process and its group: what comes so soon is the same wish."""


def ask_to_stop(run: Run, number: int) -> None:
    """What the first signal does; a second call changes nothing."""
    if not run.stopped_by:
        log.warning("%s: stopping the load, then report and teardown; once more ends at once", signal.strsignal(number))
        run.stopped_by, run.stopped_at_s = number, time.monotonic()
        run.stop.set()


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """Handle SIGINT and SIGTERM for this run; Python handles signals in the main thread only, elsewhere it is inert."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        if run.stopped_by and time.monotonic() - run.stopped_at_s > SAME_WITHIN_S:
            raise SystemExit(128 + number)
        ask_to_stop(run, number)

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
