"""The moments of a range query: one each step, from the window's start on, and its pieces under Prometheus' limit.

A line with a sample at each moment shares the grid's own array, so that a day of 2,000 lines keeps their times once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

MAX_POINTS = 11_000
"""Prometheus refuses a range query with more points a series."""
FIRST_POINTS = 1_000
"""Asked for at first, when nobody knows yet how many lines will answer."""
SAMPLES_PER_ANSWER = 125_000
"""About 3 MB of text: what is read at a time stays small, whatever number of lines answers."""

Times = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Grid:
    """Moments in epoch seconds: `started_s`, and one each `step_s` after it."""

    started_s: float
    step_s: float
    points: int

    @classmethod
    def of(cls, started_s: float, ended_s: float, step_s: float) -> Grid:
        """All moments of the window, both ends included."""
        return cls(started_s, step_s, math.floor((ended_s - started_s) / step_s + 1e-9) + 1)

    def piece(self, first: int, points: int) -> Grid:
        """At most so many moments from index `first` on, and no more than Prometheus allows."""
        return Grid(self.started_s + first * self.step_s, self.step_s, min(points, MAX_POINTS, self.points - first))

    @property
    def ended_s(self) -> float:
        return self.started_s + (self.points - 1) * self.step_s

    @cached_property
    def times_ms(self) -> Times:
        times: Times = np.rint((self.started_s + np.arange(self.points) * self.step_s) * 1000).astype(np.int64)
        return times

    def shared(self, times_ms: Times) -> Times:
        """The same times as a part of the grid's own array; as they are where they have holes or lie beside it."""
        first = int(np.searchsorted(self.times_ms, times_ms[0])) if len(times_ms) else 0
        part = self.times_ms[first : first + len(times_ms)]
        return part if np.array_equal(part, times_ms) else times_ms


def points_for(lines: int) -> int:
    """Points of the next piece, after one in which so many lines answered."""
    return max(1, SAMPLES_PER_ANSWER // max(1, lines))
