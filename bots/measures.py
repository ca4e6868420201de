"""Measures with bounded memory: latencies in logarithmic buckets, and a rate over the last seconds."""

from __future__ import annotations

import math
from collections import Counter, deque

from bots.plan import Latency

_FLOOR_S = 1e-6
_GROWTH = math.log(1.02)
"""Each bucket is 2 % wider than the one below: a percentile is never understated, and overstated by at most 2 %."""


class LatencyHistogram:
    """Latencies in seconds, from 1 µs upward."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max_s = 0.0

    def record(self, seconds: float) -> None:
        self._buckets[max(0, math.ceil(math.log(max(seconds, _FLOOR_S) / _FLOOR_S) / _GROWTH))] += 1
        self._max_s = max(self._max_s, seconds)

    def percentile_ms(self, share: float) -> float | None:
        """The value that `share` of the latencies do not exceed; None without any."""
        wanted = math.ceil(share * self._buckets.total())
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_FLOOR_S * math.exp(bucket * _GROWTH), self._max_s) * 1000
        return None

    def summary(self) -> Latency:
        return Latency(
            p50_ms=_rounded(self.percentile_ms(0.50)),
            p95_ms=_rounded(self.percentile_ms(0.95)),
            p99_ms=_rounded(self.percentile_ms(0.99)),
            max_ms=_rounded(self._max_s * 1000) if self._buckets else None,
        )


class MovingRate:
    """Events a second over the last `window_s`."""

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._points: deque[tuple[float, int]] = deque()

    def update(self, now_s: float, total: int) -> float:
        """Take the running total at `now_s`; returns the rate since the oldest point in the window."""
        self._points.append((now_s, total))
        while len(self._points) > 2 and self._points[1][0] <= now_s - self._window_s:
            self._points.popleft()
        oldest_s, oldest_total = self._points[0]
        return (total - oldest_total) / (now_s - oldest_s) if now_s > oldest_s else 0.0


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
