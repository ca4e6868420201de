"""Restarts and gaps in collected lines: a trend across either would be a wrong number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from report.prometheus import Line

Times = np.ndarray[Any, np.dtype[np.int64]]
Values = np.ndarray[Any, np.dtype[np.float64]]
MISSED = 3
"""Steps without a sample that are a gap."""
_SAME_START_S = 1.0


def finite(line: Line) -> tuple[Times, Values]:
    """Times and values without NaN and infinities."""
    good = np.isfinite(line.values)
    return line.times_ms[good], line.values[good]


def new_starts(lines: Sequence[Line]) -> list[int]:
    """Epoch milliseconds of the first sample after each restart, from start times."""
    return _where(lines, lambda change: np.abs(change) > _SAME_START_S)


def resets(lines: Sequence[Line]) -> list[int]:
    """Epoch milliseconds of the first sample after each fall of an uptime or counter."""
    return _where(lines, lambda change: change < 0)


def gaps(times_ms: Times, started_ms: float, ended_ms: float, step_s: float) -> list[tuple[int, int]]:
    """(from, to) in epoch milliseconds of each stretch of more than MISSED steps without a sample, ends included."""
    edges = np.concatenate([[started_ms], times_ms, [ended_ms]]).astype(np.int64)
    long = np.flatnonzero(np.diff(edges) > MISSED * step_s * 1000)
    return [(int(edges[index]), int(edges[index + 1])) for index in long]


def longest_part(times_ms: Times, cuts_ms: Sequence[int]) -> slice:
    """The samples of the longest stretch of time that no cut divides; each cut begins a stretch."""
    edges = [0, *np.searchsorted(times_ms, sorted(cuts_ms)).tolist(), len(times_ms)]
    parts = [slice(first, last) for first, last in pairwise(edges) if last > first]
    return max(parts, key=lambda part: int(times_ms[part.stop - 1] - times_ms[part.start]), default=slice(0, 0))


def clock(epoch_ms: float) -> str:
    """'03:12:05Z'."""
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%H:%M:%S}Z"


def _where(lines: Sequence[Line], is_restart: Any) -> list[int]:
    found: set[int] = set()
    for line in lines:
        times, values = finite(line)
        found.update(times[1:][is_restart(np.diff(values))].tolist())
    return sorted(found)
