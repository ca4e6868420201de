"""Fewer points for the eye: what falls on one pixel becomes its extremes, so that a spike survives and a hole stays."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboards.variables import SCRAPE_S

PUSH_S = 1.0
"""k6 pushes its series every second (corrections 19): a scenario may last no longer than a few."""
FINE_S = 600.0
"""Up to this long a window is asked by k6's pushes, a longer one by the scrapes."""
BUCKETS = 360
"""About the pixels of a panel that is a third of a page wide."""
CHUNK_POINTS = 1_440
"""Points a series of one range query: Prometheus refuses more than 11,000, and answers a few at once."""

Value = float | None
Points = list[tuple[float, Value]]


@dataclass(frozen=True)
class Raster:
    """How a window is asked and thinned. Times in unix seconds; a bucket is `bucket_steps` wide, 1 is not thinned."""

    start: float
    end: float
    step_s: float
    bucket_steps: int

    @classmethod
    def of(cls, start: float, end: float) -> Raster:
        step_s = PUSH_S if end - start <= FINE_S else SCRAPE_S
        points = (end - start) / step_s
        return cls(start, end, step_s, math.ceil(points / BUCKETS) if points > 2 * BUCKETS else 1)

    @property
    def bucket_s(self) -> float:
        return self.bucket_steps * self.step_s

    def chunks(self) -> Iterator[tuple[float, float]]:
        """(start, end) of range queries of at most CHUNK_POINTS points, each of whole buckets, on one grid of steps."""
        steps = max(1, CHUNK_POINTS // self.bucket_steps) * self.bucket_steps
        last = math.floor((self.end - self.start) / self.step_s + 1e-9)
        for first in range(0, last + 1, steps):
            yield self.start + first * self.step_s, self.start + min(first + steps - 1, last) * self.step_s


def thin(times: Sequence[float], values: Sequence[Value], raster: Raster, *, highest_only: bool = False) -> Points:
    """The line's points, at most two a bucket: its lowest and highest value in their order, half a bucket apart.

    `highest_only`, for a heatmap's cells, gives one. A bucket without a number gives None, one without points nothing.
    """
    if raster.bucket_steps == 1:
        return list(zip(times, values, strict=True))
    points: Points = []
    for at, inside in _buckets(times, values, raster):
        numbers = [value for value in inside if value is not None]
        if not numbers:
            points.append((at, None))
        elif highest_only:
            points.append((at, max(numbers)))
        else:
            pair = min(numbers), max(numbers)
            falls = numbers.index(pair[0]) > numbers.index(pair[1])
            first, second = reversed(pair) if falls else pair
            points += [(at, first), (at + raster.bucket_s / 2, second)]
    return points


def _buckets(
    times: Sequence[float], values: Sequence[Value], raster: Raster
) -> Iterator[tuple[float, Sequence[Value]]]:
    """(start of the bucket, values in it) for every bucket that the line has points in."""
    left = 0
    while left < len(times):
        index = math.floor((times[left] - raster.start) / raster.bucket_s + 1e-9)
        after = raster.start + (index + 1) * raster.bucket_s
        right = max(bisect_left(times, after - raster.step_s / 2, left), left + 1)
        yield raster.start + index * raster.bucket_s, values[left:right]
        left = right
