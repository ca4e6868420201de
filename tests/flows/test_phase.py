"""A phase gives every one of its checks a verdict, whatever happens inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from core.checks import of_phase, passed_if
from core.errors import SetupError
from core.ports import ServiceId
from core.request import Request
from core.rundir import RunDirectory
from core.words import Phase, Verdict
from flows.phase import phase_flow
from flows.tracing import tracing
from infra.stack import Backend
from targets.load import load_load
from targets.model import load_profile
from tasks.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    directory = RunDirectory.create(tmp_path, "20261122T020000Z-portal-smoke-abcd")
    return Run(Request(), load_profile("portal"), load_load("smoke"), directory, cast(Backend, None), {})


def state_of(phase: Phase, body: Any, run: Run) -> str:
    return str(phase_flow(phase)(body)(run, return_state=True).name)


def good(run: Run) -> None:
    for spec in of_phase(Phase.EXPORTERS):
        run.observe(spec.id, lambda id=spec.id: passed_if(id, True, "seen"))


def breaking(run: Run) -> None:
    raise SetupError("mysqld died", where="mysql", cure="Look at its log.")


class TestPhaseFlow:
    def test_passes_when_every_check_passes(self, run: Run) -> None:
        assert state_of(Phase.EXPORTERS, good, run) == "PASS"

    def test_an_error_gives_every_check_that_is_left_the_cause(self, run: Run) -> None:
        assert state_of(Phase.EXPORTERS, breaking, run) == "ERROR"
        assert {spec.id: run.results[spec.id].verdict for spec in of_phase(Phase.EXPORTERS)} == {
            "exporter-metrics": Verdict.ERROR,
            "prometheus-targets": Verdict.ERROR,
        }
        assert [error.cure for error in run.errors] == ["Look at its log."]

    def test_a_blocked_phase_does_not_run_and_says_what_blocks_it(self, run: Run) -> None:
        run.record(passed_if("exporter-metrics", False, "redis is away"))
        assert state_of(Phase.TRACING, breaking, run) == "NO_DATA"
        assert run.results["zipkin-es-index"].observed == "blocked by exporter-metrics"
        assert run.errors == []

    def test_what_needs_a_blocked_check_is_blocked_as_well(self, run: Run) -> None:
        run.record(passed_if("zipkin-es-index", False, "no trace"))
        state_of(Phase.LOAD, breaking, run)
        assert run.results["k6-run"].observed == "blocked by seed-readback, doctor"
        assert run.results["scenario-a-thresholds"].observed == "blocked by k6-run"

    def test_a_missed_objective_blocks_nothing(self, run: Run) -> None:
        run.record(passed_if("k6-run", True, "ended"))
        run.record(passed_if("scenario-a-thresholds", False, "p95 too high"))
        assert run.observe("panels-data", lambda: passed_if("panels-data", True, "all")).verdict is Verdict.PASS

    def test_an_interrupted_run_leaves_its_checks_unclaimed(self, run: Run) -> None:
        run.stop.set()
        state_of(Phase.EXPORTERS, good, run)
        assert run.results["exporter-metrics"].verdict is Verdict.ERROR
        assert "asked to stop" in run.results["exporter-metrics"].observed

    def test_is_skipped_where_the_profile_does_not_name_what_it_needs(self, run: Run) -> None:
        named = {service: url for service, url in run.profile.addresses.items() if service is not ServiceId.ZIPKIN}
        run.profile = run.profile.model_copy(update={"addresses": named})
        state: Any = tracing(run, return_state=True)
        assert state.name == "SKIPPED"
        assert run.results["zipkin-es-index"].observed == "the profile names no zipkin"
        assert run.errors == []
