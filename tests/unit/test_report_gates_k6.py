"""k6's thresholds beside native histograms: the witness of one generator, the judge of several."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from core.checks import Check
from core.words import Verdict
from report.build import build
from report.gates import threshold_gates, threshold_verdict
from report.histograms import SERIES, threshold_histograms
from report.model import ThresholdRow
from report.native import Bucket, bounds, compared, decided, merged
from report.prometheus import HistogramLine
from report.store import Collected
from tests.report_samples import RUN_ID, STEP_S, WINDOW, facts, scenario

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

    def test_a_histogram_that_lacks_answers_is_no_witness(self) -> None:
        row = threshold("p(95)<200", samples=2_001)
        assert decided(row, Verdict.PASS, [buckets(latencies(1))]) == (
            Verdict.PASS,
            "no witness: its histogram holds 2,000 of them",
        )

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
        row = threshold(f"p(95)<{limit_ms}", ok=True, samples=4_000)
        return decided(row, Verdict.PASS, [buckets(self.QUICK), buckets(self.SLOW)], of=2)

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

    def test_a_generator_without_a_histogram_leaves_no_data(self) -> None:
        row = threshold("p(95)<10000", samples=4_000)
        assert decided(row, Verdict.PASS, [buckets(self.QUICK)], of=2) == (
            Verdict.NO_DATA,
            "the histograms of 1 of 2 generators hold 2,000 of 4,000 answers",
        )

    def test_answers_that_no_histogram_holds_leave_no_data(self) -> None:
        row = threshold("p(95)<10000", samples=4_100)
        verdict, said = decided(row, Verdict.PASS, [buckets(self.QUICK), buckets(self.SLOW)], of=2)
        assert verdict is Verdict.NO_DATA
        assert said == "the histograms of 2 of 2 generators hold 4,000 of 4,100 answers"

    def test_a_rate_stays_with_k6(self) -> None:
        assert decided(threshold("rate<0.1"), Verdict.FAIL, [], of=2) == (Verdict.FAIL, "")


def histogram(values: np.ndarray, *earlier: np.ndarray, **labels: str) -> HistogramLine:
    """A series of k6's whose last sample holds `values`; before it were others."""
    samples = [buckets(each) for each in (*earlier, values)]
    times = np.concatenate([np.full(len(each), 1000 * at, dtype=np.int64) for at, each in enumerate(samples)])
    columns = (
        np.array([getattr(one, name) for each in samples for one in each]) for name in ("lower", "upper", "count")
    )
    return HistogramLine({"scenario": "a-shopping-flow", "expected_response": "true"} | labels, times, *columns)


def collected_histograms(*lines: HistogramLine) -> Collected:
    return Collected(RUN_ID, WINDOW, STEP_S, (), {SERIES: lines})


class TestSelection:
    """Which buckets a threshold judges: those of the series that have its tags, in the last sample of each."""

    LOGIN, LIST = latencies(1, 300), latencies(2, 700)
    METRIC = "http_req_duration{expected_response:true,name:login}"

    def found(self, metric: str, *lines: HistogramLine) -> list[float]:
        """Answers by generator."""
        row = ThresholdRow(metric=metric, expression="p(95)<100", ok=True, samples=1)
        chosen = threshold_histograms(collected_histograms(*lines), [scenario("a", 0, 60, thresholds=(row,))])
        return [sum(bucket.count for bucket in each) for each in chosen.get(("a", metric), [])]

    def test_takes_the_series_with_the_thresholds_tags(self) -> None:
        lines = (histogram(self.LOGIN, name="login"), histogram(self.LIST, name="product_list"))
        assert self.found(self.METRIC, *lines) == [300]
        assert self.found("http_req_duration", *lines) == [1_000]

    def test_adds_up_series_that_differ_in_other_labels(self) -> None:
        lines = [histogram(self.LOGIN, name="login", status=status) for status in ("200", "201")]
        assert self.found(self.METRIC, *lines) == [600]

    def test_leaves_refusals_out(self) -> None:
        refused = histogram(self.LOGIN, name="login", expected_response="false")
        assert self.found(self.METRIC, refused) == []

    def test_takes_the_last_sample_of_each_because_they_are_cumulative(self) -> None:
        assert self.found(self.METRIC, histogram(self.LOGIN, self.LOGIN[:100], name="login")) == [300]

    def test_keeps_generators_and_scenarios_apart(self) -> None:
        lines = [histogram(self.LOGIN[: 100 * n], name="login", generator=str(n)) for n in (1, 2)]
        other = histogram(self.LIST, name="login", scenario="b-blog-read")
        assert self.found(self.METRIC, *lines, other) == [100, 200]

    def test_a_threshold_of_another_metric_has_none(self) -> None:
        assert self.found("http_req_failed{part:load}", histogram(self.LOGIN, name="login")) == []


class TestReportOfSeveralGenerators:
    """The merged histogram decides the scenario's check as well: each k6 has seen only its own part."""

    METRIC = "http_req_duration{expected_response:true}"
    QUICK, SLOW = latencies(1), latencies(2) * 10

    def check(self, limit_ms: float, ok: bool) -> Check:
        rows = (
            ThresholdRow(metric=self.METRIC, expression=f"p(95)<{limit_ms}", ok=ok, samples=4_000),
            ThresholdRow(metric="http_req_failed", expression="rate<0.001", ok=True, samples=4_000),
        )
        found = collected_histograms(histogram(self.QUICK, generator="1"), histogram(self.SLOW, generator="2"))
        given = facts(scenarios=[scenario("a", 0, 60, thresholds=rows)], generators=2)
        return build(given, found).check("scenario-a-thresholds")

    def test_fails_where_all_together_miss_it(self) -> None:
        found = self.check(200, ok=True)
        assert found.verdict is Verdict.FAIL
        assert "in the histogram of 2 generators p(95) lies between" in found.observed

    def test_passes_where_all_together_hold_it(self) -> None:
        found = self.check(10_000, ok=False)
        assert (found.verdict, found.observed) == (Verdict.PASS, "2 thresholds held over all generators")

    def test_claims_nothing_where_it_is_too_close_to_call(self) -> None:
        low, high = bounds(merged([buckets(self.QUICK), buckets(self.SLOW)]), 0.95) or (0, 0)
        assert self.check((low + high) / 2 * 1000, ok=True).verdict is Verdict.NO_DATA
