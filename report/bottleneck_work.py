"""Where the requests were, step by step: what every timer's total grew by between two looks at it.

The growth of a timer's seconds, by the seconds that passed, is how many were there on average; by the growth of its
count it is how long one of them took (Little's law, which asks nothing of how they arrive).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from report.store import Collected
from report.windows import Span

Values = np.ndarray[Any, np.dtype[np.float64]]
Bits = np.ndarray[Any, np.dtype[np.bool_]]
"""One for each step."""
ROUNDING = 0.01
"""Part of a step by which a time may lie beside its grid: Prometheus rounds to milliseconds."""
CHANGES_AT_LEAST = 4
"""Of a total, to tell how often it is scraped."""


@dataclass(frozen=True)
class Timer:
    """What each step added to a timer: its count and its seconds."""

    count: Values
    seconds: Values

    @property
    def each(self) -> Values:
        """Mean seconds of one in each step; 0 where there was none."""
        return np.where(self.count > 0, self.seconds / np.maximum(1.0, self.count), 0.0)


class Work:
    """The collected totals on one grid of steps; step k ends at `moment(k)` and holds what was added since k - 1.

    A step is as long as the collected ones, or as the time between two scrapes where that is longer. A figure is
    scraped after what it counts has happened: a step's work was done in it, or at most one scrape before.
    """

    def __init__(self, collected: Collected) -> None:
        self._collected = collected
        a_scrape = _steps_a_scrape(collected)
        self.step_s = collected.step_s * a_scrape
        length_s = (collected.window.ended - collected.window.started).total_seconds()
        self.steps = math.ceil(int(length_s / collected.step_s + ROUNDING) / a_scrape) + 1

    def moment(self, step: int) -> datetime:
        """The step's end."""
        return self._collected.window.started + timedelta(seconds=step * self.step_s)

    def within(self, span: Span, until: datetime | None = None) -> Bits:
        """The steps that hold the span's work: those that end in it, the next one, and the one after that if it served.

        The end of a burst is scraped up to a step later, which a step that ends later still is the first to show; from
        `until` on, what is served may be another part's.
        """
        ends = np.arange(self.steps) * self.step_s + self._collected.window.started.timestamp()
        next_ended = span.ended.timestamp() + self.step_s
        last = next_ended + self.step_s if until is None else min(next_ended + self.step_s, until.timestamp())
        late = (ends >= next_ended) & (ends < last) & (total(self.added("served_total").values()) > 0)
        return (ends > span.started.timestamp()) & (ends < next_ended) | late

    def gauge(self, series: str) -> dict[tuple[str, ...], Values]:
        """Labels' values -> the figure at each step's end; NaN where there is none."""
        lines = self._collected.lines(series)
        return {_owner_first(line.labels): self._placed(line.times_ms, line.values) for line in lines}

    def added(self, series: str) -> dict[tuple[str, ...], Values]:
        """Labels' values -> what each step added to the total; 0 where nothing is known."""
        return {labels: _growth(total) for labels, total in self.gauge(series).items()}

    def timers(self, name: str) -> dict[tuple[str, ...], Timer]:
        """Labels' values -> the timer whose totals are `<name>_total` and `<name>_seconds`."""
        counts, seconds = self.added(f"{name}_total"), self.added(f"{name}_seconds")
        return {labels: Timer(counts[labels], seconds[labels]) for labels in seconds if labels in counts}

    def _placed(self, times_ms: np.ndarray[Any, Any], values: Values) -> Values:
        grid = np.full(self.steps, np.nan)
        start_ms = self._collected.window.started.timestamp() * 1000
        index = np.ceil((times_ms - start_ms) / (self.step_s * 1000) - ROUNDING).astype(int)
        inside = (index >= 0) & (index < self.steps)
        grid[index[inside]] = values[inside]
        return grid


def _steps_a_scrape(collected: Collected) -> int:
    """How many of the collected steps pass between two scrapes: a step without a scrape would look like a pause."""
    changes = [np.flatnonzero(np.diff(line.values) > 0) for line in collected.lines("served_seconds")]
    gaps = [int(np.median(np.diff(at))) for at in changes if len(at) >= CHANGES_AT_LEAST]
    return min(gaps, default=1)


_DETAILS = ("pool", "client_name", "name", "status", "httpStatusCode", "topic")
"""Labels that stand beside the one that names the service (which the target's profile chooses) or consumer group."""


def _owner_first(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in sorted(labels, key=lambda name: (name in _DETAILS, name)))


def _growth(total: Values) -> Values:
    """What each step added: a total that falls began anew at 0, one that appears later was 0 before."""
    known = total.copy()
    gaps = np.isnan(known)
    if gaps.all():
        return np.zeros_like(known)
    first = int(np.argmin(gaps))
    before = np.maximum.accumulate(np.where(gaps, -1, np.arange(len(known))))
    known = np.where(before >= 0, known[np.maximum(before, 0)], known[first] if first == 0 else 0.0)
    grown = np.diff(known, prepend=known[0])
    return np.where(grown < 0, known, grown)


def total(each: Iterable[Values]) -> Values:
    """Their sum, step by step; 0 where there are none."""
    added = list(each)
    return np.sum(added, axis=0) if added else np.zeros(1)
