"""Percentiles, histograms of several producers, and the moving rate."""

from __future__ import annotations

import math
import random

import pytest

from bots.measures import LatencyHistogram, MovingRate, upper_bound_s
from bots.plan import Buckets

PRECISION = 1 / 64


def histogram_of(latencies_s: list[float]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for latency_s in latencies_s:
        histogram.record(latency_s)
    return histogram


def latencies(count: int, seed: int = 1) -> list[float]:
    """Seconds from 10 µs to 100 s, as many in each power of ten."""
    rng = random.Random(seed)
    return [10 ** rng.uniform(-5, 2) for _ in range(count)]


class TestLatencyHistogram:
    def test_says_nothing_without_measurements(self) -> None:
        assert set(LatencyHistogram().summary().model_dump().values()) == {None}

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99, 1.0])
    @pytest.mark.parametrize("seed", range(5))
    def test_never_understates_a_percentile_nor_overstates_it_by_more_than_its_precision(
        self, share: float, seed: int
    ) -> None:
        measured = latencies(777, seed)
        true_ms = sorted(measured)[math.ceil(777 * share) - 1] * 1000  # what this share of them does not exceed
        found_ms = histogram_of(measured).percentile_ms(share)
        assert found_ms is not None
        assert true_ms <= found_ms <= true_ms * (1 + PRECISION)

    @pytest.mark.parametrize("latency_s", [1e-6, 1 / 1024, 0.0009765626, 0.5, 0.5000001, 1.0, 1.999999, 2.0, 64.0])
    def test_keeps_its_precision_at_the_edges_of_its_buckets(self, latency_s: float) -> None:
        (bucket,) = histogram_of([latency_s]).buckets().counts
        assert latency_s <= upper_bound_s(bucket) <= latency_s * (1 + PRECISION)

    def test_no_percentile_exceeds_the_largest_latency(self) -> None:
        histogram = histogram_of([0.0301])
        assert histogram.percentile_ms(0.99) == pytest.approx(30.1)
        assert histogram.summary().max_ms == pytest.approx(30.1)

    def test_takes_a_clock_s_zero(self) -> None:
        assert histogram_of([0.0]).summary().p50_ms == 0.0


class TestMerging:
    def test_is_the_histogram_of_all_values(self) -> None:
        parts = [latencies(300, seed) for seed in range(4)]
        merged = LatencyHistogram.merged(histogram_of(part).buckets() for part in parts)
        whole = histogram_of([latency for part in parts for latency in part])
        assert merged.summary() == whole.summary()
        assert merged.buckets().counts == whole.buckets().counts
        assert merged.buckets().sum_s == pytest.approx(whole.buckets().sum_s)

    def test_of_nothing_is_nothing(self) -> None:
        assert LatencyHistogram.merged([]).summary() == LatencyHistogram.merged([_empty()]).summary()
        assert LatencyHistogram.merged([]).summary().p50_ms is None

    def test_survives_the_way_between_processes(self) -> None:
        buckets = histogram_of(latencies(50)).buckets()
        assert Buckets.model_validate_json(buckets.model_dump_json()) == buckets

    def test_takes_a_copy(self) -> None:
        histogram = histogram_of([0.1])
        before = histogram.buckets()
        histogram.record(0.1)
        assert list(before.counts.values()) == [1]


def _empty() -> Buckets:
    return LatencyHistogram().buckets()


class TestMovingRate:
    def test_follows_a_change_within_its_window(self) -> None:
        rate, total = MovingRate(window_s=5), 0
        for second in range(20):
            total += 100 if second < 10 else 10
            now = rate.update(float(second), total)
        assert now == pytest.approx(10)

    def test_is_zero_at_its_first_point(self) -> None:
        assert MovingRate().update(0.0, 5) == 0.0

    def test_falls_to_zero_when_nothing_happens(self) -> None:
        rate = MovingRate(window_s=5)
        rates = [rate.update(float(second), min(second, 3) * 100) for second in range(12)]
        assert rates[3] == pytest.approx(100)
        assert rates[-1] == 0.0
