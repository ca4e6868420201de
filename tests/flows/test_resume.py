"""A run that was cut off goes on: what had its load is not put again, what had not is, and nothing is made up."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from prefect import flow

from core.checks import passed_if
from core.errors import LoadError
from core.request import Request
from core.rundir import RunDirectory
from core.words import Phase, Verdict
from dashboards.model import Traffic
from infra.stack import Backend
from report.gate_file import gates_for
from report.journal import read_journal
from report.recover import recover
from targets.adapter import Fixtures
from targets.load import load_load
from targets.model import load_profile
from tasks.journal import RunState, doing, keep_journal, take_over
from tasks.load import put_on_target, traffic
from tasks.run import Run
from tests.unit.test_k6_segments import part

RUN_ID = "20261122T020000Z-portal-smoke-abcd"
FIXTURES = Fixtures("mark", "7", "3", datetime(2026, 11, 22, 2, tzinfo=UTC))


class Named:
    """As much of a backend as a journal asks for."""

    name = "embedded"


def a_run(folder: Path, request: Request | None = None) -> Run:
    directory, profile = RunDirectory.create(folder, RUN_ID), load_profile("portal")
    request = request or Request()
    run = Run(request, profile, load_load("smoke"), directory, cast(Backend, Named()), gates_for(profile).gates)
    run.keep = partial(keep_journal, run)
    return run


@pytest.fixture
def cut_off(tmp_path: Path) -> Run:
    """B has run, D had begun, when the run was killed in its load phase."""
    run = a_run(tmp_path)
    run.begin(Phase.LOAD)
    run.fixtures = FIXTURES
    run.record(passed_if("traces-complete", True, "9 of 9 traces are whole"))
    run.begin_load("b")
    run.scenario_results["b"] = part(0)
    run.begin_load("d")
    return run


@pytest.fixture
def resumed(cut_off: Run, tmp_path: Path) -> Run:
    run = a_run(tmp_path)
    take_over(run, read_journal(cut_off.directory.path))
    return run


class TestJournalOfARun:
    def test_names_what_the_run_was_at(self, cut_off: Run) -> None:
        assert doing(cut_off) == "phase load, scenario d"
        assert read_journal(cut_off.directory.path).doing == "phase load, scenario d"

    def test_makes_a_report_at_any_moment(self, cut_off: Run) -> None:
        report = recover(cut_off.directory.path)
        assert report.verdict is Verdict.ERROR
        assert [row.id for row in report.scenarios] == ["b"]
        assert report.check("kafka-bot-rate").verdict is Verdict.NO_DATA  # asked for, though it never began

    def test_holds_no_name_of_a_fault_and_no_consent(self, tmp_path: Path) -> None:
        run = a_run(tmp_path, Request(fault=("oversell",), i_mean="the-shop-itself"))
        run.keep()
        content = (run.directory.path / "journal.json").read_text()
        assert "oversell" not in content
        assert "the-shop-itself" not in content
        assert RunState.model_validate(read_journal(run.directory.path).state).faults == 1


class TestResumedRun:
    def test_has_the_results_and_fixtures_of_before(self, cut_off: Run, resumed: Run) -> None:
        assert resumed.scenario_results == {"b": part(0)}
        assert resumed.fixtures == FIXTURES
        assert resumed.started == cut_off.started

    def test_does_not_put_a_load_again_that_has_run(self, resumed: Run) -> None:
        put_on_target(resumed, "b")
        assert resumed.results == {}
        assert resumed.errors == []

    def test_does_not_put_a_load_again_that_was_cut_off_and_says_so(self, resumed: Run) -> None:
        @flow
        def load() -> None:
            put_on_target(resumed, "d")

        load()
        result = resumed.results["scenario-d-thresholds"]
        assert result.verdict is Verdict.ERROR
        assert "none is put twice in one run" in result.observed

    def test_expects_of_the_panels_only_what_its_loads_have_fed(self, resumed: Run) -> None:
        resumed.begin_load("a")  # was cut off: no result, and orders enough for no panel
        assert traffic(resumed) == (Traffic.REQUESTS,)
        resumed.scenario_results["a"] = part(0)
        assert set(traffic(resumed)) == {Traffic.REQUESTS, Traffic.EVENTS}

    def test_looks_again_at_what_it_can_and_says_of_the_rest_when_it_was_found(self, resumed: Run) -> None:
        assert resumed.results == {}
        found = resumed.as_before("traces-complete", "nothing")
        assert found.verdict is Verdict.PASS
        assert "found before the run was cut off at" in found.observed
        assert resumed.as_before("k6-panels", "the sampler took no look").verdict is Verdict.NO_DATA

    def test_says_of_its_phases_that_they_were_resumed(self, resumed: Run) -> None:
        assert resumed.begin(Phase.LOAD).note.startswith("resumed, cut off at ")

    def test_keeps_the_error_of_a_load_that_went_wrong(self, cut_off: Run, tmp_path: Path) -> None:
        error = {"what": "k6 did not end by itself", "where": "scenario a", "cure": "See its log."}
        cut_off.scenario_results["a"] = part(0, scenario="a", ended_by_itself=False, error=error)
        cut_off.keep()
        run = a_run(tmp_path)
        take_over(run, read_journal(cut_off.directory.path))
        assert [known.as_row() for known in run.errors] == [error]


class TestBeginningALoad:
    def test_is_on_the_disk_before_the_load(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        run.begin_load("bot")
        assert set(read_journal(run.directory.path).state["begun"]) == {"bot"}

    def test_is_refused_the_second_time(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        run.begin_load("a")
        with pytest.raises(LoadError, match="none is put twice"):
            run.begin_load("a")
