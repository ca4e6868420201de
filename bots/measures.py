"""Measures with bounded memory: latencies in logarithmic buckets, and a rate over the last seconds."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from typing import Self

from bots.plan import Buckets, Latency

_FLOOR_S = 1e-6
_IN_ONE = 64
"""Buckets between a power of two and the next, all as wide: a percentile is never understated, and overstated by at
most 1/64 (the layout of HdrHistogram)."""


class LatencyHistogram:
    """Latencies in seconds, from 1 µs upward."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._max_s = self._sum_s = 0.0

    @classmethod
    def merged(cls, parts: Iterable[Buckets]) -> Self:
        """Several producers' latencies as one."""
        whole = cls()
        for part in parts:
            whole._counts.update(part.counts)
            whole._max_s = max(whole._max_s, part.max_s)
            whole._sum_s += part.sum_s
        return whole

    def record(self, seconds: float) -> None:
        mantissa, exponent = math.frexp(seconds if seconds > _FLOOR_S else _FLOOR_S)
        self._counts[exponent * _IN_ONE + math.ceil(mantissa * 2 * _IN_ONE) - _IN_ONE] += 1
        self._sum_s += seconds
        if seconds > self._max_s:
            self._max_s = seconds

    def buckets(self) -> Buckets:
        """A copy of all that was recorded, to be sent elsewhere."""
        return Buckets(counts=dict(self._counts), max_s=self._max_s, sum_s=self._sum_s)

    def percentile_ms(self, share: float) -> float | None:
        """The value that `share` of the latencies do not exceed; None without any."""
        wanted = math.ceil(share * self._counts.total())
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return min(upper_bound_s(bucket), self._max_s) * 1000
        return None

    def summary(self) -> Latency:
        return Latency(
            p50_ms=_rounded(self.percentile_ms(0.50)),
            p95_ms=_rounded(self.percentile_ms(0.95)),
            p99_ms=_rounded(self.percentile_ms(0.99)),
            max_ms=_rounded(self._max_s * 1000) if self._counts else None,
        )


def upper_bound_s(bucket: int) -> float:
    """The largest latency that falls into `bucket`."""
    exponent, part = divmod(bucket, _IN_ONE)
    return math.ldexp(0.5 + part / (2 * _IN_ONE), exponent)


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
