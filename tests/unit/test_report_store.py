"""Collected series: written and read back as parquet, thinned for the eye, and named when a file is gone or broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.errors import SetupError
from report.figures import POINTS_MAX, thin
from report.grid import MAX_POINTS, Grid, points_for
from report.histograms import histogram_series
from report.prometheus import HistogramLine, Line, Window
from report.store import Collected, load_collected, write_collected
from tests.report_samples import RUN_ID, STARTED, WINDOW, collected, line


class TestCollected:
    def test_reads_back_as_it_was_written(self, tmp_path: Path) -> None:
        given = collected(redis_clients=[line([1.0, float("nan"), 3.0])])
        write_collected(given, tmp_path)
        found = load_collected(tmp_path)
        assert (found.rows, found.window, found.step_s, found.run_id) == (given.rows, given.window, 5.0, RUN_ID)
        before, after = given.lines("redis_clients")[0], found.lines("redis_clients")[0]
        np.testing.assert_array_equal(before.times_ms, after.times_ms)
        np.testing.assert_array_equal(before.values, after.values)

    def test_reads_histograms_back_as_bucket_columns(self, tmp_path: Path) -> None:
        times, counts = np.array([0, 0, 5_000]), np.array([1.0, 2.0, 4.0])
        lines = [HistogramLine({"name": name}, times, counts / 8, counts / 4, counts) for name in ("login", "list")]
        [spec] = histogram_series(RUN_ID)
        row = collected().rows[0].model_copy(update={"id": spec.id, "group": spec.group})
        write_collected(Collected(RUN_ID, WINDOW, 5.0, (row,), {spec.id: lines}), tmp_path)
        file = tmp_path / "metrics" / f"{spec.group}.parquet"
        assert pq.read_schema(file).names == ["time", "series", "labels", "lower", "upper", "count"]
        found = load_collected(tmp_path).histograms(spec.id)
        assert [line.labels["name"] for line in found] == ["login", "list"]
        for column in ("times_ms", "lower", "upper", "counts"):
            np.testing.assert_array_equal(getattr(found[1], column), getattr(lines[1], column))

    def test_gives_a_group_as_a_frame(self) -> None:
        frame = collected(redis_clients=[line([1.0, 2.0, 3.0])]).frame("redis")
        clients = frame[frame["series"] == "redis_clients"]
        assert clients["value"].tolist() == [1.0, 2.0, 3.0]
        assert clients["time"].iloc[0] == STARTED
        assert set(frame.columns) == {"time", "series", "labels", "value"}

    def test_keeps_each_line_apart_by_its_labels(self, tmp_path: Path) -> None:
        write_collected(collected(), tmp_path)
        names = [one.name for one in load_collected(tmp_path).lines("service_requests")]
        assert names == ["api-gateway", "auth-service", "blog-service", "shopping-service", "notification-service"]

    def test_each_parquet_file_says_of_which_run_it_is(self, tmp_path: Path) -> None:
        write_collected(collected(), tmp_path)
        assert RUN_ID.encode() in pq.read_schema(tmp_path / "metrics" / "k6.parquet").metadata[b"run"]

    @pytest.mark.parametrize("damage", ["missing", "broken"])
    def test_names_a_parquet_file_that_cannot_be_read_and_keeps_the_others(self, tmp_path: Path, damage: str) -> None:
        write_collected(collected(), tmp_path)
        file = tmp_path / "metrics" / "redis.parquet"
        file.unlink() if damage == "missing" else file.write_bytes(b"PAR1 torn")
        found = load_collected(tmp_path)
        broken = [row for row in found.rows if row.state == "failed"]
        assert {row.group for row in broken} == {"redis"}
        assert "metrics/redis.parquet cannot be read" in found.why_not("redis_memory")
        assert found.lines("redis_memory") == []
        assert len(found.lines("service_requests")) == 5

    @pytest.mark.parametrize("content", [None, b"{"], ids=["missing", "damaged"])
    def test_without_an_index_says_that_nothing_was_collected(self, tmp_path: Path, content: bytes | None) -> None:
        (tmp_path / "metrics").mkdir()
        if content is not None:
            (tmp_path / "metrics" / "series.json").write_bytes(content)
        with pytest.raises(SetupError) as caught:
            load_collected(tmp_path)
        assert "series.json" in caught.value.where
        assert "run it again" in caught.value.cure


class TestGrid:
    START = STARTED.timestamp()

    def test_of_a_day_is_split_under_prometheus_limit(self) -> None:
        # 24 h at 5 s are 17,281 points: 11,000 and then 6,281.
        day = Window.from_epoch(self.START, self.START + 86_400).grid(5)
        pieces = [day.piece(0, 20_000), day.piece(MAX_POINTS, 20_000)]
        assert [(piece.started_s, piece.ended_s, piece.points) for piece in pieces] == [
            (self.START, self.START + 54_995, 11_000),
            (self.START + 55_000, self.START + 86_400, 6_281),
        ]

    def test_of_no_length_is_one_point(self) -> None:
        grid = Window.from_epoch(self.START, self.START).grid(5)
        assert (grid.points, grid.ended_s) == (1, self.START)

    def test_asks_for_less_at_a_time_where_many_lines_answer(self) -> None:
        # 22 bytes a sample: 2,000 lines of 62 points are 3 MB of text.
        assert (points_for(0), points_for(1), points_for(2_000), points_for(10**9)) == (125_000, 125_000, 62, 1)

    def test_a_line_without_holes_keeps_no_times_of_its_own(self) -> None:
        grid = Grid(self.START, 5, 100)
        later = grid.times_ms[3:50].copy()
        assert np.shares_memory(grid.shared(later), grid.times_ms)
        np.testing.assert_array_equal(grid.shared(later), later)

    @pytest.mark.parametrize("times", [[], [1], [0, 1, 3]], ids=["nothing", "beside the grid", "with a hole"])
    def test_any_other_line_keeps_its_own(self, times: list[int]) -> None:
        grid = Grid(0, 0.001, 2) if len(times) > 1 else Grid(0, 5, 2)
        own = np.array(times, dtype=np.int64)
        assert grid.shared(own).tolist() == times


class TestThinning:
    def test_keeps_a_single_spike_of_a_long_line(self) -> None:
        values = np.zeros(17_281)
        values[7_777] = 9.0
        x, y = thin(Line({}, np.arange(17_281) * 5_000, values))
        assert len(x) <= POINTS_MAX + 2
        assert y[x.index(7_777 * 5_000)] == 9.0

    def test_leaves_a_short_line_as_it_is(self) -> None:
        x, y = thin(Line({}, np.array([0, 1_000, 2_000]), np.array([1.0, 2.0, 3.0])))
        assert (x, y) == ([0, 1_000, 2_000], [1.0, 2.0, 3.0])

    def test_draws_a_hole_where_samples_are_missing(self) -> None:
        x, y = thin(Line({}, np.array([0, 1_000, 2_000, 9_000, 10_000]), np.arange(5.0)))
        assert x == [0, 1_000, 2_000, None, 9_000, 10_000]
        assert y == [0.0, 1.0, 2.0, None, 3.0, 4.0]

    def test_draws_nothing_where_no_value_is_finite(self) -> None:
        assert thin(Line({}, np.array([0, 1_000]), np.array([np.nan, np.inf]))) == ([], [])
