"""From samples to a figure: every reduction, counters that start again, and which samples a window has."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from report.prometheus import Line
from report.promql import is_counter, kept_labels, lookback_s
from report.reductions import Reduction, reduced, samples_needed, unbroken
from report.samples import coverage, inside, judged_pieces, plain, shares
from report.units import bound_text, factor_of, figure_text, units_for
from report.windows import Span, WindowName
from tests.report_samples import STARTED, STEP_S, line

NAN = float("nan")


def figure(reduction: Reduction, values: list[float], weights: list[float] | None = None) -> float:
    one = line(values)
    return reduced(reduction, one.times_ms, one.values, np.array(weights or [1.0] * len(values)))


def span(start_s: float, end_s: float) -> Span:
    return Span(STARTED + timedelta(seconds=start_s), STARTED + timedelta(seconds=end_s))


def taken(one: Line, *spans: Span, lookback: float = 0.0) -> list[float]:
    return inside(plain(one), spans, lookback, STEP_S).values.tolist()


COUNTING = line([float(step) for step in range(41)])
"""The value is the number of the step; a step is 5 s, so the last one is at 200 s."""


class TestReductions:
    @pytest.mark.parametrize(
        ("reduction", "values", "expected"),
        [
            pytest.param("max", [1, 9, 3], 9, id="max"),
            pytest.param("mean", [1, 2, 6], 3, id="mean"),
            pytest.param("last", [1, 9, 3], 3, id="last"),
            pytest.param("p50", [1, 100, 3], 3, id="p50 is the middle one"),
            pytest.param("p95", list(range(101)), 95, id="p95 of 0 to 100"),
            pytest.param("p99", list(range(101)), 99, id="p99 of 0 to 100"),
            pytest.param("p95", [7], 7, id="a percentile of one sample is the sample"),
            pytest.param("slope", [0, 1, 2, 3], 720, id="slope: 1 each 5 s is 720 an hour"),
            pytest.param("slope", [4, 4, 4], 0, id="slope of what stands still"),
            pytest.param("slope", [0, 1, 500, 3, 4, 5, 6], 720, id="slope is not turned by an outlier"),
        ],
    )
    def test_give_one_figure(self, reduction: Reduction, values: list[float], expected: float) -> None:
        assert figure(reduction, values) == pytest.approx(expected)

    def test_a_mean_counts_each_value_by_its_weight(self) -> None:
        # 10 % of 10 requests and 0 % of 90: 1 of 100.
        assert figure("mean", [0.1, 0.0], [10, 90]) == pytest.approx(0.01)

    def test_a_slope_over_a_day_is_found_through_its_noise(self) -> None:
        steps = np.arange(17_281)
        values = steps * 2.0 + np.random.default_rng(7).normal(0, 50, len(steps))
        assert figure("slope", values.tolist()) == pytest.approx(2 * 720, rel=0.01)

    def test_a_slope_over_a_hole_goes_by_time_and_not_by_number_of_samples(self) -> None:
        times = np.array([0, 5_000, 10_000, 3_600_000])
        assert reduced("slope", times, np.array([0.0, 5.0, 10.0, 3600.0]), np.ones(4)) == pytest.approx(3600)

    def test_say_how_many_samples_they_need(self) -> None:
        assert [samples_needed("max", False), samples_needed("last", True), samples_needed("slope", False)] == [1, 2, 3]


class TestCounterThatStartsAgain:
    @pytest.mark.parametrize(
        ("values", "expected", "restarts"),
        [
            pytest.param([1, 5, 9], [1, 5, 9], 0, id="never"),
            pytest.param([1, 5, 0, 3], [1, 5, 5, 8], 1, id="once"),
            pytest.param([4, 0, 2, 0, 1], [4, 4, 6, 6, 7], 2, id="twice"),
        ],
    )
    def test_is_counted_on(self, values: list[float], expected: list[float], restarts: int) -> None:
        found, number = unbroken(np.array(values, dtype=np.float64))
        assert (found.tolist(), number) == (expected, restarts)

    @pytest.mark.parametrize(
        ("promql", "expected"),
        [
            ("sum by (x) (orders_total)", True),
            ("sum by (x) (rate(orders_total[20s]))", False),
            ("sum(mysql_threads_connected)", False),
        ],
    )
    def test_is_known_by_its_query(self, promql: str, expected: bool) -> None:
        assert is_counter(promql) is expected


class TestQuery:
    @pytest.mark.parametrize(
        ("promql", "expected"), [("rate(a[20s]) or rate(b[1m]) * 0", 60), ("max(a)", 0), ("rate(a[10s])", 10)]
    )
    def test_says_how_far_it_looks_back(self, promql: str, expected: float) -> None:
        assert lookback_s(promql) == expected

    @pytest.mark.parametrize(
        ("promql", "expected"),
        [
            ("histogram_quantile(0.9, sum by (le, app) (rate(a_bucket[20s])))", {"app"}),
            ("max(a)", set()),
            ("a", None),
            ("sum without (instance) (a)", None),
        ],
    )
    def test_says_by_which_labels_its_lines_differ(self, promql: str, expected: set[str] | None) -> None:
        assert kept_labels(promql) == expected


class TestSamplesOfAWindow:
    def test_of_a_gauge_are_those_between_its_ends(self) -> None:
        assert taken(COUNTING, span(30, 50)) == [6, 7, 8, 9, 10]

    def test_of_a_rate_speak_of_nothing_before_it(self) -> None:
        # A sample at 50 s that looks back 20 s speaks of 30 s to 50 s.
        assert taken(COUNTING, span(30, 60), lookback=20) == [10, 11, 12]

    def test_of_a_short_one_are_those_in_it(self) -> None:
        found = inside(plain(COUNTING), [span(30, 40)], 20, STEP_S)
        assert (found.values.tolist(), found.reach_s) == ([6, 7, 8], 20)

    def test_of_one_between_two_samples_are_those_that_speak_of_it(self) -> None:
        # A spike from 31.0 s to 31.5 s: the samples from 35 s to 55 s look back on it.
        found = inside(plain(COUNTING), [span(31, 31.5)], 20, STEP_S)
        assert (found.values.tolist(), found.reach_s) == ([7, 8, 9, 10, 11], 25)

    def test_of_several_pieces_stand_one_after_the_other(self) -> None:
        assert taken(COUNTING, span(0, 10), span(100, 110)) == [0, 1, 2, 20, 21, 22]

    def test_of_two_spikes_close_to_each_other_count_once(self) -> None:
        assert taken(COUNTING, span(31, 31.5), span(38, 38.5), lookback=5) == [7, 8, 9]

    def test_without_those_that_are_no_number(self) -> None:
        one = line([1, NAN, float("inf"), 4])
        assert taken(one, span(0, 15)) == [1, 4]

    def test_are_none_where_the_line_has_none(self) -> None:
        assert taken(COUNTING, span(300, 400)) == []

    def test_have_holes_where_the_line_has(self) -> None:
        times = COUNTING.times_ms
        kept = np.flatnonzero((times <= times[4]) | (times >= times[16]))
        torn = Line({}, times[kept], COUNTING.values[kept])
        assert inside(plain(torn), [span(0, 100)], 0, STEP_S).hole_s == 60
        assert inside(plain(COUNTING), [span(0, 100)], 0, STEP_S).hole_s == 0

    def test_cover_the_steps_at_which_any_line_has_one(self) -> None:
        # 20 steps in 100 s; the first line has those of the first 20 s, the second those of 60 s to 80 s.
        spans = [span(0, 100)]
        first = Line({}, COUNTING.times_ms[:5], COUNTING.values[:5])
        second = Line({}, COUNTING.times_ms[12:17], COUNTING.values[12:17])
        found = [inside(plain(one), spans, 0, STEP_S) for one in (first, second)]
        assert coverage(found, spans, 0, STEP_S) == 0.5
        assert coverage([], spans, 0, STEP_S) == 0
        assert coverage([], [span(0, 1)], 0, STEP_S) == 1

    @pytest.mark.parametrize(
        ("name", "expected"), [("steady", [30]), ("after-warm-up", [30]), ("spike", [12, 30]), ("whole", [12, 30])]
    )
    def test_of_steady_and_after_warm_up_come_from_long_pieces_only(
        self, name: WindowName, expected: list[float]
    ) -> None:
        pieces = judged_pieces(name, [span(0, 12), span(50, 80)], 20, STEP_S)
        assert [piece.length_s for piece in pieces] == expected


class TestShares:
    def test_are_taken_line_by_line_and_moment_by_moment(self) -> None:
        parts = [line([1, 2, 3], app="x"), line([5, 5, 5], app="y")]
        wholes = [[line([10, 0, 30], app="x"), line([10, NAN, 20], app="y")]]
        found = {share.name: share for share in shares(parts, wholes)}
        np.testing.assert_array_equal(found["x"].values, [0.1, NAN, 0.1])  # of nothing, no share
        np.testing.assert_array_equal(found["y"].values, [0.5, NAN, 0.25])
        np.testing.assert_array_equal(found["y"].weights, [10, NAN, 20])

    def test_of_a_sum_of_series(self) -> None:
        [hits] = shares([line([9, 8])], [[line([9, 8])], [line([1, 2])]])
        assert hits.values.tolist() == [0.9, 0.8]

    def test_leave_out_a_line_without_counterpart(self) -> None:
        assert shares([line([1.0], app="x")], [[line([1.0], app="y")]]) == []

    def test_use_only_moments_that_both_have(self) -> None:
        short = line([10.0, 20.0])
        [share] = shares([line([1.0, 2.0, 3.0])], [[short]])
        assert share.values.tolist() == [0.1, 0.1]


class TestUnits:
    def test_of_a_series_and_those_made_from_it(self) -> None:
        assert dict(units_for("s")) == {"s": 1, "ms": 1e-3}
        assert list(units_for("bytes", slope=True)) == ["bytes/h", "MiB/h", "GiB/h"]
        assert dict(units_for("records")) == {"records": 1}

    def test_know_their_factor(self) -> None:
        assert [factor_of("MiB/h"), factor_of("%"), factor_of("records")] == [2**20, 0.01, 1]

    @pytest.mark.parametrize(
        ("value", "unit", "bound", "figure"),
        [
            (0.1, "%", "0.1%", "0.100%"),
            (10_000, "records", "10,000 records", "10,000 records"),
            (0.25, "s", "0.25 s", "0.25 s"),
            (127.6, "MiB", "127.6 MiB", "128 MiB"),
        ],
    )
    def test_are_written_for_people(self, value: float, unit: str, bound: str, figure: str) -> None:
        assert (bound_text(value, unit), figure_text(value, unit)) == (bound, figure)
