"""From the samples of one line in a window to one figure.

Times (epoch ms), values and weights have the same length, are in order of time, and all finite; only the mean counts
the weights. Percentiles are over the window's samples, with linear interpolation. A slope is Theil and Sen's, the
median of the slopes between all pairs of samples (Sen 1968, doi:10.1080/01621459.1968.10480934), so that single
outliers do not turn it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

Reduction = Literal["max", "mean", "last", "p50", "p95", "p99", "slope"]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Times: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

PAIRED_MAX = 500
"""A longer line is first drawn together into this many medians: the pairs of 24 h at 5 s would not fit the memory."""
_MS_PER_HOUR = 3_600_000
_PERCENT: Mapping[Reduction, float] = {"p50": 50, "p95": 95, "p99": 99}


def samples_needed(reduction: Reduction, since_start: bool) -> int:
    """Fewest samples from which the reduction says anything: a change needs two, a slope three."""
    return 3 if reduction == "slope" else 2 if since_start else 1


def reduced(reduction: Reduction, times_ms: Times, values: Floats, weights: Floats) -> float:
    """The figure, in the values' unit, a slope in that unit per hour; needs `samples_needed` samples."""
    match reduction:
        case "max":
            return float(values.max())
        case "mean":
            return float(np.sum(values * weights) / np.sum(weights))
        case "last":
            return float(values[-1])
        case "slope":
            return _slope(times_ms, values)
        case _:
            return float(np.percentile(values, _PERCENT[reduction]))


def unbroken(values: Floats) -> tuple[Floats, int]:
    """A counter's values as if its process had never started again, and how often it did.

    What was counted between the last sample before a restart and the restart is lost, so the result is a lower bound.
    """
    falls = np.minimum(np.diff(values, prepend=values[:1]), 0.0)
    return values - np.cumsum(falls), int(np.count_nonzero(falls))


def _slope(times: Times, values: Floats) -> float:
    pieces = min(PAIRED_MAX, len(values))
    hours = np.array([np.median(part) for part in np.array_split(times, pieces)]) / _MS_PER_HOUR
    heights = np.array([np.median(part) for part in np.array_split(values, pieces)])
    first, second = np.triu_indices(pieces, 1)
    return float(np.median((heights[second] - heights[first]) / (hours[second] - hours[first])))
