"""A row of the table of faults (the others are made by `make proof`), and who knows the name of a fault."""

from __future__ import annotations

from pathlib import Path

from infra.portal_faults import FAULTS
from tests.proof.faults import EXPECTED
from tests.proof.suite_process import Ended, SuiteProcess


class TestFault:
    def test_is_caught_though_judge_and_report_cannot_see_its_name(self, tmp_path: Path) -> None:
        fault = "oversell"
        expected = EXPECTED[fault]
        ended = SuiteProcess(tmp_path, *expected.arguments(), "--fault", fault, load="smoke").end()
        assert ended.verdict(expected.turns) == "FAIL", ended.output
        assert "of a stock of 100 were issued" in ended.row(expected.turns)["observed"]
        assert ended.exit_code == 1
        assert ended.orphans == []
        self.names_no_bottleneck(ended)
        runs = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
        assert runs
        assert [file.name for file in runs if fault.encode() in file.read_bytes()] == []

    @staticmethod
    def names_no_bottleneck(ended: Ended) -> None:
        """A row of docs/bottlenecks.md: coupons are handed out wrongly, and nothing is short of anything."""
        assert ended.report is not None
        assert ended.report["bottleneck"]["component"] == "none", ended.report["bottleneck"]

    def test_every_fault_stands_in_the_table(self) -> None:
        assert set(EXPECTED) == set(FAULTS)
