"""How a long scenario is cut, and how the results of its segments become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.words import Verdict
from k6.checks import generator_faults, thresholds_check
from k6.merge import LATENCY, merged
from k6.model import GeneratorFigures, ScenarioResult, Seam, Segment, Threshold
from k6.plan import GRACEFUL_STOP_S, SEAM_S, offered_iterations, plan_document, planned_s
from k6.segments import loads_of
from targets.load import Load, load_load
from targets.model import load_profile
from tests.unit.test_k6_plan import a_request

BEGAN = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
FAILED = "http_req_failed{part:load}"


def cut(scenario: str, segment_s: float | None, **numbers: float) -> tuple[Load, ...]:
    load = load_load("design")
    own = getattr(load, scenario).model_copy(update=numbers)
    return loads_of(scenario, load.model_copy(update={scenario: own, "segment_s": segment_s}))


class TestCutting:
    @pytest.mark.parametrize("scenario", ["a", "b", "d"])
    def test_keeps_the_load_as_it_was(self, scenario: str) -> None:
        whole, profile = load_load("design"), load_profile("portal")
        parts = cut(scenario, 200)
        assert len(parts) == 3  # 600 s of steady load
        assert sum(planned_s(scenario, part, profile) for part in parts) == planned_s(scenario, whole, profile)
        offered = [offered_iterations(scenario, part) or 0 for part in parts]
        assert sum(offered) == pytest.approx(offered_iterations(scenario, whole) or 0)

    def test_ramps_up_in_the_first_and_down_in_the_last_only(self) -> None:
        assert [(part.a.ramp_up_s, part.a.ramp_down_s) for part in cut("a", 200)] == [(120, 0), (0, 0), (0, 120)]

    def test_starts_later_segments_at_the_full_rate(self) -> None:
        assert [part.d.start_rate_per_s for part in cut("d", 300)] == [50, 200]

    @pytest.mark.parametrize(("scenario", "segment_s"), [("c", 10), ("e", 10), ("a", None)])
    def test_leaves_bursts_and_loads_without_segments_alone(self, scenario: str, segment_s: float | None) -> None:
        assert len(cut(scenario, segment_s)) == 1


class TestPlanOfASegment:
    @pytest.mark.parametrize(
        ("number", "judged_s"),
        [(1, (None, 100 - SEAM_S)), (2, (SEAM_S, 100 - SEAM_S)), (3, (SEAM_S, 100 + GRACEFUL_STOP_S))],
    )
    def test_says_when_it_begins_and_what_is_judged(self, number: int, judged_s: tuple[float | None, float]) -> None:
        plan = plan_document(a_request("b", segment=Segment(number, 3, BEGAN, BEGAN + timedelta(seconds=100))))
        starts = BEGAN.timestamp() * 1000
        first, last = judged_s
        assert plan["segment"]["starts_at_ms"] == starts
        assert plan["segment"]["judged_from_ms"] == (0 if first is None else starts + 1000 * first)
        assert plan["segment"]["judged_until_ms"] == starts + 1000 * last


@dataclass
class Told:
    """Histograms that say what a test wants."""

    holding: Mapping[str, bool | None] = field(default_factory=dict)

    def percentile_ms(self, metric: str, share: float) -> float | None:
        return 100 * share

    def holds(self, metric: str, expression: str) -> bool | None:
        return self.holding[metric]


def part(
    number: int, latency_ok: bool = True, failed: float = 0.0, samples: int = 100, **changes: object
) -> ScenarioResult:
    began = BEGAN + timedelta(seconds=100 * number)
    given: dict[str, object] = {
        "scenario": "b", "exit_code": 0 if latency_ok else 99, "ended_by_itself": True, "started": began,
        "ended": began + timedelta(seconds=100), "requests": 1000, "rate_per_s": 10,
        "p50_ms": 1, "p95_ms": 2, "p99_ms": 3,
        "error_rate": failed, "iterations": 1000, "dropped_iterations": 1, "wrong_answers": 0,
        "outcomes": {"200": 990, "503": 10}, "counters": {"orders_created": 5},
        "thresholds": (
            Threshold(metric=LATENCY, expression="p(95)<100", ok=latency_ok, samples=samples),
            Threshold(metric=FAILED, expression="rate<0.001", ok=failed < 0.001, samples=samples, value=failed),
        ),
        "generator": GeneratorFigures(
            offered_iterations=1001, max_vus=10, allocated_vus=5 + number, mean_iteration_s=0.1,
            run_delay_ratio=0.02 * number,
        ),
        "log": Path("k6.log"), "web_dashboard": None, "complaints": (), "error": None,
    }  # fmt: skip
    return ScenarioResult(**{**given, **changes})


class TestMerging:
    def test_adds_up_what_was_counted(self) -> None:
        whole = merged([part(0), part(1)], Told())
        assert (whole.requests, whole.iterations, whole.dropped_iterations) == (2000, 2000, 2)
        assert whole.outcomes == {"200": 1980, "503": 20}
        assert whole.counters == {"orders_created": 10}
        assert (whole.started, whole.ended) == (BEGAN, BEGAN + timedelta(seconds=200))
        assert whole.rate_per_s == 10
        assert whole.generator.offered_iterations == 2002
        assert (whole.generator.allocated_vus, whole.generator.run_delay_ratio) == (6, 0.01)

    def test_takes_percentiles_from_the_histograms_of_all(self) -> None:
        whole = merged([part(0), part(1)], Told())
        assert (whole.p50_ms, whole.p95_ms, whole.p99_ms) == (50, 95, 99)

    def test_what_held_everywhere_has_held(self) -> None:
        assert thresholds_check(merged([part(0), part(1)], Told())).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("says", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL), (None, Verdict.NO_DATA)]
    )
    def test_where_segments_differ_the_histogram_of_all_decides(self, says: bool | None, verdict: Verdict) -> None:
        whole = merged([part(0), part(1, latency_ok=False)], Told({LATENCY: says}))
        assert thresholds_check(whole).verdict is verdict
        assert whole.exit_code == (99 if says is False else 0)

    @pytest.mark.parametrize(("failed", "verdict"), [(0.0015, Verdict.PASS), (0.01, Verdict.FAIL)])
    def test_a_share_is_that_of_all_requests(self, failed: float, verdict: Verdict) -> None:
        # in one of two equal parts: half of it over all, against 0.001
        assert thresholds_check(merged([part(0), part(1, failed=failed)], Told())).verdict is verdict

    def test_without_samples_anywhere_nothing_is_claimed(self) -> None:
        assert thresholds_check(merged([part(0, samples=0), part(1, samples=0)], Told())).verdict is Verdict.NO_DATA

    def test_one_that_was_cut_short_is_the_whole_cut_short(self) -> None:
        error = {"what": "k6 did not end by itself", "where": "scenario b", "cure": "See its log."}
        whole = merged([part(0), part(1, ended_by_itself=False, exit_code=105, error=error)], Told())
        assert (whole.ended_by_itself, whole.exit_code, whole.error) == (False, 105, error)

    @pytest.mark.parametrize(("gap_s", "faults"), [(0.3, 0), (1.5, 1), (-1.5, 1)])
    def test_a_seam_of_more_than_a_second_is_the_generators_fault(self, gap_s: float, faults: int) -> None:
        whole = merged([part(0), part(1)], Told(), [Seam(at=BEGAN, gap_s=gap_s)])
        assert len(generator_faults(whole)) == faults
