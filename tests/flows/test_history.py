"""Every run is kept beside its directory, and no report hangs on that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.request import Request
from core.rundir import RunDirectory
from report.history import FOLDER, History
from report.model import read_report
from targets.load import load_load
from targets.model import load_profile
from tasks import report as steps
from tasks.run import Run

write_report = cast(Any, steps.write_report).__wrapped__
"""The step's plain function."""
RUN_ID = "20261122T020000Z-portal-smoke-abcd"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in which nothing has happened."""
    directory = RunDirectory.create(tmp_path, RUN_ID)
    backend = cast(Any, SimpleNamespace(name="embedded"))
    return Run(Request(), load_profile("portal"), load_load("smoke"), directory, backend, {})


class TestWriteReport:
    def test_keeps_the_run_with_a_key_that_the_report_has_too(self, run: Run, tmp_path: Path) -> None:
        report = write_report(run)
        (kept,) = History(tmp_path / FOLDER).read().runs
        assert kept.run_id == RUN_ID
        assert kept.key == report.key == read_report(run.directory.report_json).key
        assert (kept.key.target, kept.key.load, kept.key.scenarios) == ("portal", "smoke", "abcde")

    def test_says_what_is_wrong_with_the_history_and_is_written_all_the_same(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / FOLDER).write_text("a file, not a folder")
        before = write_report(run)
        assert before.errors[-1].what == "the history cannot be locked: File exists"
        assert read_report(run.directory.report_json).comparison is None
        assert (run.directory.path / "report.html").is_file()
