"""core.rundir: the run id and the run directory."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.errors import SetupError
from core.rundir import RunDirectory, iso, new_run_id, utc_now

NOON = datetime(2026, 2, 3, 12, 0, 5, 678_901, tzinfo=UTC)


class TestRunId:
    def test_is_time_target_load_and_four_hex_digits(self) -> None:
        assert re.fullmatch(r"20260203T120005Z-portal-smoke-[0-9a-f]{4}", new_run_id("portal", "smoke", NOON))

    def test_is_in_utc_whatever_the_clock_of_the_caller(self) -> None:
        seoul = NOON.astimezone(timezone(timedelta(hours=9)))
        assert new_run_id("portal", "smoke", seoul).startswith("20260203T120005Z-")

    def test_sorts_by_time(self) -> None:
        later = new_run_id("portal", "smoke", NOON + timedelta(seconds=1))
        assert new_run_id("portal", "smoke", NOON) < later

    def test_differs_within_one_second(self) -> None:
        # 20 draws of 65,536: two alike in all with probability 0.3 %, all alike never
        assert len({new_run_id("portal", "smoke", NOON) for _ in range(20)}) > 1


class TestIso:
    def test_is_utc_with_milliseconds_and_z(self) -> None:
        assert iso(NOON) == "2026-02-03T12:00:05.678Z"
        assert iso(NOON.astimezone(timezone(timedelta(hours=9)))) == "2026-02-03T12:00:05.678Z"

    def test_can_be_read_back(self) -> None:
        now = utc_now()
        assert abs(datetime.fromisoformat(iso(now)) - now) < timedelta(milliseconds=1)


class TestRunDirectory:
    def test_holds_the_folders_of_the_architecture(self, tmp_path: Path) -> None:
        run = RunDirectory.create(tmp_path, "one")
        assert run.path == tmp_path / "one"
        assert sorted(folder.name for folder in run.path.iterdir()) == ["k6", "logs", "metrics"]
        assert run.report_json == run.path / "report.json"
        assert run.run_id == "one"

    def test_makes_a_folder_a_scenario_when_it_is_asked_for(self, tmp_path: Path) -> None:
        folder = RunDirectory.create(tmp_path, "one").scenario("a-shopping-flow")
        assert folder == tmp_path / "one" / "k6" / "a-shopping-flow"
        assert folder.is_dir()

    def test_points_latest_to_the_newest_run(self, tmp_path: Path) -> None:
        RunDirectory.create(tmp_path, "one")
        RunDirectory.create(tmp_path, "two")
        assert (tmp_path / "latest").resolve() == (tmp_path / "two").resolve()
        assert os.readlink(tmp_path / "latest") == "two", "relative, so that the folder can be moved"

    def test_leaves_nothing_beside_the_runs_and_latest(self, tmp_path: Path) -> None:
        RunDirectory.create(tmp_path, "one")
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["latest", "one"]

    def test_may_lie_in_a_folder_that_does_not_exist_yet(self, tmp_path: Path) -> None:
        RunDirectory.create(tmp_path / "a folder" / "runs", "one")
        assert (tmp_path / "a folder" / "runs" / "latest" / "logs").is_dir()

    def test_can_be_made_twice(self, tmp_path: Path) -> None:
        first = RunDirectory.create(tmp_path, "one")
        (first.logs / "redis.log").write_text("kept")
        again = RunDirectory.create(tmp_path, "one")
        assert (again.logs / "redis.log").read_text() == "kept"

    def test_says_where_and_what_to_do_when_it_cannot_be_written(self, tmp_path: Path) -> None:
        in_the_way = tmp_path / "runs"
        in_the_way.write_text("a file, not a folder")
        with pytest.raises(SetupError, match="run directory cannot be written") as caught:
            RunDirectory.create(in_the_way, "one")
        assert caught.value.where == str(in_the_way / "one")
        assert "--run-dir" in caught.value.cure

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_says_so_when_the_rights_do_not_allow_it(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(SetupError, match="Permission denied"):
            RunDirectory.create(tmp_path, "one")

    def test_does_not_replace_a_folder_that_somebody_called_latest(self, tmp_path: Path) -> None:
        (tmp_path / "latest").mkdir()
        (tmp_path / "latest" / "precious").write_text("kept")
        with pytest.raises(SetupError):
            RunDirectory.create(tmp_path, "one")
        assert (tmp_path / "latest" / "precious").read_text() == "kept"
