"""What the run hands to the report: when each part of its load did what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from bots.plan import BotResult, Drain, Latency
from core.request import Request
from core.rundir import RunDirectory
from infra.stack import Backend
from k6.model import GeneratorFigures, ScenarioResult
from targets.load import load_load
from targets.model import load_profile
from tasks.report import stages_of
from tasks.run import Run

BEGAN = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
LATENCY = Latency(p50_ms=1, p95_ms=2, p99_ms=3, max_ms=4)
FIGURES = GeneratorFigures(
    offered_iterations=None, max_vus=None, allocated_vus=10, mean_iteration_s=None, run_delay_ratio=None
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    directory = RunDirectory.create(tmp_path, "20260301T020000Z-portal-smoke-abcd")
    return Run(Request(), load_profile("portal"), load_load("smoke"), directory, cast(Backend, None), {})


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def result(scenario: str, start_s: float, end_s: float, *, never_began: bool = False) -> ScenarioResult:
    return ScenarioResult(
        scenario=scenario,
        exit_code=0,
        ended_by_itself=not never_began,
        never_began=never_began,
        started=at(start_s),
        ended=at(end_s),
        requests=0,
        rate_per_s=0,
        p50_ms=None,
        p95_ms=None,
        p99_ms=None,
        error_rate=None,
        iterations=0,
        dropped_iterations=0,
        wrong_answers=0,
        outcomes={},
        counters={},
        thresholds=(),
        generator=FIGURES,
        log=Path("k6.log"),
        web_dashboard=None,
        complaints=(),
        error=None,
    )


def bot(drain: Drain | None) -> BotResult:
    """30 s from 100 s on."""
    return BotResult(
        run_id="r",
        topic="t",
        engine="kafka-python",
        processes=1,
        cpu_s=1.0,
        started=at(100),
        ended=at(130),
        steps=(),
        sent=3000,
        acked=3000,
        failed=0,
        failures={},
        from_intended=LATENCY,
        from_send=LATENCY,
        lateness=LATENCY,
        drain=drain,
    )


def stages(run: Run) -> list[tuple[str, str, float, float]]:
    return [
        (row.part, row.stage, (row.started - BEGAN).total_seconds(), (row.ended - BEGAN).total_seconds())
        for row in stages_of(run)
    ]


class TestStages:
    def test_of_a_scenario_follow_the_runs_load(self, run: Run) -> None:
        run.scenario_results["a"] = result("a", 10, 32)  # smoke: 4 s up, 12 s, 3 s down
        assert stages(run) == [("a", "warm-up", 10, 14), ("a", "steady", 14, 26), ("a", "drain", 26, 32)]

    def test_of_a_scenario_that_never_began_have_no_length(self, run: Run) -> None:
        run.scenario_results["b"] = result("b", 10, 32, never_began=True)
        assert stages(run) == [("b", "steady", 10, 10)]

    def test_of_the_bot_end_with_its_drain(self, run: Run) -> None:
        run.bot = bot(
            Drain(
                group="g",
                peak_lag_records=5,
                last_lag_records=0,
                drain_s=7,
                dead_letters=0,
                unanswered=0,
                series=(),
            )
        )
        assert stages(run) == [("bot", "steady", 100, 130), ("bot", "drain", 130, 137)]

    def test_of_a_bot_that_nobody_watched_have_no_drain(self, run: Run) -> None:
        run.bot = bot(None)
        assert stages(run) == [("bot", "steady", 100, 130)]

    def test_of_a_run_without_load_are_none(self, run: Run) -> None:
        assert stages(run) == []
