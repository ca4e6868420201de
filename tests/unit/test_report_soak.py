"""Trends under a steady load: a leak, a cache that fills, a collector's teeth, restarts, gaps, and noise."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.checks import Check
from core.words import Verdict
from report.build import build
from report.catalogue import catalogue, metric_names
from report.interruptions import gaps, longest_part, new_starts, resets
from report.model import SeriesRow, SoakRow
from report.prometheus import Line, Window
from report.slopes import blocks, slope
from report.soak import HORIZON_H, WATCHED, Trend, Watched, soak_rows, trend, trends_check
from report.soak_series import soak_series
from report.steady import SteadyWindow, bot_window, steady_windows
from report.store import Collected
from targets.load import load_load
from targets.model import load_profile
from tests.report_samples import facts, scenario

STARTED = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
STEP_S = 5.0
HOUR = SteadyWindow("scenario A", STARTED, STARTED + timedelta(hours=1), requests_per_hour=36_000)
MIB = 2.0**20
MEMORY = next(watched for watched in WATCHED if watched.series == "service_memory")
CONNECTIONS = next(watched for watched in WATCHED if watched.series == "mysql_connections")

Shape = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def line(shape: Shape, seed: int = 1, **labels: str) -> Line:
    """An hour of samples; the shape is a function of the hours since its start."""
    times = STARTED.timestamp() * 1000 + np.arange(0, 3600 + STEP_S, STEP_S) * 1000
    hours = (times - times[0]) / 3_600_000
    values = np.asarray(shape(hours, np.random.default_rng(seed)), dtype=np.float64)
    return Line(labels or {"application": "shopping-service"}, times.astype(np.int64), values)


def noise(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    return 300 * MIB + 3 * MIB * drawn.normal(size=len(hours))


def leak(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """60 MiB an hour."""
    return noise(hours, drawn) + 60 * MIB * hours


def fill(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """A cache of 200 MiB that is full after a quarter of an hour or so."""
    return noise(hours, drawn) + 200 * MIB * (1 - np.exp(-hours / 0.15))


def slowing(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """A cache that fills over the whole hour: twice as fast in the first half hour as in the second."""
    return noise(hours, drawn) + 100 * MIB * (hours + np.minimum(hours, 0.5))


def teeth(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """A collector that clears 150 MiB every 80 s."""
    return noise(hours, drawn) + 150 * MIB * ((hours * 45) % 1)


def leak_under_teeth(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    return teeth(hours, drawn) + 60 * MIB * hours


def restart(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """A leak whose process is new after 40 minutes."""
    return noise(hours, drawn) + 60 * MIB * np.where(hours < 2 / 3, hours, hours - 2 / 3)


def wandering(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    """Noise that hangs together over a minute or so, around one level."""
    steps = drawn.normal(size=len(hours))
    values = np.zeros(len(hours))
    for index in range(1, len(hours)):
        values[index] = 0.95 * values[index - 1] + steps[index]
    return 300 * MIB + 3 * MIB * values


def drop(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
    return noise(hours, drawn) - 60 * MIB * hours


def found(shape: Shape, watched: Watched = MEMORY, restarts: tuple[int, ...] = (), seed: int = 1) -> Trend:
    return trend(line(shape, seed), HOUR, STEP_S, restarts, watched)


def collected(**lines: list[Line]) -> Collected:
    """A run with these series, by id."""
    rows = [
        SeriesRow(
            id=id, group=id, title=id, unit="bytes", definition="", promql="up", state="data", note="", lines=len(each)
        )
        for id, each in lines.items()
    ]
    return Collected("run", Window(HOUR.started, HOUR.ended), STEP_S, tuple(rows), lines)


def row(series: str, name: str, **lines: list[Line]) -> SoakRow:
    return next(one for one in soak_rows(collected(**lines), [HOUR]) if (one.series, one.name) == (series, name))


class TestSlope:
    def test_is_not_moved_by_a_fifth_of_wild_samples(self) -> None:
        hours = np.linspace(0, 1, 60)
        values = 100 + 10 * hours
        values[::5] = 10_000
        got = slope(hours, values)
        assert got is not None
        assert got.per_hour == pytest.approx(10, abs=0.5)

    def test_interval_covers_the_true_slope_in_noise_that_hangs_together(self) -> None:
        # 95 % is meant; Sen's own interval would cover in about half of these, because neighbours are alike.
        covered = [got.low <= 0 <= got.high for seed in range(100) if (got := found(wandering, seed=seed).slope)]
        assert sum(covered) >= 88

    def test_of_a_level_line_is_nothing_with_no_interval(self) -> None:
        got = slope(np.linspace(0, 1, 20), np.full(20, 7.0))
        assert got is not None
        assert (got.per_hour, got.low, got.high) == (0, 0, 0)

    def test_of_few_blocks_is_none(self) -> None:
        assert slope(np.linspace(0, 1, 7), np.linspace(0, 1, 7)) is None

    def test_blocks_keep_what_their_reduction_says(self) -> None:
        times = np.arange(8, dtype=np.int64) * 5000
        _, values = blocks(times, np.array([5.0, 1, 9, 7, 2, 8, 6, 4]), 60, np.min)
        assert values.tolist() == [1, 2]


class TestTrend:
    @pytest.mark.parametrize(
        ("shape", "name"),
        [
            (noise, "level"),
            (wandering, "level"),
            (leak, "grows"),
            (fill, "fills"),
            (slowing, "grows"),  # at two thirds of its whole slope: no rest in sight
            (teeth, "level"),
            (leak_under_teeth, "grows"),
            (drop, "falls"),
        ],
        ids=lambda given: given if isinstance(given, str) else given.__name__,
    )
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_is_told_apart(self, shape: Shape, name: str, seed: int) -> None:
        assert found(shape, seed=seed).name == name

    def test_of_a_leak_is_its_rate_with_an_interval(self) -> None:
        got = found(leak).slope
        assert got is not None
        assert got.low < 60 * MIB < got.high
        assert got.high - got.low < 12 * MIB

    def test_that_the_last_third_cannot_tell_is_unclear(self) -> None:
        # 9 connections more in an hour and 6 up or down from sample to sample: sure of the whole, not of 20 minutes.
        def shape(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
            return 100 + 9 * hours + 6 * drawn.normal(size=len(hours)) * (1 + 3 * (hours > 2 / 3))

        assert found(shape, CONNECTIONS).name == "unclear"

    def test_is_cut_at_a_restart_and_says_so(self) -> None:
        at = int((STARTED + timedelta(minutes=40)).timestamp() * 1000)
        whole, cut = found(restart), found(restart, restarts=(at,))
        assert cut.name == "grows"
        assert cut.notes == ("restarted before 02:40:00Z", "judged from 02:00:00Z to 02:39:55Z")
        assert cut.slope is not None
        assert whole.slope is not None
        assert cut.slope.low < 60 * MIB < cut.slope.high
        assert whole.slope.per_hour < 30 * MIB  # what would be told without the restart

    def test_names_a_gap_and_goes_on(self) -> None:
        def shape(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
            values = leak(hours, drawn)
            values[(hours > 0.5) & (hours < 0.6)] = np.nan
            return values

        got = found(shape)
        assert got.name == "grows"
        assert got.notes == ("no samples from 02:30:00Z to 02:36:00Z",)

    @pytest.mark.parametrize("kept", [0, 1, 20])
    def test_of_too_few_samples_is_no_data(self, kept: int) -> None:
        def shape(hours: np.ndarray, drawn: np.random.Generator) -> np.ndarray:
            return np.where(np.arange(len(hours)) < kept, leak(hours, drawn), np.nan)

        got = found(shape)
        assert (got.name, got.slope) == ("no data", None)
        assert got.notes[-1] == f"{kept} samples are too few for a trend"

    def test_below_what_matters_is_level(self) -> None:
        assert found(lambda hours, _: 300 * MIB + 4 * MIB * hours).name == "level"


class TestInterruptions:
    def line(self, *values: float) -> Line:
        return Line({}, np.arange(len(values), dtype=np.int64) * 5000, np.array(values))

    def test_another_start_time_is_a_restart(self) -> None:
        assert new_starts([self.line(100, 100, 100.2, 160, np.nan, 160)]) == [15_000]

    def test_an_uptime_that_falls_is_a_restart(self) -> None:
        assert resets([self.line(10, 15, np.nan, 2, 7)]) == [15_000]

    def test_gaps_are_found_at_both_ends_and_inside(self) -> None:
        times = np.array([40_000, 45_000, 90_000], dtype=np.int64)
        assert gaps(times, 0, 100_000, 5) == [(0, 40_000), (45_000, 90_000)]
        assert gaps(times[:0], 0, 100_000, 5) == [(0, 100_000)]

    def test_the_longest_part_lies_between_cuts(self) -> None:
        times = np.arange(10, dtype=np.int64) * 5000
        assert longest_part(times, [10_000, 45_000]) == slice(2, 9)
        assert longest_part(times[:0], []) == slice(0, 0)


class TestRows:
    def test_give_a_leak_per_hour_and_per_1000_requests(self) -> None:
        got = row("service_memory", "shopping-service", service_memory=[line(leak)])
        assert got.trend == "grows"
        assert got.per_hour is not None
        # 36,000 requests an hour: a 36th of the growth of an hour.
        assert got.per_1000_requests == pytest.approx(got.per_hour / 36)
        assert (got.window.name, got.limit, got.hours_left) == ("scenario A", None, None)

    def test_say_when_a_limit_is_reached(self) -> None:
        # From 40 at 24 an hour to 64 at the end: 36 more are left of 100, that is 1.5 h.
        rising = line(lambda hours, _: 40 + 24 * hours, **{"db": "x"})
        limit = line(lambda hours, _: np.full(len(hours), 100.0), **{"db": "x"})
        got = row("mysql_connections", "x", mysql_connections=[rising], mysql_connections_max=[limit])
        assert (got.trend, got.limit) == ("grows", 100)
        assert got.hours_left == pytest.approx(1.5, abs=0.05)
        assert got.hours_left_at_least == pytest.approx(1.5, abs=0.05)

    def test_of_what_fills_have_no_end(self) -> None:
        limit = line(lambda hours, _: np.full(len(hours), 1000 * MIB), db="x")
        got = row("redis_memory", "x", redis_memory=[line(fill, db="x")], redis_memory_max=[limit])
        assert (got.trend, got.limit, got.hours_left) == ("fills", 1000 * MIB, None)

    def test_take_0_for_no_limit(self) -> None:
        none = line(lambda hours, _: np.zeros(len(hours)), db="x")
        got = row("redis_memory", "x", redis_memory=[line(leak, db="x")], redis_memory_max=[none])
        assert (got.limit, got.hours_left) == (None, None)

    def test_take_restarts_from_the_same_service_only(self) -> None:
        started = line(lambda hours, _: np.where(hours < 0.5, 1000.0, 2800.0), application="auth-service")
        lines = {"service_memory": [line(leak), line(leak, application="auth-service")], "process_start": [started]}
        assert row("service_memory", "shopping-service", **lines).notes == ()
        assert row("service_memory", "auth-service", **lines).notes[0] == "restarted before 02:30:00Z"

    def test_take_restarts_of_a_store_from_its_uptime(self) -> None:
        uptime = line(lambda hours, _: np.where(hours < 0.75, hours + 9, hours - 0.75) * 3600, db="x")
        got = row("redis_memory", "x", redis_memory=[line(leak, db="x")], redis_uptime=[uptime])
        assert got.notes[0] == "restarted before 02:45:00Z"

    def test_of_a_series_that_is_not_there_say_why(self) -> None:
        got = row("disk_used", "all", service_memory=[line(leak)])
        assert (got.trend, got.notes) == ("no data", ("disk_used was not collected",))

    def test_stand_in_the_report_of_a_run_with_a_steady_part(self) -> None:
        report = build(facts(steady=(HOUR,)), collected(service_memory=[line(leak)]))
        assert [one.trend for one in report.soak if one.series == "service_memory"] == ["grows"]
        assert build(facts(), collected(service_memory=[line(leak)])).soak == ()


class TestTrendsCheck:
    def judged(self, **lines: list[Line]) -> Check:
        return trends_check(soak_rows(collected(**lines), [HOUR]))

    def memory_of(self, gib: float) -> list[Line]:
        return [line(lambda hours, _: np.full(len(hours), gib * 1024 * MIB))]

    def test_fails_what_is_used_up_within_a_week_by_name_and_with_the_time_left(self) -> None:
        check = self.judged(service_memory=[line(leak)], service_memory_max=self.memory_of(2))
        assert check.verdict is Verdict.FAIL
        # 360 MiB at the end of the hour, 1,688 MiB to go at 60 an hour
        assert re.search(r"shopping-service: .* grows by \d\d MiB an hour, used up in 2[6-9]\.\d h", check.observed)

    def test_lets_grow_what_lasts_longer(self) -> None:
        hours_left = (64 * 1024 - 360) / 60
        assert hours_left > HORIZON_H
        check = self.judged(service_memory=[line(leak)], service_memory_max=self.memory_of(64))
        assert check.verdict is Verdict.PASS

    @pytest.mark.parametrize("shape", [noise, fill])
    def test_lets_pass_what_does_not_go_on_growing(self, shape: Shape) -> None:
        check = self.judged(service_memory=[line(shape)], service_memory_max=self.memory_of(2))
        assert check.verdict is Verdict.PASS

    def test_tells_of_a_disk_that_others_fill_without_judging_it(self) -> None:
        disk = {"disk_used": [line(lambda hours, d: 1000 * leak(hours, d))]}
        check = self.judged(service_memory=[line(noise)], **disk, disk_size=self.memory_of(1000))
        assert check.verdict is Verdict.PASS
        assert "used up in" in check.observed

    def test_claims_nothing_without_data_and_is_skipped_without_a_steady_part(self) -> None:
        assert self.judged().verdict is Verdict.NO_DATA
        assert trends_check(()).verdict is Verdict.SKIPPED


class TestSteadyWindows:
    def test_are_without_ramps(self) -> None:
        # soak: A climbs for 60 s, then 7,080 s are steady.
        ran = scenario("a", 100, 7200, rate=10.0)
        (window,) = steady_windows(load_load("soak"), [ran])
        assert ran.started is not None
        assert window.started == ran.started + timedelta(seconds=60)
        assert window.ended == window.started + timedelta(seconds=7080)
        assert window.requests_per_hour == 36_000

    def test_of_the_design_load_are_three(self) -> None:
        rows = [scenario("a", 0, 840), scenario("b", 0, 600), scenario("c", 0, 3), scenario("d", 0, 840)]
        assert [one.name for one in steady_windows(load_load("design"), rows)] == [
            "scenario A",
            "scenario B",
            "scenario D",
        ]

    def test_of_the_smoke_load_are_none(self) -> None:
        load = load_load("smoke")
        assert steady_windows(load, [scenario("a", 0, 20), scenario("b", 0, 15)]) == ()
        assert bot_window(load.bot, STARTED, STARTED + timedelta(seconds=31)) == ()

    def test_of_a_scenario_that_was_cut_short_are_none(self) -> None:
        assert steady_windows(load_load("soak"), [scenario("b", 0, 2000)]) == ()

    def test_of_the_bot_is_its_longest_step(self) -> None:
        (window,) = bot_window(load_load("soak").bot, STARTED, STARTED + timedelta(hours=4, seconds=1))
        assert (window.name, window.requests_per_hour) == ("kafka bot", 72_000)


class TestSeries:
    def test_are_promql_and_cover_what_is_watched(self) -> None:
        specs = {spec.id: spec for spec in soak_series(load_profile("portal"))}
        assert all(metric_names(spec.promql) for spec in specs.values())
        wanted = {name for watched in WATCHED for name in (watched.limit, watched.uptime) if name}
        known = {*specs, *(spec.id for spec in catalogue(load_profile("portal"), "run"))}
        assert wanted <= known
        assert "process_start" in specs

    def test_watched_are_told_apart(self) -> None:
        assert len({watched.series for watched in WATCHED}) == len(WATCHED)
        assert replace(MEMORY, least=0).reduce is np.min
