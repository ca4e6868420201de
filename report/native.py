"""Percentiles from native histogram buckets: between which bounds one lies, and what that says of a k6 threshold.

A bucket counts the values above its lower and up to its upper bound; the bounds of neighbours differ by the factor
2^(2^-schema), so coarser schemas nest in finer ones and histograms of several generators add up. k6's own percentile
lies at rank share * (n - 1) of its sorted values, between two of them where that is no whole number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.words import Verdict
from report.model import ThresholdRow

_LATENCY = re.compile(r"p\(([\d.]+)\)\s*(<=?|>=?)\s*([\d.]+)$")
_SCHEMAS = range(-4, 9)
"""Those of Prometheus' exponential buckets."""


@dataclass(frozen=True)
class Bucket:
    """`count` values v with lower < v <= upper, in seconds for a latency."""

    lower: float
    upper: float
    count: float


def merged(generators: Sequence[Sequence[Bucket]]) -> list[Bucket]:
    """One histogram of all generators' values, in order, at the coarsest resolution among them.

    ValueError for a bucket that is none of a native histogram's.
    """
    buckets = [bucket for histogram in generators for bucket in histogram if bucket.count]
    schema = min((_schema(bucket) for bucket in buckets if bucket.lower > 0), default=max(_SCHEMAS))
    counts: dict[int, float] = {}
    for bucket in buckets:
        if bucket.lower > 0:
            index = math.ceil(
                round(math.log2(bucket.upper) * 2.0 ** _schema(bucket)) / 2.0 ** (_schema(bucket) - schema)
            )
            counts[index] = counts.get(index, 0.0) + bucket.count
    around_zero = [bucket for bucket in buckets if bucket.lower <= 0]
    width = 2.0**-schema
    return [
        *_one(around_zero),
        *(Bucket(2.0 ** ((i - 1) * width), 2.0 ** (i * width), count) for i, count in sorted(counts.items())),
    ]


def bounds(histogram: Sequence[Bucket], share: float) -> tuple[float, float] | None:
    """(above this, at most this) for k6's percentile of the values in the buckets, in order; None without values."""
    number = sum(bucket.count for bucket in histogram)
    if number == 0:
        return None
    rank = share * (number - 1)
    return _holding(histogram, math.floor(rank)).lower, _holding(histogram, math.ceil(rank)).upper


def compared(low: float, high: float, comparison: str, bound: float) -> Verdict:
    """PASS or FAIL for low < value <= high; NO_DATA where the bound lies between."""
    if comparison in ("<", "<="):
        kept, broken = high < bound or (high == bound and comparison == "<="), low >= bound
    else:
        kept, broken = low >= bound, high < bound or (high == bound and comparison == ">")
    return Verdict.PASS if kept else Verdict.FAIL if broken else Verdict.NO_DATA


def decided(
    row: ThresholdRow, by_k6: Verdict, generators: Sequence[Sequence[Bucket]], of: int = 1
) -> tuple[Verdict, str]:
    """(verdict, what the histogram says) for a k6 threshold, given each generator's buckets in seconds.

    One generator has seen every value: its own verdict stands. The percentiles of several do not add up, their
    histograms do: where `of` generators ran, these decide, and nothing is claimed while some of their values are
    missing. "" where the threshold is no percentile of a latency, or one generator's histogram is missing.
    """
    latency = _LATENCY.match(row.expression.strip())
    if latency is None:
        return by_k6, ""
    together = merged(generators)
    number = round(sum(bucket.count for bucket in together))
    between = bounds(together, float(latency[1]) / 100)
    several = max(of, len(generators)) > 1
    if several and (len(generators) < of or number != row.samples):
        return Verdict.NO_DATA, (
            f"the histograms of {len(generators)} of {of} generators hold {number:,} of {row.samples:,} answers"
        )
    if between is None:
        return by_k6, ""
    low, high = (second * 1000 for second in between)
    verdict = compared(low, high, latency[2], float(latency[3]))
    lies = f"p({latency[1]}) lies between {low:.3g} and {high:.3g} ms"
    if several:
        close = "too close to call: " if verdict is Verdict.NO_DATA else ""
        return verdict, f"{close}in the histogram of {len(generators)} generators {lies}"
    if number != row.samples:
        return by_k6, f"no witness: its histogram holds {number:,} of them"
    if verdict in (by_k6, Verdict.NO_DATA):
        return by_k6, f"its histogram agrees: {lies}"
    return by_k6, f"but in its histogram {lies}"


def _holding(histogram: Sequence[Bucket], index: int) -> Bucket:
    """The bucket of the value at an index, from 0, among all values in order."""
    below = 0.0
    for bucket in histogram:
        below += bucket.count
        if index < below:
            return bucket
    return histogram[-1]


def _schema(bucket: Bucket) -> int:
    growth = math.log2(bucket.upper / bucket.lower)
    schema = next((n for n in _SCHEMAS if math.isclose(growth, 2.0**-n, rel_tol=1e-6)), None)
    if schema is None:
        raise ValueError(f"no bucket of a native histogram: {bucket.lower} to {bucket.upper}")
    return schema


def _one(buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets around zero as one."""
    if not buckets:
        return []
    lower, upper = min(bucket.lower for bucket in buckets), max(bucket.upper for bucket in buckets)
    return [Bucket(lower, upper, sum(bucket.count for bucket in buckets))]
