"""One sending process: `python -m bots.worker`, started by bots/crew.py and talking to it in lines.

stdin: its `SharePlan`, then the moment to start (monotonic seconds, which all processes of a machine share). The load
ends when stdin does, so that it never outlives who asked for it. stdout: `ShareLine`s.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import threading
import time

from bots.broker import Broker
from bots.engine import engine_module
from bots.events import EventFactory
from bots.metrics import ProducerMetrics
from bots.plan import Problem
from bots.sender import Sender
from bots.share import ShareLine, SharePlan, ShareResult, ShareState
from core.errors import SuiteError
from core.reach import Reach, reaching

TELL_S = 0.25
"""How often state is told and the metrics brought up to date."""


def main() -> int:
    """Send the share that stdin describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the crew's chief decides
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    share = SharePlan.model_validate_json(sys.stdin.readline())
    try:
        _say(ShareLine(result=_send(share)))
    except SuiteError as error:
        _say(ShareLine(problem=Problem.of(error)))
    return 0


def _send(share: SharePlan) -> ShareResult:
    plan, stop = share.plan, threading.Event()
    factory = EventFactory(plan, random.Random(f"{plan.run_id}/{share.producer}"), share.producer)
    sender = Sender(plan, factory, share.producer, share.producers)
    metrics = ProducerMetrics(plan.events.topic)
    with reaching(Reach.of(plan.allow)), Broker(plan.bootstrap_servers) as broker:
        engine = engine_module(plan.engine).open_engine(broker, plan, sender.settled)
    teller = _Teller(sender, metrics)
    gc.freeze()  # thousands of templates that no collection need look at again
    _say(ShareLine(ready=True))
    word = sys.stdin.readline()
    threading.Thread(target=_stop_at_end_of_stdin, args=(stop,), name="lease", daemon=True).start()
    cpu_s = time.process_time()

    def proceed() -> bool:
        teller.tick()
        return not stop.is_set()

    if word:
        sender.run(engine, float(word), proceed)
    sender.settle(engine, teller.tick)
    teller.tell()
    share.states_file.write_bytes(sender.books.ledger.states)
    return sender.result(time.process_time() - cpu_s)


class _Teller:
    """Tells state and brings the metrics up to date, every `TELL_S`."""

    def __init__(self, sender: Sender, metrics: ProducerMetrics) -> None:
        self._sender, self._metrics, self._told_s = sender, metrics, 0.0

    def tick(self) -> None:
        if time.monotonic() - self._told_s >= TELL_S:
            self.tell()

    def tell(self) -> None:
        self._told_s = time.monotonic()
        books = self._sender.books
        ledger = books.ledger
        self._metrics.update(ledger, books.from_intended.buckets(), books.from_send.buckets())
        state = ShareState(
            sent=ledger.sent, acked=ledger.acked, failed=ledger.failed, late_s=round(self._sender.late_s, 4)
        )
        _say(ShareLine(state=state))


def _stop_at_end_of_stdin(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


def _say(line: ShareLine) -> None:
    sys.stdout.write(line.model_dump_json(exclude_none=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
