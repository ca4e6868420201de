"""The gateway's circuit breaker: count-based, with the platform's numbers (platform.md 1).

An upstream that hangs or cannot be reached is a failure; an upstream that answers, whatever its status, is not.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

WINDOW_CALLS = 20
FAILURE_SHARE = 0.5
OPEN_S = 10.0
HALF_OPEN_CALLS = 5

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


class Breaker:
    """Ask `admits()` before a call, tell `record()` after it."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.state = name, CLOSED
        self._clock = clock
        self._calls: deque[bool] = deque(maxlen=WINDOW_CALLS)
        self._opened_at = 0.0
        self._permits = 0

    def admits(self) -> bool:
        """Whether a call may go out now; when half open, only five may."""
        if self.state == OPEN and self._clock() - self._opened_at >= OPEN_S:
            self._enter(HALF_OPEN)
            self._permits = HALF_OPEN_CALLS
        if self.state == HALF_OPEN:
            self._permits -= 1
            return self._permits >= 0
        return self.state == CLOSED

    def record(self, succeeded: bool) -> None:
        """Count a call's end; open or close when the counted calls say so."""
        if self.state == OPEN:
            return
        self._calls.append(succeeded)
        wanted = WINDOW_CALLS if self.state == CLOSED else HALF_OPEN_CALLS
        if len(self._calls) < wanted:
            return
        if self._calls.count(False) >= FAILURE_SHARE * len(self._calls):
            self._enter(OPEN)
            self._opened_at = self._clock()
        elif self.state == HALF_OPEN:
            self._enter(CLOSED)

    def _enter(self, state: str) -> None:
        self.state = state
        self._calls.clear()


class BreakerMeters(Collector):
    """`resilience4j_circuitbreaker_state`: 1 for the state a breaker is in, 0 for the others."""

    def __init__(self, breakers: list[Breaker]) -> None:
        self._breakers = breakers

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "resilience4j_circuitbreaker_state", "State of the circuit breaker", labels=("name", "group", "state")
        )
        for breaker in self._breakers:
            for state in (CLOSED, OPEN, HALF_OPEN):
                family.add_metric((breaker.name, "none", state), float(breaker.state == state))
        yield family
