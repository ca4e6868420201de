"""Percentiles and the moving rate."""

from __future__ import annotations

import pytest

from bots.measures import LatencyHistogram, MovingRate


class TestLatencyHistogram:
    def test_says_nothing_without_measurements(self) -> None:
        assert set(LatencyHistogram().summary().model_dump().values()) == {None}

    @pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
    def test_never_understates_a_percentile_nor_overstates_it_by_more_than_2_percent(self, share: float) -> None:
        histogram = LatencyHistogram()
        latencies_ms = range(1, 1001)
        for latency_ms in latencies_ms:
            histogram.record(latency_ms / 1000)
        true_ms = 1000 * share  # the value that this share of 1 .. 1000 ms does not exceed
        found_ms = histogram.percentile_ms(share)
        assert found_ms is not None
        assert true_ms * 0.999999 <= found_ms <= true_ms * 1.02

    def test_no_percentile_exceeds_the_largest_latency(self) -> None:
        histogram = LatencyHistogram()
        histogram.record(0.0301)
        assert histogram.percentile_ms(0.99) == pytest.approx(30.1)
        assert histogram.summary().max_ms == pytest.approx(30.1)

    def test_takes_a_clock_s_zero(self) -> None:
        histogram = LatencyHistogram()
        histogram.record(0.0)
        assert histogram.summary().p50_ms == 0.0


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
