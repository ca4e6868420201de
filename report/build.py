"""From a run's facts to its report: every check exactly once, the verdict, the exit code (architecture.md).

The verdict is the worst of the checks, of the objective gates and, where something requested could not run, ERROR.
Figures that an invalid generator measured claim nothing: there a scenario's FAIL becomes INVALID, unless the target's
own histograms or error counters show the breach as well ("A FAIL beats INVALID where ...").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pandas as pd

from core.checks import CHECKS, SCENARIOS, Check, CheckSpec, check
from core.words import EXIT_CODES, Phase, Verdict, worst, worst_of_phase
from report.bottleneck import find_bottleneck
from report.confirm import breach_seen_by_target
from report.gate_file import K6_PREFIX, Gate
from report.gates import objective_gates, threshold_gates
from report.histograms import threshold_histograms
from report.measures import figures_of
from report.model import ErrorRow, GateRow, PhaseRow, Report, RunKey, ScenarioRow, StageRow
from report.soak import soak_rows, trends_check
from report.spans import no_spans
from report.steady import SteadyWindow
from report.store import Collected
from report.windows import BOT, PartsRun

NOT_ASKED = "not asked for"
_NEEDS_SCENARIO = {
    **{f"scenario-{letter}-thresholds": letter for letter in SCENARIOS},
    "ledger-coupons": "c",
    "ledger-orders": "a",
    "cache-single-flight": "e",
}
"""Check -> the scenario without which there is nothing to look at."""


@dataclass(frozen=True)
class PhaseRun:
    """One phase that was asked for; its verdict is the worst of its checks unless the flow knows better."""

    id: Phase
    started: datetime | None = None
    ended: datetime | None = None
    note: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class RunFacts:
    """What a run knows about itself when it is over; times carry their zone."""

    run_id: str
    target: str
    backend: str
    load: str
    started: datetime
    ended: datetime
    phases: Sequence[PhaseRun]  # those that were asked for
    checks: Sequence[Check]
    gates: Mapping[str, Gate]  # by id
    scenarios_asked: Sequence[str] = tuple(SCENARIOS)  # letters
    scenarios: Sequence[ScenarioRow] = ()
    stages: Sequence[StageRow] = ()
    errors: Sequence[ErrorRow] = ()
    ledger: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    key: RunKey | None = None  # None: not to be compared
    steady: Sequence[SteadyWindow] = ()  # parts of the load that are long enough for trends
    generators: int = 1  # k6 processes a scenario
    interrupted: int | None = None  # exit code of the signal that ended the run: 130 or 143

    @property
    def phases_asked(self) -> frozenset[Phase]:
        return frozenset(phase.id for phase in self.phases)

    @property
    def parts_asked(self) -> tuple[str, ...]:
        """Letters of the scenarios, and the bot."""
        scenarios = self.scenarios_asked if Phase.LOAD in self.phases_asked else ()
        return (*scenarios, *([BOT] if Phase.KAFKA_BOT in self.phases_asked else []))


def build(facts: RunFacts, collected: Collected | None = None, spans: pd.DataFrame | None = None) -> Report:
    """The report of a run; `collected` is None where Prometheus was never asked, `spans` where Zipkin was not."""
    soak = soak_rows(collected, facts.steady) if collected else ()
    checks = _all_checks(replace(facts, checks=[*facts.checks, trends_check(soak)]))
    thresholds = threshold_gates(facts.scenarios, threshold_histograms(collected, facts.scenarios), facts.generators)
    if facts.generators > 1:
        checks = tuple(_by_all_generators(item, thresholds) for item in checks)
    invalid = generator_invalid(checks)
    if invalid:
        checks = tuple(_unless_confirmed(item, facts.scenarios, collected) for item in checks)
    run = PartsRun(facts.parts_asked, facts.scenarios, facts.stages)
    gates = objective_gates(facts.gates, collected, run, invalid)
    verdict = run_verdict(checks, gates, facts.errors)
    return Report(
        run_id=facts.run_id,
        verdict=verdict,
        exit_code=facts.interrupted or EXIT_CODES[verdict],
        target=facts.target,
        backend=facts.backend,
        load=facts.load,
        started=facts.started,
        ended=facts.ended,
        phases=tuple(_phase(phase, facts, checks) for phase in Phase),
        errors=tuple(facts.errors),
        checks=checks,
        scenarios=tuple(_with_verdict(row, checks) for row in facts.scenarios),
        gates=(*gates, *(_like_its_scenario(gate, checks) for gate in thresholds)),
        stages=tuple(facts.stages),
        parts_asked=facts.parts_asked,
        ledger=facts.ledger,
        bottleneck=find_bottleneck(collected, no_spans() if spans is None else spans, facts.stages, checks),
        versions=facts.versions,
        series=collected.rows if collected else (),
        key=facts.key,
        figures=figures_of(facts.scenarios, collected),
        soak=soak,
    )


def generator_invalid(checks: Sequence[Check]) -> bool:
    """True where what k6 measured claims nothing."""
    return any(item.id == "generator-valid" and item.verdict is Verdict.INVALID for item in checks)


def run_verdict(checks: Sequence[Check], gates: Sequence[GateRow], errors: Sequence[ErrorRow]) -> Verdict:
    """Thresholds count through their scenario's check, the other gates for themselves."""
    said = [item.verdict for item in checks] + [gate.verdict for gate in gates if gate.severity == "fail"]
    return worst([*said, Verdict.ERROR] if errors else said)


def _all_checks(facts: RunFacts) -> tuple[Check, ...]:
    """Every registered check once, in the registry's order, then any that the registry does not know."""
    results: dict[str, Check] = {}
    for item in facts.checks:
        before = results.get(item.id)
        results[item.id] = item if before is None else _worse(before, item)
    registered = {id: results.get(id) or _without_result(spec, facts) for id, spec in CHECKS.items()}
    return tuple((registered | results).values())


def _worse(first: Check, second: Check) -> Check:
    return second if worst([first.verdict, second.verdict]) is second.verdict else first


def _without_result(spec: CheckSpec, facts: RunFacts) -> Check:
    scenario = _NEEDS_SCENARIO.get(spec.id)
    if spec.phase is not None and spec.phase not in facts.phases_asked:
        return check(spec.id, Verdict.SKIPPED, NOT_ASKED)
    if scenario is not None and scenario not in facts.scenarios_asked:
        return check(spec.id, Verdict.SKIPPED, f"scenario {scenario.upper()} was {NOT_ASKED}")
    because = f": {facts.errors[0].what}" if facts.errors else ""
    return check(spec.id, Verdict.NO_DATA, f"not reached{because}")


def _unless_confirmed(item: Check, scenarios: Sequence[ScenarioRow], collected: Collected | None) -> Check:
    """A scenario's missed threshold under an invalid generator: INVALID, or FAIL with the target's own evidence."""
    scenario = next((row for row in scenarios if item.id == f"scenario-{row.id}-thresholds"), None)
    if scenario is None or item.verdict is not Verdict.FAIL:
        return item
    seen = breach_seen_by_target(scenario, collected)
    if seen:
        return item.model_copy(update={"evidence": {**item.evidence, "seen_by_target": seen}})
    observed = f"not claimed, because the generator was invalid (see generator-valid): {item.observed}"
    return item.model_copy(update={"verdict": Verdict.INVALID, "observed": observed})


def _by_all_generators(item: Check, thresholds: Sequence[GateRow]) -> Check:
    """A scenario's check by its thresholds over all generators; each of these k6 has seen only its own part."""
    letter = next((letter for letter in SCENARIOS if item.id == f"scenario-{letter}-thresholds"), None)
    own = [gate for gate in thresholds if gate.id.startswith(f"{K6_PREFIX}{letter}-")]
    if not own or item.verdict in (Verdict.ERROR, Verdict.SKIPPED):
        return item
    verdict = worst(gate.verdict for gate in own)
    missed = [f"{gate.series} {gate.want}: {gate.observed}" for gate in own if gate.verdict is not Verdict.PASS]
    observed = "; ".join(missed) or f"{len(own)} thresholds held over all generators"
    return item.model_copy(update={"verdict": verdict, "observed": observed})


def _phase(phase: Phase, facts: RunFacts, checks: Sequence[Check]) -> PhaseRow:
    run = next((run for run in facts.phases if run.id is phase), None)
    if run is None:
        return PhaseRow(id=phase, verdict=Verdict.SKIPPED, note=NOT_ASKED)
    verdict = run.verdict or _of_phase(phase, checks)
    return PhaseRow(id=phase, verdict=verdict, started=run.started, ended=run.ended, note=run.note)


def _of_phase(phase: Phase, checks: Sequence[Check]) -> Verdict:
    return worst_of_phase(item.verdict for item in checks if item.phase is phase)


def _with_verdict(row: ScenarioRow, checks: Sequence[Check]) -> ScenarioRow:
    return row.model_copy(update={"verdict": _scenario_verdict(row.id, checks) or row.verdict})


def _like_its_scenario(gate: GateRow, checks: Sequence[Check]) -> GateRow:
    """A threshold is no more certain than its scenario's check."""
    letter = gate.id.split("-")[1]
    invalid = gate.verdict is Verdict.FAIL and _scenario_verdict(letter, checks) is Verdict.INVALID
    return gate.model_copy(update={"verdict": Verdict.INVALID}) if invalid else gate


def _scenario_verdict(letter: str, checks: Sequence[Check]) -> Verdict | None:
    return next((item.verdict for item in checks if item.id == f"scenario-{letter}-thresholds"), None)
