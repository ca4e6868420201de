"""The consumer group beside the load: its lag every second, its peak, and how long it takes back to 0."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from bots.broker import Broker
from bots.plan import LagSample
from core.errors import SuiteError

UNKNOWN_GROUP_S = 15.0
"""How long a group may take to commit its first offset before it counts as unknown."""


class LagWatch:
    """Asks for the lag in a thread of its own while the block runs; a broker that does not answer leaves a gap."""

    def __init__(self, bootstrap_servers: str, group: str, topic: str, interval_s: float = 1.0) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group, self._topic, self._interval_s = group, topic, interval_s
        self._start_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag-watch", daemon=True)
        self._samples: list[LagSample] = []
        self.unanswered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def series(self) -> Sequence[LagSample]:
        """All samples so far."""
        return tuple(self._samples)

    @property
    def peak_records(self) -> int | None:
        return max((sample.lag_records for sample in self.series), default=None)

    def last_since(self, moment_s: float) -> int | None:
        """The newest lag, if it was asked for after `moment_s` (monotonic); None otherwise."""
        samples = self.series
        if not samples or self._start_s + samples[-1].at_s < moment_s:
            return None
        return samples[-1].lag_records

    def wait_until_drained(
        self, since_s: float, timeout_s: float, proceed: Callable[[], bool], sleep: Callable[[float], object]
    ) -> float:
        """Wait for a lag of 0 asked for after `since_s`; gives up after `timeout_s`, and earlier on an unknown group.

        Returns the seconds from `since_s` to the end of the wait; `last_since(since_s)` says how it ended.
        """
        while self.last_since(since_s) != 0 and proceed():
            bound_s = timeout_s if self._samples else min(timeout_s, UNKNOWN_GROUP_S)
            if time.monotonic() - since_s >= bound_s:
                break
            sleep(self._interval_s / 5)
        return time.monotonic() - since_s

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                with Broker(self._bootstrap_servers) as broker:
                    self._sample_until_ended(broker)
            except SuiteError:
                self.unanswered += 1
                self._ended.wait(self._interval_s)

    def _sample_until_ended(self, broker: Broker) -> None:
        while not self._ended.is_set():
            asked_s = time.monotonic()
            lag = broker.lag_records(self._group, self._topic)
            if lag is not None:
                self._samples.append(LagSample(at_s=round(asked_s - self._start_s, 3), lag_records=lag))
            self._ended.wait(self._interval_s)
