"""Several k6 of one scenario in this process, begun in one moment: what a Dask worker each does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from k6.model import ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from k6.start_gate import StartGate


@dataclass
class Gate(StartGate):
    """Opens when `expected` k6 are ready and `held` is set."""

    expected: int
    held: threading.Event = field(default_factory=threading.Event)
    opens_within_s: float = 120.0
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    arrived: int = 0

    def ready(self) -> None:
        self.arrived += 1
        self.waiting.release()

    def is_open(self) -> bool:
        return self.held.is_set() and self.arrived >= self.expected


def shares_of(request: ScenarioRequest, generators: int) -> list[ScenarioRequest]:
    """The request of each generator, each with a folder of its own."""
    return [
        replace(request, generator=n, generators=generators, out_dir=request.out_dir / f"generator-{n}-of-{generators}")
        for n in range(1, generators + 1)
    ]


def together(requests: Sequence[ScenarioRequest]) -> list[ScenarioResult]:
    """All requests run to their end, their loads begun together."""
    gate, stop = Gate(len(requests)), threading.Event()
    gate.held.set()
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda request: run_scenario(request, lambda _: None, stop, gate), requests))
