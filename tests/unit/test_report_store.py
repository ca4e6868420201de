"""Collected series: written and read back as parquet, thinned for the eye, and named when a file is gone or broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.errors import SetupError
from report.figures import POINTS_MAX, thin
from report.prometheus import MAX_POINTS, Line, Window
from report.store import load_collected, write_collected
from tests.report_samples import RUN_ID, STARTED, collected, line


class TestCollected:
    def test_reads_back_as_it_was_written(self, tmp_path: Path) -> None:
        given = collected(redis_clients=[line([1.0, float("nan"), 3.0])])
        write_collected(given, tmp_path)
        found = load_collected(tmp_path)
        assert (found.rows, found.window, found.step_s, found.run_id) == (given.rows, given.window, 5.0, RUN_ID)
        before, after = given.lines("redis_clients")[0], found.lines("redis_clients")[0]
        np.testing.assert_array_equal(before.times_ms, after.times_ms)
        np.testing.assert_array_equal(before.values, after.values)

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


class TestWindow:
    def test_is_split_under_prometheus_limit_on_one_grid(self) -> None:
        # 24 h at 5 s are 17,281 points: 11,000 and then 6,281.
        start = STARTED.timestamp()
        chunks = list(Window.from_epoch(start, start + 86_400).chunks(5))
        assert chunks == [(start, start + 54_995), (start + 55_000, start + 86_400)]
        assert all((last - first) / 5 + 1 <= MAX_POINTS for first, last in chunks)

    def test_of_no_length_is_one_point(self) -> None:
        start = STARTED.timestamp()
        assert list(Window.from_epoch(start, start).chunks(5)) == [(start, start)]


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
