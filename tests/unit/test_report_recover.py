"""A run that was killed: its journal, the report that is made of it, and what another boot of the machine says."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from core.durable import write_durably
from core.errors import SetupError
from core.rundir import RunDirectory
from core.words import Phase, Verdict
from report import journal as journal_module
from report.build import PhaseRun
from report.journal import FILE, Journal, read_journal, write_journal
from report.model import Report
from report.recover import main, recover, recover_cut_off, recovered
from tests.report_samples import RUN_ID, STARTED, facts, passing_checks

KILLED_AT = STARTED + timedelta(seconds=60)


def killed(**changes: object) -> Journal:
    """A run that was killed in its load phase: two phases have their checks, nothing else is known."""
    known = [item for item in passing_checks() if item.phase in (Phase.EXPORTERS, Phase.TRACING)]
    begun = {Phase.EXPORTERS: STARTED, Phase.TRACING: STARTED, Phase.LOAD: STARTED + timedelta(seconds=30)}
    of_run = facts(
        checks=known, scenarios=(), stages=(), ledger={}, phases=[PhaseRun(phase, begun.get(phase)) for phase in Phase]
    )
    given = {"written": KILLED_AT, "doing": "phase load, scenario a", "facts": of_run, "state": {}, **changes}
    return Journal(**given)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    directory = RunDirectory.create(tmp_path / "runs", RUN_ID).path
    write_journal(killed(), directory)
    return directory


class TestRecoveredReport:
    def test_is_an_error_that_says_where_and_when_the_run_was_killed(self) -> None:
        report = recovered(killed())
        assert report.verdict is Verdict.ERROR
        assert report.exit_code == 2
        assert report.errors[0].what.startswith("the run was killed in phase load, scenario a, after 20")
        assert f"--resume {RUN_ID}" in report.errors[0].cure

    def test_claims_nothing_that_was_not_reached(self) -> None:
        report = recovered(killed())
        missing = [item for item in report.checks if item.phase in (Phase.LOAD, Phase.DASHBOARDS, Phase.KAFKA_BOT)]
        assert {item.verdict for item in missing} == {Verdict.NO_DATA}
        assert "the run was killed" in report.check("k6-run").observed

    def test_keeps_what_was_found(self) -> None:
        assert recovered(killed()).check("exporter-metrics").verdict is Verdict.PASS

    def test_is_never_a_pass_even_where_every_check_had_passed(self) -> None:
        assert recovered(killed(facts=facts(), doing="its end")).verdict is not Verdict.PASS

    def test_calls_another_boot_of_the_machine_by_its_name(self) -> None:
        assert recovered(killed(boot="another boot")).errors[0].what.startswith("the machine was started again in")


class TestRecovering:
    def test_writes_every_form_of_the_report(self, run_dir: Path) -> None:
        assert main([str(run_dir)]) == 2
        assert Report.model_validate_json((run_dir / "report.json").read_bytes()).verdict is Verdict.ERROR
        assert {"report.html", "report.md", "junit.xml"} <= {path.name for path in run_dir.iterdir()}

    def test_is_refused_while_the_run_goes_on(self, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with RunDirectory(run_dir).hold():
            assert main([str(run_dir)]) == 2
        assert "goes on in another process" in capsys.readouterr().err
        assert not (run_dir / "report.json").exists()

    def test_leaves_a_run_that_ended_by_itself_alone(self, run_dir: Path) -> None:
        write_journal(killed(ended=True), run_dir)
        with pytest.raises(SetupError, match="ended by itself"):
            recover(run_dir)

    def test_of_a_folder_without_a_journal_says_so(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([str(tmp_path)]) == 2
        assert "no journal" in capsys.readouterr().err

    def test_happens_by_itself_before_the_next_run(self, run_dir: Path) -> None:
        runs_dir = run_dir.parent
        with RunDirectory(run_dir).hold():
            assert recover_cut_off(runs_dir) == []
        assert recover_cut_off(runs_dir) == [RUN_ID]
        assert recover_cut_off(runs_dir) == []


class TestJournal:
    def test_comes_back_as_it_was_written(self, run_dir: Path) -> None:
        read = read_journal(run_dir)
        assert (read.doing, read.written, read.rebooted) == ("phase load, scenario a", KILLED_AT, False)
        assert recovered(read) == recovered(killed())

    def test_of_another_version_is_refused_by_name(self, run_dir: Path) -> None:
        content = json.loads((run_dir / FILE).read_bytes())
        del content["facts"]["run_id"]
        (run_dir / FILE).write_text(json.dumps(content))
        with pytest.raises(SetupError, match=r"not readable: facts\.run_id"):
            read_journal(run_dir)

    def test_that_the_disk_does_not_take_leaves_the_old_one_whole(
        self, run_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, content: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal_module, "write_durably", full)
        with pytest.raises(SetupError, match="No space left on device"):
            write_journal(killed(doing="phase tracing"), run_dir)
        assert read_journal(run_dir).doing == "phase load, scenario a"


class TestWritingDurably:
    def test_a_write_that_breaks_off_leaves_the_old_content_and_no_rest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        write_durably(tmp_path / "file", b"old")
        monkeypatch.setattr("core.durable.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_durably(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
