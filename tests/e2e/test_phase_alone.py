"""A phase runs alone, on a stack that nobody has prepared."""

from __future__ import annotations

from pathlib import Path

from tests.proof.suite_process import SuiteProcess


class TestDashboardsAlone:
    def test_puts_a_load_of_its_own_on_the_target_and_every_panel_has_data(self, tmp_path: Path) -> None:
        ended = SuiteProcess(tmp_path, "--phase", "dashboards").end()
        assert ended.verdict("panels-data") == "PASS", ended.output
        assert ended.verdict("k6-run") == "SKIPPED"
        assert ended.orphans == []
