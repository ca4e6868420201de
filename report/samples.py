"""The samples by which a gate judges one line: those of its window, without what is no number.

A sample of a rate speaks of the seconds before it. From a piece of a window that is long enough only those samples are
taken that speak of nothing else. `steady` and `after-warm-up` are there to leave something out, so they have no other
pieces. In the other windows a shorter piece has the samples that lie in it, and one between two samples, as a spike of
half a second, those that speak of it at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from report.prometheus import Line
from report.reductions import Floats, Times
from report.windows import Span, WindowName

GAP_STEPS = 2.5
"""Samples further apart than this many steps have a hole between them: one missed scrape is none."""
FEW_STEPS = 4
"""A window of fewer steps has no share of them that would say anything."""
_STRICT: tuple[WindowName, ...] = ("steady", "after-warm-up")


@dataclass(frozen=True)
class Weighted:
    """A line whose values count by their weights: a share counts by what it is a share of."""

    labels: Mapping[str, str]
    name: str
    times_ms: Times
    values: Floats
    weights: Floats


@dataclass(frozen=True)
class Inside:
    """A line's finite samples in a window, in order of time."""

    times_ms: Times
    values: Floats
    weights: Floats
    sampled_ms: Times  # also of those that are no number: then the line was there
    hole_s: float  # time in the window without samples, between two of them
    reach_s: float  # how far the samples reach beyond the window

    def __len__(self) -> int:
        return len(self.values)


def plain(line: Line) -> Weighted:
    """The line as it is."""
    return Weighted(line.labels, line.name, line.times_ms, line.values, np.ones(len(line.values)))


def shares(parts: Sequence[Line], wholes: Sequence[Sequence[Line]]) -> list[Weighted]:
    """Each line of `parts` as a share of the sum of the lines with its labels, one of each of `wholes`.

    A moment without one of them is left out; the share of a sum of 0, as of a service without requests, is NaN. A line
    without all its counterparts is left out.
    """
    found = []
    for line in parts:
        others = [other for whole in wholes for other in whole if other.labels == line.labels]
        if len(others) == len(wholes):
            found.append(_share(line, others))
    return found


def judged_pieces(name: WindowName, spans: Sequence[Span], lookback_s: float, step_s: float) -> tuple[Span, ...]:
    """The pieces of a window whose samples may be judged; () where `steady` or `after-warm-up` has none long enough."""
    if name not in _STRICT:
        return tuple(spans)
    return tuple(span for span in spans if span.length_s >= lookback_s + step_s)


def inside(line: Weighted, spans: Sequence[Span], lookback_s: float, step_s: float) -> Inside:
    """The line's samples in the window's pieces."""
    pieces = [_piece(line, span, lookback_s, step_s) for span in spans]
    chosen = np.unique(np.concatenate([found for found, _ in pieces]))
    holes = [_hole_s(line.times_ms[found], step_s) for found, _ in pieces]
    finite = chosen[np.isfinite(line.values[chosen])]
    return Inside(
        times_ms=line.times_ms[finite],
        values=line.values[finite],
        weights=line.weights[finite],
        sampled_ms=line.times_ms[chosen],
        hole_s=sum(holes),
        reach_s=max(reach for _, reach in pieces),
    )


def coverage(found: Sequence[Inside], spans: Sequence[Span], lookback_s: float, step_s: float) -> float:
    """Share of a window's steps, 0 to 1, at which at least one line has a sample; 1 for a window of few steps."""
    expected = sum(max(0.0, span.length_s - lookback_s) // step_s for span in spans)
    if expected < FEW_STEPS:
        return 1.0
    sampled = np.unique(np.concatenate([line.sampled_ms for line in found])) if found else ()
    return min(1.0, len(sampled) / expected)


def _piece(line: Weighted, span: Span, lookback_s: float, step_s: float) -> tuple[Times, float]:
    """(indices of the samples for one piece of the window, seconds by which they reach beyond it)."""
    first, last, reach_s = span.started.timestamp(), span.ended.timestamp(), 0.0
    if span.length_s >= lookback_s + step_s:
        first += lookback_s
    elif span.length_s >= step_s:
        reach_s = lookback_s
    else:
        reach_s = lookback_s + step_s
        last += reach_s
    return np.flatnonzero((line.times_ms >= first * 1000) & (line.times_ms <= last * 1000)), reach_s


def _hole_s(times_ms: Times, step_s: float) -> float:
    apart = np.diff(times_ms) / 1000
    return float(apart[apart > GAP_STEPS * step_s].sum())


def _share(line: Line, others: Sequence[Line]) -> Weighted:
    times = line.times_ms
    for other in others:
        times = np.intersect1d(times, other.times_ms)
    whole = np.sum([other.values[np.isin(other.times_ms, times)] for other in others], axis=0)
    values = line.values[np.isin(line.times_ms, times)]
    ratios = np.full(len(times), np.nan)
    np.divide(values, whole, out=ratios, where=whole > 0)
    return Weighted(line.labels, line.name, times, ratios, whole)
