"""How fast does a line rise? Theil-Sen, which a third of bad points does not move, with an honest interval.

The samples of a gauge follow each other closely, and Sen's interval believes that they do not. So the line is first cut
into equal blocks, each reduced to one value, and the interval is then widened by sqrt((1 + r) / (1 - r)), r being the
correlation of neighbouring blocks (the effective sample size of a first-order autoregressive series). r is the middle
one of three, each around the slope of its own third, so that the bend of a cache that fills does not pass for noise.
Theil-Sen and its interval: scipy.stats.theilslopes (Sen, JASA 63, 1968).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLES_PER_BLOCK = 4
"""At least, so that one bad sample is not a block's value."""
FEWEST_BLOCKS = 8
CONFIDENCE = 0.95
STRONGEST_CORRELATION = 0.9
_MS_PER_HOUR = 3_600_000

Array = np.ndarray[Any, np.dtype[np.float64]]
Reduce = Callable[[Array], Any]


@dataclass(frozen=True)
class Slope:
    """Per hour, between `low` and `high` with 95 %; `start` and `end` are the fitted levels."""

    per_hour: float
    low: float
    high: float
    start: float
    end: float


def blocks(
    times_ms: np.ndarray[Any, np.dtype[np.int64]], values: Array, number: int, reduce: Reduce
) -> tuple[Array, Array]:
    """(hours since the first sample, value) of each of at most `number` blocks that has samples; values are finite."""
    hours = (times_ms - times_ms[0]) / _MS_PER_HOUR
    number = min(number, max(1, len(values) // SAMPLES_PER_BLOCK))
    which = np.minimum((hours / max(float(hours[-1]), 1e-9) * number).astype(int), number - 1)
    filled = np.unique(which)
    centres = np.array([float(np.mean(hours[which == block])) for block in filled])
    return centres, np.array([float(reduce(values[which == block])) for block in filled])


def slope(hours: Array, values: Array) -> Slope | None:
    """The slope through blocks; None with too few of them."""
    if len(values) < FEWEST_BLOCKS:
        return None
    from scipy.stats import theilslopes  # here, because its import takes a second and only long loads need it

    found = theilslopes(values, hours, CONFIDENCE)
    wider = _widening(hours, values)
    return Slope(
        per_hour=float(found.slope),
        low=float(found.slope - (found.slope - found.low_slope) * wider),
        high=float(found.slope + (found.high_slope - found.slope) * wider),
        start=float(found.intercept + found.slope * hours[0]),
        end=float(found.intercept + found.slope * hours[-1]),
    )


def _widening(hours: Array, values: Array) -> float:
    thirds = zip(np.array_split(hours, 3), np.array_split(values, 3), strict=True)
    correlation = float(np.median([_correlation(*third) for third in thirds]))
    bounded = min(max(correlation, 0.0), STRONGEST_CORRELATION)
    return math.sqrt((1 + bounded) / (1 - bounded))


def _correlation(hours: Array, values: Array) -> float:
    """Of neighbours, around a straight line; what the line takes away of it in a short part is put back."""
    residuals = values - np.polyval(np.polyfit(hours, values, 1), hours)
    power = float(residuals @ residuals)
    if power <= 1e-12 * float(values @ values):
        return 0.0
    found = float(residuals[:-1] @ residuals[1:]) / power
    return found + (1 + 3 * found) / len(values)
