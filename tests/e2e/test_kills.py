"""A row of the table of kills; the others are made by `make proof`."""

from __future__ import annotations

import signal
from pathlib import Path

from core.ports import ServiceId
from core.words import EXIT_SIGTERM
from tests.proof.kills import kill_under_load
from tests.proof.suite_process import SuiteProcess


class TestKilledUnderLoad:
    def test_the_run_is_not_green_names_the_dead_one_and_leaves_nothing(self) -> None:
        row = kill_under_load(ServiceId.GATEWAY)
        assert row.verdict != "PASS"
        assert row.exit_code in (1, 2, 3)
        assert "stack-alive" in row.named_by
        assert row.orphans == []


class TestInterrupted:
    def test_sigterm_stops_the_load_writes_the_report_and_takes_the_stack_down(self, tmp_path: Path) -> None:
        run = SuiteProcess(tmp_path)
        run.wait_until_under_load()
        run.kill("suite", signal.SIGTERM)
        ended = run.end()
        assert ended.exit_code == EXIT_SIGTERM
        assert ended.verdict("teardown-clean") == "PASS"
        assert ended.verdict("k6-run") != "PASS"
        assert "Traceback" not in ended.output
        assert "Error logging" not in ended.output
        assert ended.orphans == []

    def test_sigkill_of_the_run_leaves_no_process_behind(self, tmp_path: Path) -> None:
        run = SuiteProcess(tmp_path)
        run.wait_until_under_load()
        run.kill("suite", signal.SIGKILL)
        assert run.end().orphans == []
