"""The sending processes of one run: started together, released together, stopped together, their books as one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from types import TracebackType
from typing import Self

from bots.lines import LineProcess, Said
from bots.metrics import MULTIPROC_DIR
from bots.plan import BotPlan
from bots.sender import OVERRUN_S, SETTLE_S
from bots.share import ShareLine, SharePlan, ShareResult, ShareState
from core.errors import LoadError
from core.settings import process_environment

WORKER = (sys.executable, "-m", "bots.worker")
READY_S = 60.0
"""How long the processes may take to start and to find the broker."""
HEAD_START_S = 0.05
"""The common start lies this far ahead when it is told."""
STOPPED_S = SETTLE_S + 30
"""How long a stopped load may take to account for what it sent."""
END_S = 5.0
_LISTEN_S = 0.2


class Crew:
    """`producers` processes that share `plan`'s schedule, with files in `folder`; a context manager.

    LoadError names what a process said was wrong, or how it ended before its time.
    """

    def __init__(self, plan: BotPlan, producers: int, folder: Path, command: Sequence[str] = WORKER) -> None:
        self._plan, self._folder, self._producers, self._command = plan, folder, producers, command
        self._queue: SimpleQueue[Said] = SimpleQueue()
        self._processes: list[LineProcess] = []
        self._states = [ShareState(sent=0, acked=0, failed=0, late_s=0) for _ in range(producers)]
        self._results: dict[int, ShareResult] = {}
        self._ready: set[int] = set()

    def __enter__(self) -> Self:
        environment = process_environment(**{MULTIPROC_DIR: str(self._folder)})
        for number in range(self._producers):
            share = SharePlan(
                plan=self._plan, producer=number, producers=self._producers, states_file=self._states_file(number)
            )
            log_file = self._folder / f"producer-{number}.log"
            process = LineProcess(number, self._command, environment, log_file, self._queue)
            self._processes.append(process)
            process.tell(share.model_dump_json())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.end_lease()
        for process in self._processes:
            process.close(END_S)

    @property
    def state(self) -> ShareState:
        """The processes' states as one; the latest of them is the bot's lateness."""
        return ShareState(
            sent=sum(state.sent for state in self._states),
            acked=sum(state.acked for state in self._states),
            failed=sum(state.failed for state in self._states),
            late_s=max(state.late_s for state in self._states),
        )

    def wait_until_ready(self, stop: Event, tick: Callable[[], object]) -> None:
        """Until each process has its messages and its broker, or `stop`."""
        self._listen_until(
            lambda: len(self._ready) == self._producers or stop.is_set(), time.monotonic() + READY_S, tick
        )

    def run(self, stop: Event, tick: Callable[[], object]) -> Sequence[ShareResult]:
        """Release them at one moment and wait for their results; `stop` ends the load, not the account."""
        start_s = time.monotonic() + HEAD_START_S
        for process in self._processes:
            process.tell(repr(start_s))
        over_s = start_s + self._plan.duration_s + OVERRUN_S + STOPPED_S
        self._listen_until(lambda: self._is_done() or stop.is_set(), over_s, tick)
        if not self._is_done():
            for process in self._processes:
                process.end_lease()
            self._listen_until(self._is_done, time.monotonic() + STOPPED_S, tick)
        return [self._results[number] for number in range(self._producers)]

    def books(self) -> Sequence[bytes]:
        """Each producer's states, a byte a message; after `run`."""
        return [self._states_file(number).read_bytes() for number in range(self._producers)]

    def _states_file(self, number: int) -> Path:
        return self._folder / f"producer-{number}.states"

    def _is_done(self) -> bool:
        return len(self._results) == self._producers

    def _listen_until(self, done: Callable[[], bool], deadline_s: float, tick: Callable[[], object]) -> None:
        while not done():
            if time.monotonic() > deadline_s:
                raise LoadError(
                    "a sending process of the Kafka bot does not answer",
                    where=", ".join(str(p.pid) for p in self._processes if p.number not in self._results),
                    cure="Is the machine overloaded? Ask for a lower rate.",
                )
            with suppress(Empty):
                self._hear(self._queue.get(timeout=_LISTEN_S))
            tick()

    def _hear(self, said: Said) -> None:
        if said.line is None:
            if said.number not in self._results:
                raise self._lost(said.number)
            return
        line = ShareLine.model_validate_json(said.line)
        if line.problem is not None:
            raise LoadError(line.problem.what, where=line.problem.where, cure=line.problem.cure)
        if line.ready:
            self._ready.add(said.number)
        if line.state is not None:
            self._states[said.number] = line.state
        if line.result is not None:
            self._results[said.number] = line.result

    def _lost(self, number: int) -> LoadError:
        process, state = self._processes[number], self.state
        process.close(END_S)
        return LoadError(
            f"sending process {number} ended before its time ({process.last_words()}); until then the bot had "
            f"{state.sent} messages sent, {state.acked} acknowledged, {state.failed} failed",
            where=f"pid {process.pid}",
            cure="What it did after its last word is not known: run again, and look who ended it (`dmesg` for memory).",
        )


def merged_failures(results: Sequence[ShareResult]) -> Mapping[str, int]:
    """Reason -> messages, over all producers."""
    reasons = {reason: 0 for result in results for reason in result.failures}
    return {reason: sum(result.failures.get(reason, 0) for result in results) for reason in reasons}
