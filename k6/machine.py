"""What the kernel says while k6 runs: had it a processor when it needed one?

Linux only; elsewhere both figures are None and nothing is claimed of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_NS_PER_S = 1e9
_COUNTED = 8
"""Fields of /proc/stat's first line: user nice system idle iowait irq softirq steal; guest time is in user already."""
_STEAL = 7


class ProcessorWatch:
    """Watches one process from now on; `look` as often and as late as possible, a dead process tells nothing."""

    def __init__(
        self,
        pid: int,
        proc: Path = Path("/proc"),
        clock: Callable[[], float] = time.monotonic,
        processors: int = os.cpu_count() or 1,
    ) -> None:
        self._proc = proc
        self._tasks = proc / str(pid) / "task"
        self._clock = clock
        self._processors = processors
        self._began = clock()
        self._before = self._ticks()
        self._waited_ns: dict[str, int] = {}

    def look(self) -> None:
        """Note how long each thread has waited; one that has ended keeps its last figure."""
        for thread in _names_in(self._tasks):
            stat = _text_of(self._tasks / thread / "schedstat")
            if stat:
                self._waited_ns[thread] = int(stat.split()[1])

    def run_delay_ratio(self) -> float | None:
        """Time that threads were ready and had no processor, by wall time and processors.

        Threads wait side by side: over the processors that they could have had it is a share of the wall time.
        """
        if not self._waited_ns:
            return None
        wall_s = max(self._clock() - self._began, 1e-3)
        return sum(self._waited_ns.values()) / _NS_PER_S / wall_s / self._processors

    def steal_ratio(self) -> float | None:
        """Share of all processors' time that the hypervisor gave to others (/proc/stat)."""
        now, before = self._ticks(), self._before
        if len(now) < _COUNTED or len(before) < _COUNTED:
            return None
        spent = [after - then for after, then in zip(now, before, strict=True)]
        return max(0, spent[_STEAL]) / max(sum(spent), 1)

    def _ticks(self) -> list[int]:
        first_line = _text_of(self._proc / "stat").partition("\n")[0]
        return [int(ticks) for ticks in first_line.split()[1 : 1 + _COUNTED]]


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the process has just ended, or this is not Linux


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
