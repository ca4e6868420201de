"""k6's thresholds beside native histograms: the witness of one generator, the judge of several."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from core.words import Verdict
from report.gates import threshold_gates, threshold_verdict
from report.model import ThresholdRow
from report.native import Bucket, bounds, compared, decided, merged
from tests.report_samples import scenario

SCHEMA = 3
"""k6's resolution: a bucket's bounds differ by the factor 2^(1/8), that is 9.05 %."""


def buckets(values: np.ndarray, schema: int = SCHEMA) -> list[Bucket]:
    """The native histogram of some latencies in seconds."""
    base = 2.0 ** (2.0**-schema)
    counts = Counter(math.ceil(math.log(value, base) - 1e-12) for value in values)
    return [Bucket(base ** (i - 1), base**i, count) for i, count in sorted(counts.items())]


def by_k6(values: np.ndarray, share: float) -> float:
    """k6's own percentile: linear between the two values around rank share * (n - 1)."""
    return float(np.quantile(values, share, method="linear"))


def latencies(seed: int, number: int = 2_000) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(math.log(0.05), 0.6, number)


def threshold(expression: str, ok: bool = True, samples: int = 2_000) -> ThresholdRow:
    return ThresholdRow(metric="http_req_duration", expression=expression, ok=ok, samples=samples)


class TestHistogram:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99, 1.0])
    def test_holds_k6s_percentile_between_its_bounds(self, seed: int, share: float) -> None:
        values = latencies(seed)
        found = bounds(buckets(values), share)
        assert found is not None
        assert found[0] < by_k6(values, share) <= found[1]

    def test_knows_it_as_precisely_as_a_bucket_is_wide(self) -> None:
        low, high = bounds(buckets(latencies(1)), 0.95) or (0, 0)
        assert high / low <= 2 ** (1 / 8) * 1.001

    def test_holds_a_percentile_between_two_far_values(self) -> None:
        # The median of 10 ms and 1 s is 505 ms, in a bucket of neither.
        values = np.array([0.01, 1.0])
        low, high = bounds(buckets(values), 0.5) or (0, 0)
        assert low < 0.01
        assert low < by_k6(values, 0.5) <= high

    def test_of_nothing_has_no_percentile(self) -> None:
        assert bounds([], 0.95) is None


class TestMerged:
    def test_is_the_histogram_of_all_values(self) -> None:
        one, other = latencies(1), latencies(2) * 3
        both = merged([buckets(one), buckets(other)])
        expected = buckets(np.concatenate([one, other]))
        assert [bucket.count for bucket in both] == [bucket.count for bucket in expected]
        assert [bucket.upper for bucket in both] == pytest.approx([bucket.upper for bucket in expected])

    def test_takes_the_coarser_of_two_resolutions(self) -> None:
        one, other = latencies(1), latencies(2) * 3
        both = merged([buckets(one, 3), buckets(other, 1)])
        expected = buckets(np.concatenate([one, other]), 1)
        assert [bucket.count for bucket in both] == [bucket.count for bucket in expected]
        assert [bucket.upper for bucket in both] == pytest.approx([bucket.upper for bucket in expected])

    def test_adds_what_lies_around_zero(self) -> None:
        zero = Bucket(-1e-9, 1e-9, 2)
        assert merged([[zero, Bucket(1, 2, 3)], [zero]]) == [Bucket(-1e-9, 1e-9, 4), Bucket(1, 2, 3)]

    def test_is_no_mean_of_percentiles(self) -> None:
        # A slow generator with a tenth of the requests: the mean of both p95 is far from that of all.
        quick, slow = latencies(1, 9_000), latencies(2, 1_000) * 20
        low, high = bounds(merged([buckets(quick), buckets(slow)]), 0.95) or (0, 0)
        mean = (by_k6(quick, 0.95) + by_k6(slow, 0.95)) / 2
        assert low < by_k6(np.concatenate([quick, slow]), 0.95) <= high
        assert not low < mean <= high

    def test_refuses_what_is_no_native_bucket(self) -> None:
        with pytest.raises(ValueError, match="no bucket of a native histogram"):
            merged([[Bucket(0.1, 0.25, 1)]])


class TestCompared:
    @pytest.mark.parametrize(
        ("comparison", "bound", "verdict"),
        [
            ("<", 90, Verdict.FAIL),
            ("<", 95, Verdict.NO_DATA),
            ("<", 100, Verdict.NO_DATA),
            ("<=", 100, Verdict.PASS),
            ("<", 101, Verdict.PASS),
            (">", 90, Verdict.PASS),
            (">", 95, Verdict.NO_DATA),
            (">", 100, Verdict.FAIL),
            (">=", 100, Verdict.NO_DATA),
            (">=", 101, Verdict.FAIL),
        ],
    )
    def test_a_value_above_90_and_at_most_100(self, comparison: str, bound: float, verdict: Verdict) -> None:
        assert compared(90, 100, comparison, bound) is verdict


class TestOneGenerator:
    """k6's own threshold decides; the histogram is the witness."""

    @pytest.mark.parametrize("seed", range(10))
    @pytest.mark.parametrize("limit_ms", [60, 100, 125, 130, 135, 140, 150, 200])
    def test_both_agree_within_the_histograms_resolution(self, seed: int, limit_ms: float) -> None:
        values = latencies(seed)
        row = threshold(f"p(95)<{limit_ms}", ok=by_k6(values, 0.95) * 1000 < limit_ms)
        verdict, witness = decided(row, threshold_verdict(row), [buckets(values)])
        assert verdict is threshold_verdict(row)
        assert witness.startswith("its histogram agrees: p(95) lies between ")

    def test_a_histogram_that_says_otherwise_is_told_and_does_not_decide(self) -> None:
        row = threshold("p(95)<10", ok=True)
        verdict, witness = decided(row, Verdict.PASS, [buckets(latencies(1))])
        assert verdict is Verdict.PASS
        assert witness.startswith("but in its histogram p(95) lies between ")

    def test_without_a_histogram_there_is_no_witness(self) -> None:
        assert decided(threshold("p(95)<200"), Verdict.PASS, []) == (Verdict.PASS, "")

    def test_a_rate_needs_none(self) -> None:
        assert decided(threshold("rate<0.001"), Verdict.PASS, [buckets(latencies(1))]) == (Verdict.PASS, "")

    def test_stands_in_the_thresholds_row(self) -> None:
        ran = scenario("a", 0, 60, thresholds=(threshold("p(95)<200"),))
        [row] = threshold_gates([ran], {("a", "http_req_duration"): [buckets(latencies(1))]})
        assert row.verdict is Verdict.PASS
        assert row.observed.startswith("held, 2,000 samples; its histogram agrees: p(95) lies between ")
        assert threshold_gates([ran])[0].observed == "held, 2,000 samples"


class TestSeveralGenerators:
    """The merged histogram decides, whatever each of them said."""

    QUICK, SLOW = latencies(1), latencies(2) * 4

    def judged(self, limit_ms: float) -> tuple[Verdict, str]:
        row = threshold(f"p(95)<{limit_ms}", ok=True)
        return decided(row, Verdict.PASS, [buckets(self.QUICK), buckets(self.SLOW)])

    def test_far_from_the_bound(self) -> None:
        together_ms = by_k6(np.concatenate([self.QUICK, self.SLOW]), 0.95) * 1000
        assert self.judged(together_ms * 1.2)[0] is Verdict.PASS
        verdict, said = self.judged(together_ms / 1.2)
        assert verdict is Verdict.FAIL
        assert said.startswith("in the histogram of 2 generators p(95) lies between ")

    def test_a_bound_inside_the_bucket_is_too_close_to_call(self) -> None:
        low, high = bounds(merged([buckets(self.QUICK), buckets(self.SLOW)]), 0.95) or (0, 0)
        verdict, said = self.judged((low + high) / 2 * 1000)
        assert verdict is Verdict.NO_DATA
        assert said.startswith("too close to call: ")
