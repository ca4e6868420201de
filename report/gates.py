"""Gates: objectives over collected series in a window of the load, and the k6 thresholds beside them.

A gate without data is NO_DATA, never a pass; where its part of the load was not asked for it is SKIPPED. Each line of
the series has to keep it, so the worst one is judged and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.words import Verdict
from report.gate_file import K6_PREFIX, Gate
from report.model import GateRow, ScenarioRow, SeriesRow, SpanRow, ThresholdRow, WindowRow
from report.native import Bucket, decided
from report.promql import is_counter, lookback_s
from report.reductions import reduced, samples_needed, unbroken
from report.samples import GAP_STEPS, Inside, Weighted, coverage, inside, judged_pieces, plain, shares
from report.store import Collected
from report.units import bound_text, factor_of, figure_text
from report.windows import PartsRun, Span

COVERAGE_MIN = 0.5
"""With samples at fewer than this share of the window's steps, nothing is claimed of it."""
PAUSING = ("k6", "bot")
"""Groups whose lines stand still between the parts of the load that make them: there a hole is none."""
CLOCKS_APART_AT_MOST_S = 2.0
"""Between this machine, whose clock says when the load was, and Prometheus, which says when it scraped."""
OWN_CLOCK = "k6"
"""Group of the series that this machine dates itself."""
STALE_STEPS = 2 * GAP_STEPS
"""`last` speaks of the window's end: a line that was last seen more than this many steps before says nothing of it."""


@dataclass(frozen=True)
class Figure:
    """What one line came to, in the gate's unit; with a doubt it may fail the gate, but not keep it."""

    line: str
    value: float
    doubt: str
    note: str


@dataclass(frozen=True)
class Outcome:
    """What a gate says, of which pieces of its window, by which line."""

    verdict: Verdict
    observed: str
    pieces: Sequence[Span] = ()
    worst: Figure | None = None


def objective_gates(
    gates: Mapping[str, Gate], collected: Collected | None, run: PartsRun, generator_invalid: bool = False
) -> tuple[GateRow, ...]:
    """Every gate judged, in the file's order; what an invalid generator measured itself can fail none of them."""
    rows = (_judge(id, gate, collected, run) for id, gate in gates.items())
    if not generator_invalid or collected is None:
        return tuple(rows)
    by_k6 = {row.id for row in collected.rows if row.group == "k6"}
    return tuple(_not_claimed(row) if gates[row.id].series in by_k6 else row for row in rows)


def threshold_gates(
    scenarios: Sequence[ScenarioRow],
    histograms: Mapping[tuple[str, str], Sequence[Sequence[Bucket]]] | None = None,
    generators: int = 1,
) -> tuple[GateRow, ...]:
    """The k6 thresholds of each scenario (design 4.3).

    `histograms` has, by scenario and metric, the buckets of each generator, where they were collected: the witness of
    one generator, the judge of `generators`.
    """
    seen = histograms or {}
    return tuple(
        _threshold_gate(scenario, row, seen.get((scenario.id, row.metric), ()), generators)
        for scenario in scenarios
        for row in scenario.thresholds
    )


def threshold_verdict(row: ThresholdRow) -> Verdict:
    """NO_DATA without samples, whatever k6 says (corrections.md 4)."""
    if row.samples == 0:
        return Verdict.NO_DATA
    return Verdict.PASS if row.ok else Verdict.FAIL


def _not_claimed(row: GateRow) -> GateRow:
    if row.verdict is not Verdict.FAIL:
        return row
    observed = f"not claimed, because the generator was invalid (see generator-valid): {row.observed}"
    return row.model_copy(update={"verdict": Verdict.INVALID, "observed": observed})


def _judge(id: str, gate: Gate, collected: Collected | None, run: PartsRun) -> GateRow:
    spans = run.window(gate.window, [part for part in gate.parts if part in run.asked])
    outcome = _outcome(gate, collected, spans) if spans else Outcome(*run.why_none(gate.window, gate.parts))
    return GateRow(
        id=id,
        verdict=outcome.verdict,
        series=" / ".join([gate.series, *([" + ".join(gate.per)] if gate.per else [])]),
        reduction=_reduction_text(gate),
        window=_window_row(gate, outcome.pieces or spans),
        observed=outcome.observed,
        want=f"{gate.comparison} {bound_text(gate.bound, gate.unit)}",
        severity=gate.severity,
        claim=gate.claim,
        line=outcome.worst.line if outcome.worst else "",
        value=outcome.worst.value if outcome.worst else None,
        bound=gate.bound,
        unit=gate.unit,
    )


def _outcome(gate: Gate, collected: Collected | None, spans: Sequence[Span]) -> Outcome:
    """What a gate comes to in a window that was there."""
    if collected is None:
        return Outcome(Verdict.NO_DATA, "no series were collected")
    row = _row(gate.series, collected)
    if row is None:
        return Outcome(Verdict.NO_DATA, collected.why_not(gate.series))
    if row.group != OWN_CLOCK and abs(collected.clock_ahead_s) > CLOCKS_APART_AT_MOST_S:
        return Outcome(Verdict.NO_DATA, f"nothing is claimed: {_clocks_apart(collected.clock_ahead_s)}")
    look_back = lookback_s(row.promql)
    pieces = judged_pieces(gate.window, spans, look_back, collected.step_s)
    if not pieces:
        needed = look_back + collected.step_s
        return Outcome(Verdict.SKIPPED, f"window {gate.window} is shorter here than the {needed:.0f} s that it needs")
    if pieces[-1].ended < collected.window.started or pieces[0].started > collected.window.ended:
        what = f"window {gate.window} lies outside of the time that was collected; do the machines' clocks agree?"
        return Outcome(Verdict.NO_DATA, what, pieces)
    found = [(line.name, inside(line, pieces, look_back, collected.step_s)) for line in _lines(gate, collected)]
    if row.group in PAUSING:
        found = [(name, replace(line, hole_s=0.0)) for name, line in found]
    figures = _figures(gate, found, pieces, collected.step_s, not gate.per and is_counter(row.promql))
    if not figures:
        return Outcome(*_absent(gate, collected), pieces)
    covered = coverage([line for _, line in found], pieces, look_back, collected.step_s)
    worst = (min if gate.comparison.startswith(">") else max)(figures, key=lambda figure: figure.value)
    return Outcome(*_verdict(gate, worst, figures, covered), pieces, worst)


def _clocks_apart(ahead_s: float) -> str:
    """Its samples lie elsewhere in time than the load that made them."""
    return f"Prometheus' clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"


def _figures(
    gate: Gate, found: Sequence[tuple[str, Inside]], pieces: Sequence[Span], step_s: float, counter: bool
) -> list[Figure]:
    """A figure for each line that has enough samples in the window."""
    needed = samples_needed(gate.reduction, gate.since_start)
    return [_figure(gate, name, line, pieces, step_s, counter) for name, line in found if len(line) >= needed]


def _row(series_id: str, collected: Collected) -> SeriesRow | None:
    return next((row for row in collected.rows if row.id == series_id), None)


def _lines(gate: Gate, collected: Collected) -> list[Weighted]:
    chosen = [line for line in collected.lines(gate.series) if gate.only.items() <= line.labels.items()]
    if not gate.per:
        return [plain(line) for line in chosen]
    return shares(chosen, [collected.lines(id) for id in gate.per])


def _figure(gate: Gate, name: str, found: Inside, spans: Sequence[Span], step_s: float, counter: bool) -> Figure:
    values, restarts = unbroken(found.values) if counter else (found.values, 0)
    if gate.since_start:
        values = values - values[0]
    value = reduced(gate.reduction, found.times_ms, values, found.weights) / factor_of(gate.unit)
    notes = (
        f"samples reach {found.reach_s:.0f} s beyond the window" if found.reach_s else "",
        f"counted on after {restarts} restart{'s' if restarts > 1 else ''}" if restarts else "",
        f"{found.hole_s:.0f} s without samples" if found.hole_s else "",
    )
    return Figure(name, value, _doubt(gate, found, spans, step_s), "; ".join(note for note in notes if note))


def _doubt(gate: Gate, found: Inside, spans: Sequence[Span], step_s: float) -> str:
    """Why the line's figure cannot keep the gate, "" where it can."""
    length_s = sum(span.length_s for span in spans)
    if found.hole_s > (1 - COVERAGE_MIN) * length_s:
        return f"no samples in {found.hole_s:.0f} of the window's {length_s:.0f} s"
    before_end_s = spans[-1].ended.timestamp() - float(found.times_ms[-1]) / 1000
    if gate.reduction == "last" and before_end_s > STALE_STEPS * step_s:
        return f"last seen {before_end_s:.0f} s before the window's end"
    return ""


def _verdict(gate: Gate, worst: Figure, figures: Sequence[Figure], covered: float) -> tuple[Verdict, str]:
    text = f"{figure_text(worst.value, gate.unit)} ({worst.line})"
    noted = f"{text}; {worst.note}" if worst.note else text
    if not _keeps(worst.value, gate):
        return Verdict.FAIL, noted
    doubtful = next((figure for figure in figures if figure.doubt), None)
    if doubtful is not None:
        return Verdict.NO_DATA, f"nothing is claimed: {doubtful.line}: {doubtful.doubt}"
    if covered < COVERAGE_MIN:
        return Verdict.NO_DATA, f"nothing is claimed: samples in {covered:.0%} of the window only"
    return Verdict.PASS, noted


def _keeps(value: float, gate: Gate) -> bool:
    match gate.comparison:
        case "<":
            return value < gate.bound
        case "<=":
            return value <= gate.bound
        case ">":
            return value > gate.bound
        case _:
            return value >= gate.bound


def _absent(gate: Gate, collected: Collected) -> tuple[Verdict, str]:
    """SKIPPED only where the gate says so and the target was asked: what could not be read may be there."""
    ids = (gate.series, *gate.per)
    notes = dict.fromkeys(collected.why_not(id) for id in ids)
    rows = [_row(id, collected) for id in ids]
    readable = all(row is not None and row.state != "failed" for row in rows)
    verdict = Verdict.SKIPPED if gate.absent == "skip" and readable else Verdict.NO_DATA
    chosen = "".join(f" with {label}={value}" for label, value in gate.only.items())
    return verdict, "; ".join(note for note in notes if note) or f"too few samples{chosen} in the window"


def _reduction_text(gate: Gate) -> str:
    added = " of what was added since the window's first sample" if gate.since_start else ""
    per_hour = " an hour" if gate.reduction == "slope" else ""
    chosen = "".join(f", {label}={value}" for label, value in gate.only.items())
    return f"{gate.reduction}{per_hour}{added}, worst line{chosen}"


def _window_row(gate: Gate, spans: Sequence[Span]) -> WindowRow:
    return WindowRow(
        name=gate.window,
        started=spans[0].started if spans else None,
        ended=spans[-1].ended if spans else None,
        parts=gate.parts,
        spans=tuple(SpanRow(started=span.started, ended=span.ended) for span in spans),
    )


def _threshold_gate(
    scenario: ScenarioRow, row: ThresholdRow, histograms: Sequence[Sequence[Bucket]], generators: int
) -> GateRow:
    verdict, witness = decided(row, threshold_verdict(row), histograms, generators)
    held = {Verdict.PASS: "held", Verdict.FAIL: "did not hold", Verdict.NO_DATA: "no samples"}
    told = f"{held[threshold_verdict(row)]}, {row.samples:,} samples"
    aggregate = row.expression.partition("<")[0].partition(">")[0].strip()
    return GateRow(
        id=f"{K6_PREFIX}{scenario.id}-{row.metric}-{aggregate}",
        verdict=verdict,
        series=row.metric,
        reduction=aggregate,
        window=WindowRow(name=f"scenario {scenario.id.upper()}", started=scenario.started, ended=scenario.ended),
        observed=f"{told}; {witness}" if witness else told,
        want=row.expression,
        severity="fail",
    )
