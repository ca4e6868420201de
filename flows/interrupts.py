"""Ctrl-C, SIGTERM and a cancel in Prefect stop the load, then the report is written and the stack is taken down.

The first wish asks (`run.stop`); every long wait of the suite looks at it. A second signal ends the process at once:
the supervisor then stops the stack, because the lease is gone.

A cancelled flow run is looked for here as well as by Prefect's worker, which signals the process when it hears of it:
a run by hand on a server of one's own has no worker.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import FrameType
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient

from tasks.run import Run

log = logging.getLogger("suite")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME_WITHIN_S = 2.0
"""Prefect signals a process and its group: what comes so soon is the same wish."""
SAME_AS_CANCEL_S = 35.0
"""Prefect's worker sends SIGTERM some time after a cancel, and SIGKILL 30 s later."""
LOOK_EVERY_S = 1.0


def ask_to_stop(run: Run, number: int, why: str = "", same_within_s: float = SAME_WITHIN_S) -> None:
    """What the first wish does; a second call changes nothing."""
    if not run.stopped_by:
        said = why or signal.strsignal(number)
        log.warning("%s: stopping the load, then report and teardown; once more ends at once", said)
        run.stopped_by, run.same_until_s = number, time.monotonic() + same_within_s
        run.stop.set()


@contextmanager
def stop_on_cancel(run: Run) -> Iterator[None]:
    """Ask the run to stop when its flow run is cancelled; a server that does not answer is asked again later."""
    if run.flow_run is None:
        yield
        return
    ended = threading.Event()
    in_this_context = copy_context().run  # which has the server's address
    watch = threading.Thread(target=in_this_context, args=(_watch, run, ended), name="cancel-watch", daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _watch(run: Run, ended: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not ended.wait(LOOK_EVERY_S) and not run.stopped_by:
            if _is_cancelled(client, run):
                ask_to_stop(run, signal.SIGTERM, "the flow run was cancelled", SAME_AS_CANCEL_S)


def _is_cancelled(client: SyncPrefectClient, run: Run) -> bool:
    try:
        state = client.read_flow_run(UUID(run.flow_run)).state
    except Exception as error:  # noqa: BLE001 - whatever the client fails with, the run goes on
        log.debug("the flow run's state is not known: %r", error)
        return False
    return state is not None and (state.is_cancelling() or state.is_cancelled())


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """Handle SIGINT and SIGTERM for this run; Python handles signals in the main thread only, elsewhere it is inert."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        if run.stopped_by and time.monotonic() > run.same_until_s:
            raise SystemExit(128 + number)
        ask_to_stop(run, number)

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
