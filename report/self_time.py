"""Self-time: how long a request was in each place and nowhere behind it, from its spans.

A span's self-time is its duration less the time in which one of its children ran. That of a service's span is the
service's own; that of a call which nobody answered with a span of its own belongs to who was called (a database); that
of a call to a service with spans is the way there and back, with the wait until the service took it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from report.windows import Span


@dataclass(frozen=True)
class SelfTimes:
    """Mean seconds of a request in each place, over `traces` requests; the slowest place first."""

    traces: int
    seconds: Mapping[str, float]

    def share(self, place: str) -> float:
        """The place's part of a request's time, 0 to 1; 0 without traces."""
        return self.seconds.get(place, 0.0) / (sum(self.seconds.values()) or 1.0)


def self_times(spans: pd.DataFrame, spans_of_time: Iterable[Span]) -> SelfTimes:
    """Of the requests that began within one of the pieces of time."""
    roots = spans.groupby("trace")["time"].transform("min")
    inside = np.zeros(len(spans), dtype=bool)
    for piece in spans_of_time:
        inside |= ((roots >= piece.started) & (roots < piece.ended)).to_numpy()
    chosen = spans[inside]
    traces = chosen["trace"].nunique()
    if not traces:
        return SelfTimes(0, {})
    own = _own_seconds(chosen)
    means = own.groupby(_places(chosen)).sum().sort_values(ascending=False) / traces
    return SelfTimes(traces, {str(place): float(value) for place, value in means.items()})


def _own_seconds(spans: pd.DataFrame) -> pd.Series[float]:
    """Each span's duration less the union of its children's times, at least 0."""
    covered = {key: _union(group) for key, group in spans.groupby(["trace", "parent"], sort=False)}
    keys = zip(spans["trace"], spans["id"], strict=True)
    behind = pd.Series([covered.get(key, 0.0) for key in keys], index=spans.index)
    return (spans["duration_s"] - behind).clip(lower=0.0)


def _union(children: pd.DataFrame) -> float:
    """Seconds in which at least one of the children ran."""
    begins = (children["time"] - children["time"].min()).dt.total_seconds().to_numpy()
    order = np.argsort(begins)
    begins, ends = begins[order], (begins + children["duration_s"].to_numpy())[order]
    reached = np.maximum.accumulate(ends)
    gaps = np.maximum(0.0, begins[1:] - reached[:-1]).sum()
    return float(reached[-1] - begins[0] - gaps)


def _places(spans: pd.DataFrame) -> pd.Series[str]:
    """Whose time each span's own is."""
    answered = set(zip(spans["trace"], spans["parent"], strict=True))
    kept = zip(*(spans[column] for column in ("kind", "service", "remote", "trace", "id")), strict=True)
    places = [_place(kind, service, remote, (trace, id) in answered) for kind, service, remote, trace, id in kept]
    return pd.Series(places, index=spans.index, dtype=object)


def _place(kind: str, service: str, remote: str, answered: bool) -> str:
    if kind != "CLIENT" or not remote:
        return service
    return f"on the way to {remote}" if answered else remote
