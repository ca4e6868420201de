"""`python -m report.judge`: a run directory judged again, by its own gates or others, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from core.words import Verdict
from report.build import build
from report.gate_file import FOLDER, gates_for, keep_gates
from report.judge import judge, main
from report.model import Report, read_report, to_json
from report.render import write_json
from report.store import write_collected
from targets.model import load_profile
from tests.report_samples import RUN_ID, collected, facts, line

PORTAL = FOLDER / "portal.yaml"


def run_directory(folder: Path, **changes: object) -> Path:
    """A run as the flow leaves it: report.json, metrics/ and gates.yaml; the lag is 40 at most."""
    found = collected()
    write_json(build(facts(**changes), found), folder)
    write_collected(found, folder)
    keep_gates(gates_for(load_profile("portal")), folder)
    return folder


def with_bound(folder: Path, id: str, **changes: object) -> Path:
    """The portal's gate file with something else in one gate."""
    document = yaml.safe_load(PORTAL.read_text(encoding="utf-8"))
    document["gates"][id] |= changes
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return file


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verdicts(report: Report) -> dict[str, Verdict]:
    return {row.id: row.verdict for row in report.gates}


class TestJudgedAgain:
    def test_by_its_own_gates_is_the_same_report(self, tmp_path: Path) -> None:
        judged = judge(run_directory(tmp_path))
        assert judged.after == judged.before
        assert judged.gates.path == tmp_path / "gates.yaml"

    def test_by_another_bound_may_fail(self, tmp_path: Path) -> None:
        judged = judge(run_directory(tmp_path), with_bound(tmp_path, "kafka-lag-max", bound=10))
        assert (judged.before.verdict, judged.after.verdict) == (Verdict.PASS, Verdict.FAIL)
        assert judged.after.exit_code == 1
        assert verdicts(judged.after)["kafka-lag-max"] is Verdict.FAIL

    def test_may_take_another_window_and_reduction(self, tmp_path: Path) -> None:
        file = with_bound(tmp_path, "kafka-lag-max", window="spike", reduction="mean")
        row = judge(run_directory(tmp_path), file).after.gates[1]
        assert (row.window.name, row.reduction) == ("spike", "mean, worst line")
        assert len(row.window.spans) == 2  # C and E

    def test_may_take_another_series(self, tmp_path: Path) -> None:
        file = with_bound(tmp_path, "kafka-lag-max", series="redis_clients", unit="count", bound=100)
        row = judge(run_directory(tmp_path), file).after.gates[1]
        assert (row.series, row.verdict) == ("redis_clients", Verdict.PASS)

    def test_a_series_that_was_never_collected_is_no_data(self, tmp_path: Path) -> None:
        run_directory(tmp_path)
        found = collected()
        write_collected(replace(found, rows=tuple(row for row in found.rows if row.id != "kafka_lag")), tmp_path)
        judged = judge(tmp_path)
        row = next(row for row in judged.after.gates if row.id == "kafka-lag-max")
        assert (row.verdict, row.observed) == (Verdict.NO_DATA, "kafka_lag was not collected")
        assert (judged.after.verdict, judged.after.exit_code) == (Verdict.NO_DATA, 3)

    def test_keeps_what_k6_and_the_checks_said(self, tmp_path: Path) -> None:
        judged = judge(run_directory(tmp_path), with_bound(tmp_path, "kafka-lag-max", bound=10))
        assert judged.after.checks == judged.before.checks
        k6 = [row for row in judged.before.gates if row.id.startswith("k6-")]
        assert [row for row in judged.after.gates if row.id.startswith("k6-")] == k6

    def test_an_interrupted_run_keeps_its_exit_code(self, tmp_path: Path) -> None:
        assert judge(run_directory(tmp_path, interrupted=143)).after.exit_code == 143

    def test_of_an_earlier_version_is_judged_in_the_windows_that_it_knows(self, tmp_path: Path) -> None:
        run_directory(tmp_path)
        (tmp_path / "gates.yaml").unlink()
        old = read_report(tmp_path / "report.json").model_copy(update={"stages": (), "parts_asked": None})
        (tmp_path / "report.json").write_bytes(to_json(old))
        judged = judge(tmp_path)
        found = {row.id: row for row in judged.after.gates}
        assert judged.gates.path == PORTAL
        assert found["kafka-lag-max"].verdict is Verdict.PASS
        assert found["redis-hit-ratio"].observed == "the report does not say when the stages of its load were"

    def test_a_part_that_was_not_asked_for_stays_skipped(self, tmp_path: Path) -> None:
        run_directory(tmp_path, scenarios_asked=("a",), scenarios=facts().scenarios[:1])
        file = with_bound(tmp_path, "kafka-lag-max", parts=["c"])
        row = judge(tmp_path, file).after.gates[1]
        assert (row.verdict, row.observed) == (Verdict.SKIPPED, "scenario C was not asked for")


class TestCommandLine:
    def test_prints_a_table_and_writes_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = written(run_directory(tmp_path))
        assert main([str(tmp_path)]) == 0
        assert written(tmp_path) == before
        said = capsys.readouterr().out
        assert "kafka-lag-max" in said
        assert f"PASS  run {RUN_ID}" in said

    def test_exits_with_the_verdict_and_says_what_changed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run_directory(tmp_path)
        assert main([str(tmp_path), "--gates", str(with_bound(tmp_path, "kafka-lag-max", bound=10))]) == 1
        said = " ".join(capsys.readouterr().out.split())
        assert "FAIL run" in said
        assert "in the report PASS" in said

    def test_writes_the_outcome_where_it_is_asked_to(self, tmp_path: Path) -> None:
        run_directory(tmp_path)
        file = with_bound(tmp_path, "kafka-lag-max", bound=10)
        assert main([str(tmp_path), "--gates", str(file), "--write"]) == 1
        report = read_report(tmp_path / "report.json")
        assert (report.verdict, report.exit_code) == (Verdict.FAIL, 1)
        assert "kafka-lag-max" in (tmp_path / "report.html").read_text(encoding="utf-8")
        assert (tmp_path / "gates.yaml").read_text(encoding="utf-8") == file.read_text(encoding="utf-8")
        assert main([str(tmp_path)]) == 1


class TestBrokenRunDirectory:
    """One sentence that names the file, exit code 2, never a stack trace."""

    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            pytest.param(lambda run: (run / "report.json").unlink(), "the report cannot be read", id="no report"),
            pytest.param(
                lambda run: (run / "report.json").write_text("{"), "not a report of schema 1", id="torn report"
            ),
            pytest.param(lambda run: (run / "metrics" / "series.json").unlink(), "no collected series", id="no index"),
            pytest.param(
                lambda run: (run / "metrics" / "series.json").write_text("[]"),
                "index of the collected",
                id="torn index",
            ),
            pytest.param(lambda run: (run / "gates.yaml").write_text("gates: 7"), "missing key", id="torn gates"),
            pytest.param(
                lambda run: write_collected(replace(collected(), run_id="another"), run),
                f"the series are of run another, report.json is of {RUN_ID}",
                id="two runs",
            ),
        ],
    )
    def test_is_one_sentence(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], said: str
    ) -> None:
        damage(run_directory(tmp_path))
        assert main([str(tmp_path)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.strip().splitlines()) == 1
        assert said in told.err
        assert str(tmp_path) in told.err

    @pytest.mark.parametrize("damage", ["missing", "broken"])
    def test_a_parquet_file_costs_only_the_gates_over_it(self, tmp_path: Path, damage: str) -> None:
        run_directory(tmp_path)
        file = tmp_path / "metrics" / "kafka.parquet"
        file.unlink() if damage == "missing" else file.write_bytes(b"PAR1 torn")
        assert main([str(tmp_path)]) == 3
        judged = {row.id: row for row in judge(tmp_path).after.gates}
        assert judged["kafka-lag-max"].verdict is Verdict.NO_DATA
        assert "metrics/kafka.parquet cannot be read" in judged["kafka-lag-max"].observed
        assert judged["server-error-ratio"].verdict is Verdict.PASS

    def test_a_wrong_gate_file_is_told_with_its_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run_directory(tmp_path)
        file = with_bound(tmp_path, "kafka-lag-max", series="kafka_lags")
        assert main([str(tmp_path), "--gates", str(file)]) == 2
        assert "did you mean 'kafka_lag'" in capsys.readouterr().err

    def test_a_figure_is_never_drawn_from_nan(self, tmp_path: Path) -> None:
        run_directory(tmp_path)
        write_collected(collected(kafka_lag=[line([float("nan")] * 41, topic="t")]), tmp_path)
        assert verdicts(judge(tmp_path).after)["kafka-lag-max"] is Verdict.NO_DATA
