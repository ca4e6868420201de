"""What the results say: the checks `scenario-<x>-thresholds`, `k6-run` and `generator-valid`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.checks import SCENARIOS, Check, check
from core.words import Verdict
from k6.model import ScenarioResult

DROPPED_AT_MOST = 0.001
"""Iterations that an arrival-rate scenario may fail to start (anchors.md, "invalid run")."""
ACHIEVED_AT_LEAST = 0.99
"""Iterations made, by iterations asked for."""
RUN_DELAY_AT_MOST = 0.1
"""Time k6's threads waited for a processor, by wall time and processors: beyond it k6 measures itself."""
ALL_VUS_BUSY = 0.9
"""Little's law: rate x iteration time from this share of the allowed VUs on, all of them wait for the target."""
WRONG_ANSWERS_AT_MOST = 0.001
"""Share of answers whose body is not right: the bound that the design has for failed requests (section 4.3 A and B)."""
_PACED = ("a", "b", "d")
"""C and E start their whole crowd at once: there waiting for a processor is the load, not a fault of the generator."""


def thresholds_check(result: ScenarioResult) -> Check:
    """FAIL when a threshold was breached; NO_DATA when k6 did not run to its end, or one had no samples."""
    breached = [f"{row.metric}: {row.expression}" for row in result.thresholds if row.samples > 0 and not row.ok]
    if result.wrong_answers > WRONG_ANSWERS_AT_MOST * result.requests:
        breached.append(f"{result.wrong_answers} answers had a body that was not right")
    empty = [f"{row.metric}: {row.expression}" for row in result.thresholds if row.samples == 0]
    verdict, observed = _thresholds_verdict(result, breached, empty)
    return check(
        f"scenario-{result.scenario}-thresholds",
        verdict,
        observed,
        thresholds=[row.model_dump() for row in result.thresholds],
        p95_ms=result.p95_ms,
        p99_ms=result.p99_ms,
        error_rate=result.error_rate,
        wrong_answers=result.wrong_answers,
        too_many_requests=result.outcomes.get("429", 0),
    )


def _thresholds_verdict(result: ScenarioResult, breached: list[str], empty: list[str]) -> tuple[Verdict, str]:
    total = len(result.thresholds)
    if breached:
        return Verdict.FAIL, f"breached: {'; '.join(breached)}"
    if result.error is not None:
        return Verdict.NO_DATA, result.error["what"]
    if empty or not total:
        return Verdict.NO_DATA, f"without samples: {'; '.join(empty) or 'k6 left no summary'}"
    return Verdict.PASS, f"all {total} thresholds held, over {result.requests} requests"


def k6_run_check(results: Sequence[ScenarioResult], series_present: Mapping[str, bool]) -> Check:
    """`series_present`: scenario letter -> its series are in Prometheus under this run's id."""
    if not results:
        return check("k6-run", Verdict.NO_DATA, "no scenario was run")
    ended_badly = [result.error["what"] for result in results if result.error is not None]
    unseen = [SCENARIOS[row.scenario] for row in results if not series_present.get(row.scenario, False)]
    problems = ended_badly + ([_unseen(results, unseen)] if unseen else [])
    return check(
        "k6-run",
        Verdict.FAIL if problems else Verdict.PASS,
        "; ".join(problems) or f"{len(results)} scenarios ended by themselves, their series are in Prometheus",
        exit_codes={SCENARIOS[row.scenario]: row.exit_code for row in results},
        requests={SCENARIOS[row.scenario]: row.requests for row in results},
        series_present=dict(series_present),
    )


def _unseen(results: Sequence[ScenarioResult], unseen: list[str]) -> str:
    said = next((text for row in results for text in row.complaints if "endpoint" in text), "")
    return f"no k6 series in Prometheus of {', '.join(unseen)}" + (f" (k6: {said})" if said else "")


def generator_valid_check(results: Sequence[ScenarioResult]) -> Check:
    """INVALID when k6 did not offer what was asked for, and the target is not the reason."""
    complete = [row for row in results if row.ended_by_itself]
    if not complete:
        return check("generator-valid", Verdict.NO_DATA, "no scenario ran to its end")
    faults = [f"{SCENARIOS[row.scenario]}: {fault}" for row in complete for fault in generator_faults(row)]
    return check(
        "generator-valid",
        Verdict.INVALID if faults else Verdict.PASS,
        "; ".join(faults) or f"{len(complete)} scenarios got the load that was asked for",
        figures={SCENARIOS[row.scenario]: _figures(row) for row in complete},
    )


def generator_faults(result: ScenarioResult) -> list[str]:
    """What k6 itself, or the machine under it, did wrong; empty where too little load is the target's doing."""
    faults = []
    delay = result.generator.run_delay_ratio
    starved = result.scenario in _PACED and delay is not None and delay > RUN_DELAY_AT_MOST
    if starved:
        faults.append(f"k6 waited {delay:.0%} of the time for a processor")
    if all_vus_busy(result) and not starved:
        return faults
    dropped, achieved = dropped_ratio(result), achieved_ratio(result)
    if dropped is not None and dropped > DROPPED_AT_MOST:
        faults.append(f"{result.dropped_iterations} iterations ({dropped:.2%}) were not started")
    if achieved is not None and achieved < ACHIEVED_AT_LEAST:
        faults.append(f"{achieved:.1%} of the load was offered")
    return faults


def dropped_ratio(result: ScenarioResult) -> float | None:
    """Iterations not started, by iterations asked for; None in a closed model."""
    offered = result.generator.offered_iterations
    return result.dropped_iterations / offered if offered else None


def achieved_ratio(result: ScenarioResult) -> float | None:
    """Iterations made, by iterations asked for; None in a closed model."""
    offered = result.generator.offered_iterations
    return result.iterations / offered if offered else None


def all_vus_busy(result: ScenarioResult) -> bool:
    """True when every VU that the load allows was waiting for the target: it, not k6, set the rate."""
    figures = result.generator
    if not figures.max_vus or figures.mean_iteration_s is None or figures.allocated_vus < figures.max_vus:
        return False
    duration_s = (result.ended - result.started).total_seconds()
    busy = result.iterations * figures.mean_iteration_s / max(duration_s, 1e-3)
    return busy >= ALL_VUS_BUSY * figures.max_vus


def _figures(result: ScenarioResult) -> dict[str, Any]:
    return {
        **result.generator.model_dump(),
        "iterations": result.iterations,
        "dropped_iterations": result.dropped_iterations,
        "all_vus_busy": all_vus_busy(result),
    }
