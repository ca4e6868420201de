"""What the results say: the checks `scenario-<x>-thresholds`, `k6-run` and `generator-valid`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.checks import SCENARIOS, Check, check
from core.errors import LoadError
from core.words import Verdict
from k6.model import ScenarioResult

DROPPED_AT_MOST = 0.001
"""Iterations that an arrival-rate scenario may fail to start (anchors.md, "invalid run")."""
ACHIEVED_AT_LEAST = 0.99
"""Iterations made, by iterations asked for."""
RUN_DELAY_AT_MOST = 0.1
"""Share of the wall time that k6 waited for a processor: beyond it k6 measures itself."""
STEAL_AT_MOST = 0.05
"""Share of the processors' time that the hypervisor gave to others: beyond it the machine was not ours."""
ALL_VUS_BUSY = 0.9
"""Little's law: rate x iteration time from this share of the allowed VUs on, all of them wait for the target."""
WRONG_ANSWERS_AT_MOST = 0.001
"""Share of answers whose body is not right: the bound that the design has for failed requests (section 4.3 A and B)."""
SEAM_AT_MOST_S = 1.0
"""Without load, or with that of two segments, where one k6 takes over from another."""
START_SPREAD_AT_MOST_S = 1.0
"""Between the first and the last of several generators: beyond it they did not make one load together."""
_PACED = ("a", "b", "d")
"""C and E start their whole crowd at once: hundreds of VUs ready in one moment wait for a processor on any machine.
There it is the load, not a fault of the generator."""


def thresholds_check(result: ScenarioResult) -> Check:
    """FAIL when a threshold was breached, ERROR when the load could not begin.

    NO_DATA when k6 did not run to its end, or a threshold had no samples: k6 passes it then (k6 #4283).
    """
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
    if result.never_began and result.error is not None:
        return Verdict.ERROR, str(LoadError(**result.error))
    if breached:
        return Verdict.FAIL, f"breached: {'; '.join(breached)}"
    if result.lost_generators:
        return Verdict.NO_DATA, "; ".join(result.lost_generators)
    if result.error is not None:
        return Verdict.NO_DATA, result.error["what"]
    if empty or not total:
        return Verdict.NO_DATA, f"without samples: {'; '.join(empty) or 'k6 left no summary'}"
    return Verdict.PASS, f"all {total} thresholds held, over {result.requests} requests"


def k6_run_check(results: Sequence[ScenarioResult], series_present: Mapping[str, bool]) -> Check:
    """Judges the scenarios that began; those that could not are ERROR in their own check.

    `series_present`: scenario letter -> its series are in Prometheus under this run's id.
    """
    began = [row for row in results if not row.never_began]
    could_not = [SCENARIOS[row.scenario] for row in results if row.never_began]
    if not began:
        return check("k6-run", Verdict.NO_DATA, _none_began(could_not), could_not_begin=could_not)
    problems = _run_problems(began, series_present)
    lost = [sentence for row in began for sentence in row.lost_generators]
    good = f"{len(began)} scenarios ended by themselves, their series are in Prometheus"
    verdict = Verdict.FAIL if problems else Verdict.INVALID if lost else Verdict.PASS
    besides = [f"{len(could_not)} could not begin: {', '.join(could_not)}"] if could_not else []
    return check(
        "k6-run",
        verdict,
        "; ".join((problems + lost or [good]) + besides),
        exit_codes={SCENARIOS[row.scenario]: row.exit_code for row in results},
        requests={SCENARIOS[row.scenario]: row.requests for row in results},
        series_present={row.scenario: series_present.get(row.scenario, False) for row in began},
        could_not_begin=could_not,
    )


def _none_began(could_not: list[str]) -> str:
    return (
        f"none of {len(could_not)} scenarios could begin: {', '.join(could_not)}"
        if could_not
        else "no scenario was run"
    )


def _run_problems(began: Sequence[ScenarioResult], series_present: Mapping[str, bool]) -> list[str]:
    # where a generator was lost, the others were stopped because of it
    ended_badly = [row.error["what"] for row in began if row.error is not None and not row.lost_generators]
    unseen = [SCENARIOS[row.scenario] for row in began if not series_present.get(row.scenario, False)]
    return ended_badly + ([_unseen(began, unseen)] if unseen else [])


def _unseen(results: Sequence[ScenarioResult], unseen: list[str]) -> str:
    said = next((text for row in results for text in row.complaints if "endpoint" in text), "")
    return f"no k6 series in Prometheus of {', '.join(unseen)}" + (f" (k6: {said})" if said else "")


def generator_valid_check(results: Sequence[ScenarioResult], slow: Mapping[str, str] = {}) -> Check:
    """INVALID when k6 did not offer what was asked for, and the target is not the reason.

    `slow`: scenario letter -> one sentence from the target's own histogram that says how slow it was; what such a
    scenario did not get is the target's doing, whatever k6's figures are.
    """
    complete = [row for row in results if row.ended_by_itself or row.lost_generators]
    if not complete:
        return check("generator-valid", Verdict.NO_DATA, "no scenario ran to its end")
    faults = {row.scenario: found for row in complete if (found := generator_faults(row))}
    lost = {row.scenario for row in complete if row.lost_generators}
    slow = {letter: sentence for letter, sentence in slow.items() if letter not in lost}
    invalid = [f"{SCENARIOS[letter]}: {'; '.join(found)}" for letter, found in faults.items() if letter not in slow]
    excused = [f"{SCENARIOS[letter]} did not: {slow[letter]}" for letter in faults if letter in slow]
    good = f"{len(complete) - len(faults)} scenarios got the load that was asked for"
    return check(
        "generator-valid",
        Verdict.INVALID if invalid else Verdict.PASS,
        "; ".join((invalid or [good]) + excused),
        figures={SCENARIOS[row.scenario]: _figures(row) for row in complete},
        target_was_slow={SCENARIOS[letter]: sentence for letter, sentence in slow.items()},
    )


def generator_faults(result: ScenarioResult) -> list[str]:
    """What k6 itself, or the machine under it, did wrong; empty where too little load is the target's doing."""
    own = [*result.lost_generators, *_apart(result), *_starved_generators(result), *_gaps(result)]
    return own if own or all_vus_busy(result) else _shortfalls(result)


def _apart(result: ScenarioResult) -> list[str]:
    """Generators that did not begin together."""
    if not result.parts:
        return []
    begun = [part.started for part in result.parts]
    spread_s = (max(begun) - min(begun)).total_seconds()
    too_far = spread_s > START_SPREAD_AT_MOST_S
    return [f"generator {begun.index(max(begun)) + 1} began {spread_s:.1f} s after the first"] if too_far else []


def _starved_generators(result: ScenarioResult) -> list[str]:
    """Each generator that did not get its processors, named where there are several."""
    if not result.parts:
        return _starved(result)
    return [f"generator {n}: {found}" for n, part in enumerate(result.parts, 1) for found in _starved(part)]


def _starved(result: ScenarioResult) -> list[str]:
    """The processors that k6 did not get."""
    delay, steal = result.generator.run_delay_ratio, result.generator.steal_ratio
    found = []
    if result.scenario in _PACED and delay is not None and delay > RUN_DELAY_AT_MOST:
        found.append(f"k6 waited {delay:.0%} of the time for a processor")
    if steal is not None and steal > STEAL_AT_MOST:
        found.append(f"the hypervisor took {steal:.0%} of the processors' time")
    return found


def _gaps(result: ScenarioResult) -> list[str]:
    """Seams at which the next k6 was not there in time."""
    worst_s = max((abs(seam.gap_s) for seam in result.seams), default=0.0)
    return [f"one k6 took over from another {worst_s:.1f} s late"] if worst_s > SEAM_AT_MOST_S else []


def _shortfalls(result: ScenarioResult) -> list[str]:
    """The load that was not offered while VUs were idle."""
    found = []
    dropped, achieved = dropped_ratio(result), achieved_ratio(result)
    if dropped is not None and dropped > DROPPED_AT_MOST:
        found.append(f"{result.dropped_iterations} iterations ({dropped:.2%}) were not started while VUs were idle")
    if achieved is not None and achieved < ACHIEVED_AT_LEAST:
        found.append(f"{achieved:.1%} of the load was offered")
    return found


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
        "seams_s": [round(seam.gap_s, 3) for seam in result.seams],
    }
