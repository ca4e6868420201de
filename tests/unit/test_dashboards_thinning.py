"""What is drawn of a long window: every spike and every hole, in no more points than there are pixels."""

from __future__ import annotations

import json
import math
import random
import time

import pytest

from dashboards.drawn import draw_answers
from dashboards.engine import Engine, PanelAnswer, Series, State, TargetAnswer
from dashboards.model import Kind, Panel, Target
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from dashboards.sampler import PanelSamples, Samples
from dashboards.thinning import BUCKETS, CHUNK_POINTS, Points, Raster, thin
from dashboards.variables import choose
from targets.model import load_profile

METRICS = load_profile("portal").metrics
DAY_S = 86_400.0
LINES = 8


def line_of(raster: Raster, spikes: dict[int, float]) -> tuple[list[float], list[float | None]]:
    """A line at 1, with other values at some of its steps."""
    steps = round((raster.end - raster.start) / raster.step_s) + 1
    times = [raster.start + index * raster.step_s for index in range(steps)]
    return times, [spikes.get(index, 1.0) for index in range(steps)]


def numbers(points: Points) -> list[float]:
    return [value for _, value in points if value is not None]


class TestRaster:
    @pytest.mark.parametrize(
        ("length_s", "step_s", "bucket_s"),
        [(90, 1, 1), (600, 1, 1), (2_400, 5, 5), (7_200, 5, 20), (DAY_S, 5, 240)],
        ids=["smoke", "10 min", "40 min", "2 h", "a day"],
    )
    def test_is_as_fine_as_the_series_and_no_finer_than_the_eye(
        self, length_s: float, step_s: float, bucket_s: float
    ) -> None:
        raster = Raster.of(1000.0, 1000.0 + length_s)
        assert (raster.step_s, raster.bucket_s) == (step_s, bucket_s)

    def test_asks_every_step_of_a_day_once_in_pieces_that_prometheus_answers(self) -> None:
        raster = Raster.of(0.0, DAY_S)
        chunks = list(raster.chunks())
        asked = [start + index * 5 for start, end in chunks for index in range(round((end - start) / 5) + 1)]
        assert asked == [index * 5.0 for index in range(17_281)]
        assert max((end - start) / 5 + 1 for start, end in chunks) <= CHUNK_POINTS


class TestThin:
    DAY = Raster.of(0.0, DAY_S)

    def test_leaves_a_short_line_as_it_is(self) -> None:
        raster = Raster.of(0.0, 90.0)
        times, values = line_of(raster, {7: 5.0})
        assert thin(times, values, raster) == list(zip(times, values, strict=True))

    def test_keeps_every_spike_of_a_day(self) -> None:
        """One sample of 17,281 each, up and down, wherever it falls."""
        at = random.Random(6).sample(range(17_281), 60)
        spikes = {index: 2.0 + number if number % 2 else -2.0 - number for number, index in enumerate(at)}
        kept = numbers(thin(*line_of(self.DAY, spikes), self.DAY))
        lone = [value for index, value in spikes.items() if not shares_its_bucket(index, spikes)]
        assert len(lone) > 40
        assert set(lone) <= set(kept)
        assert (max(kept), min(kept)) == (max(spikes.values()), min(spikes.values()))

    def test_gives_at_most_two_points_a_pixel_in_order_of_time(self) -> None:
        points = thin(*line_of(self.DAY, {}), self.DAY)
        times = [at for at, _ in points]
        assert times == sorted(times)
        assert 2 * BUCKETS <= len(points) <= 2 * (BUCKETS + 1)

    def test_draws_a_spike_within_half_a_bucket_of_its_time(self) -> None:
        points = thin(*line_of(self.DAY, {9_999: 50.0}), self.DAY)
        (at,) = (at for at, value in points if value == 50.0)
        assert abs(at - 9_999 * 5) <= self.DAY.bucket_s

    def test_keeps_a_fall_a_fall(self) -> None:
        raster = Raster(0.0, DAY_S, 5.0, 48)
        rise = thin([0.0, 5.0], [1.0, 9.0], raster)
        fall = thin([0.0, 5.0], [9.0, 1.0], raster)
        assert (numbers(rise), numbers(fall)) == ([1.0, 9.0], [9.0, 1.0])

    def test_keeps_holes(self) -> None:
        times, values = line_of(self.DAY, {})
        values[480:960] = [None] * 480  # 40 min without a number
        del times[4_800:5_760], values[4_800:5_760]  # 80 min without samples
        points = thin(times, values, self.DAY)
        assert [at for at, value in points if value is None] == [2_400 + index * 240 for index in range(10)]
        inside = [at for at, _ in points if 24_000 <= at < 28_800]
        assert inside == []

    def test_of_a_heatmap_keeps_the_strongest_cell_on_one_grid_for_all_rows(self) -> None:
        points = thin(*line_of(self.DAY, {9_999: 50.0}), self.DAY, highest_only=True)
        assert all(math.isclose(at % self.DAY.bucket_s, 0) for at, _ in points)
        assert max(numbers(points)) == 50.0
        assert len(points) <= BUCKETS + 1


def shares_its_bucket(index: int, others: dict[int, float]) -> bool:
    return any(other != index and other // 48 == index // 48 for other in others)


class Long(Engine):
    """An engine that answers each query with LINES lines, a point a step, and one spike in the whole window."""

    SPIKE_AT = 50_000.0

    def __init__(self) -> None:
        super().__init__(Prometheus("http://127.0.0.1:1"), choose(METRICS))

    def ask(self, panel: Panel, start: float, end: float, step_s: float) -> PanelAnswer:
        times = tuple(start + index * step_s for index in range(round((end - start) / step_s) + 1))
        return PanelAnswer(panel, tuple(self._lines(panel, target, times) for target in panel.targets))

    def _lines(self, panel: Panel, target: Target, times: tuple[float, ...]) -> TargetAnswer:
        values = tuple(1000.0 if at == self.SPIKE_AT else at % 7 for at in times)
        names = [f"0.{number + 1}" if panel.of_buckets else f"line {number}" for number in range(LINES)]
        return TargetAnswer(target.expr, tuple(Series(name, {"name": name}, times, values) for name in names))


class TestADayOfBothDashboards:
    def test_is_thinned_in_less_than_five_seconds_with_its_spike_in_every_line(self) -> None:
        seen = Samples(tuple(PanelSamples(each, State.LIVE, 1, 1, "", "") for each in all_panels(METRICS)), ())
        engine = Long()
        began = time.monotonic()
        rows = draw_answers(engine, seen, 0.0, DAY_S)
        took_s = time.monotonic() - began
        engine.prometheus.close()
        assert took_s < 5
        assert len(rows) == 28
        for row in rows:
            for series in row["series"]:
                assert max(series["values"]) == 1000.0
                assert len(series["values"]) <= 2 * (BUCKETS + 1)
        assert len(json.dumps(rows)) < 8_000_000

    def test_keeps_a_heatmaps_rows_in_order_of_their_bounds(self) -> None:
        seen = Samples(
            tuple(PanelSamples(each, State.LIVE, 1, 1, "", "") for each in all_panels(METRICS) if each.of_buckets), ()
        )
        engine = Long()
        (row,) = draw_answers(engine, seen, 0.0, DAY_S)
        engine.prometheus.close()
        assert row["kind"] == Kind.HEATMAP.value
        assert [series["legend"] for series in row["series"]] == [f"0.{number + 1}" for number in range(LINES)]
