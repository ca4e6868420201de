"""The relative change between two groups of runs, with Student's interval.

Student and not a bootstrap: the newest group has one to seven runs, and one run has nothing that could be drawn again.
The spread is that of the earlier runs alone, on the logarithms, so a change is a ratio and its interval is exact for
noise that is a share of the figure: the interval of the mean of m new values from n old ones, with n - 1 degrees of
freedom and the standard error s * sqrt(1/m + 1/n). Nothing is drawn at random, so there is no seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = np.ndarray[Any, np.dtype[np.float64]]

MIN_BASELINE = 5
"""Earlier runs without which a spread means nothing."""
MIN_EFFECT = 0.05
"""A change below 5 % is of no interest, however sure it is."""
LEAST_SPREAD = 0.01
"""Two nights are never more alike than 1 %, even where rounded figures happen to be equal."""
OUTLYING = 6
"""An earlier run this many robust deviations from the median was disturbed, and is left out."""
ENOUGH_FOR_OUTLIERS = 10


@dataclass(frozen=True)
class Shift:
    """Levels are geometric means; `relative` 0.1 is 10 % more, between `low` and `high` with this confidence."""

    before: float
    after: float
    relative: float
    middle: float  # the same of the newest runs' median, which one disturbed run does not move
    low: float
    high: float
    confidence: float
    runs: int
    runs_before: int

    def is_worse(self, least: float, least_relative: float = MIN_EFFECT) -> bool:
        """Surely higher, by the least relative and by the least absolute change, and not by one run alone."""
        enough = min(self.relative, self.middle) >= least_relative
        return self.low > 0 and enough and self.after - self.before > least

    def is_better(self, least: float, least_relative: float = MIN_EFFECT) -> bool:
        """The same towards lower figures."""
        enough = max(self.relative, self.middle) <= -least_relative
        return self.high < 0 and enough and self.before - self.after > least


def shift(before: Sequence[float], after: Sequence[float], alpha: float) -> Shift:
    """From earlier to newest values, all above 0; each side of the interval is missed with probability `alpha`.

    ValueError with fewer than MIN_BASELINE earlier values or no new one.
    """
    if len(before) < MIN_BASELINE or not after:
        raise ValueError(f"{len(before)} earlier and {len(after)} new values; {MIN_BASELINE} and 1 are needed")
    from scipy.special import stdtrit  # here, because most commands never compare

    (old, spread), new = noise(before), np.log(after)
    error = spread * math.sqrt(1 / len(new) + 1 / len(old))
    half = -float(stdtrit(len(old) - 1, alpha)) * error
    difference = float(new.mean() - old.mean())
    return Shift(
        before=math.exp(old.mean()),
        after=math.exp(new.mean()),
        relative=math.expm1(difference),
        middle=math.expm1(float(np.median(new) - old.mean())),
        low=math.expm1(difference - half),
        high=math.expm1(difference + half),
        confidence=1 - 2 * alpha,
        runs=len(new),
        runs_before=len(old),
    )


def noise(values: Sequence[float]) -> tuple[Values, float]:
    """The logarithms of undisturbed values, and their standard deviation: a share of the figure."""
    kept = _without_outliers(np.log(values))
    return kept, max(float(kept.std(ddof=1)), LEAST_SPREAD)


def _without_outliers(values: Values) -> Values:
    """Without what one disturbed night measured; a few values cannot say what is disturbed."""
    if len(values) < ENOUGH_FOR_OUTLIERS:
        return values
    distance = np.abs(values - np.median(values))
    robust = max(1.4826 * float(np.median(distance)), LEAST_SPREAD)
    kept: Values = values[distance <= OUTLYING * robust]
    return kept
