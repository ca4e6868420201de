"""Change points of a series of nights, by Apache Otava (E-divisive means with Student's test; "Hunter", ICPE 2023).

Otava alone is too loud to wake anybody: at its own p < 0.001 it sees a change in the newest seven of 37 nights of pure
noise in 3 to 4 of 1,000 series, which is one night in ten with 30 series. Here it is the second witness: it must see
the change too, and it says with which run the new level began.
"""

from __future__ import annotations

from collections.abc import Sequence

from report.shift import MIN_EFFECT

MAX_P = 0.01
"""As a second witness: what it finds has been shown to be a change already."""
WINDOW = 200
"""Longer than any series given to it, so that it looks at all of it at once."""


def last_rise(values: Sequence[float]) -> int | None:
    """Index of the first value after the latest change point that was a rise; None when there is none."""
    from otava.analysis import compute_change_points  # here, because its import takes a second and few nights need it

    points, _ = compute_change_points(
        [float(value) for value in values], window_len=WINDOW, max_pvalue=MAX_P, min_magnitude=MIN_EFFECT / 2
    )
    return max((int(point.index) for point in points if point.stats.mean_2 > point.stats.mean_1), default=None)
