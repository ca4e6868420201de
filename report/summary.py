"""What a reader needs first: the verdict in a sentence, three facts, and what to do next. Shared by all renderers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.checks import SCENARIOS, Check
from core.words import Verdict
from report.advice import advice_for
from report.amounts import amount, hours, relative
from report.model import GateRow, Report, ScenarioRow, ShiftRow

SIGNS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.ERROR: "!",
    Verdict.INVALID: "≠",
    Verdict.NO_DATA: "?",
    Verdict.SKIPPED: "–",
}
"""A sign beside each verdict's colour, for readers who do not see colours."""
Mark = Literal["worse", "grows", "limit"]
MARKS: Mapping[Mark, str] = {"worse": "↗", "grows": "↗", "limit": "◆"}
"""What is to be done beside the verdict: worse than before, growing without end, the resource that saturated first."""
_OF_CORRECTNESS = ("ledger-coupons", "ledger-orders", "cache-single-flight", "kafka-bot-accounting")
_BLOCKED = "blocked by "
_WORSE = "Look at what was changed before that run; acknowledge it in `history/acknowledged.yaml` if it is meant."
_GROWS = "Find what is kept and never given back before that time is over."
_RANK = (Verdict.FAIL, Verdict.ERROR, Verdict.INVALID, Verdict.NO_DATA)


@dataclass(frozen=True)
class Fact:
    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Step:
    """One thing to do: what is the matter, where to look; `look_at` is a path inside the run directory, or empty."""

    verdict: Verdict | Mark
    title: str
    text: str
    look_at: str = ""
    advice: str = ""

    @property
    def sign(self) -> str:
        return SIGNS[self.verdict] if isinstance(self.verdict, Verdict) else MARKS[self.verdict]


def headline(report: Report) -> str:
    """The verdict as a sentence."""
    count = Counter(check.verdict for check in report.checks)
    match report.verdict:
        case Verdict.PASS:
            return "Everything that was asked for held, and every claim was read back."
        case Verdict.FAIL:
            gates = sum(
                gate.verdict is Verdict.FAIL and gate.severity == "fail"
                for gate in report.gates
                if not gate.id.startswith("k6-")
            )
            return f"{plural(count[Verdict.FAIL] + gates, 'claim')} did not hold."
        case Verdict.ERROR:
            return "A part that was asked for could not run."
        case Verdict.INVALID:
            return "Measured, but not by a valid generator: these figures claim nothing about the platform."
        case _:
            return "Something that was asked for was not measured, so nothing is claimed about it."


def checks_text(report: Report) -> str:
    """How far the verdict can be believed: '20 of 22 checks passed, 1 failed, 1 without data'."""
    count = Counter(check.verdict for check in report.checks)
    judged = sum(number for verdict, number in count.items() if verdict is not Verdict.SKIPPED)
    words = {
        Verdict.FAIL: "failed",
        Verdict.ERROR: "could not run",
        Verdict.INVALID: "invalid",
        Verdict.NO_DATA: "without data",
        Verdict.SKIPPED: "skipped",
    }
    others = (f"{count[verdict]} {word}" for verdict, word in words.items() if count[verdict])
    return ", ".join((f"{count[Verdict.PASS]} of {judged} checks passed", *others))


def facts(report: Report) -> tuple[Fact, Fact, Fact]:
    """The three facts that matter: the load, the correctness under it, and whether anything is worse than before."""
    return _load_fact(report), _correctness_fact(report), _history_fact(report)


def next_steps(report: Report) -> list[Step]:
    """What to do next, the worst first; what saturated comes before what that made miss its objective.

    What is only blocked by something else is not named.
    """
    steps = [Step(Verdict.ERROR, row.where or "run", f"{row.what}. {row.cure}".strip()) for row in report.errors]
    steps += _limit_steps(report)
    steps += [
        Step(check.verdict, check.id, check.observed, _look_at(check), advice_for(check.id))
        for verdict in _RANK
        for check in report.checks
        if check.verdict is verdict and not check.observed.startswith(_BLOCKED)
    ]
    steps += _gate_steps([gate for gate in report.gates if gate.verdict in _RANK and not gate.id.startswith("k6-")])
    steps += [*_worse_steps(report), *_growing_steps(report)]
    return steps or [_when_all_is_well(report)]


def _limit_steps(report: Report) -> Iterator[Step]:
    found = report.bottleneck
    if found.component not in (None, "none"):
        yield Step("limit", f"{found.component}", found.evidence, advice=found.advice)


def _worse_steps(report: Report) -> Iterator[Step]:
    """What became worse and has not been said yet."""
    for group in report.comparison.regressions if report.comparison else ():
        if group.news:
            worst = group.headline
            with_it = f", with {plural(len(group.beneath), 'other figure')}" if group.beneath else ""
            text = f"{change_text(worst.shift)} since run {worst.since}{with_it}"
            yield Step("worse", worst.shift.figure, text, advice=_WORSE)


def _growing_steps(report: Report) -> Iterator[Step]:
    """What will run out: it still grows at the end of a steady load, and its limit is known."""
    for row in report.soak:
        if row.trend == "grows" and row.hours_left is not None:
            rise = f"{amount(row.per_hour, row.unit)} an hour in {row.window.name}"
            text = f"{rise}; at its limit in {hours(row.hours_left)}"
            yield Step("grows", f"{row.title}: {row.name}", text, advice=_GROWS)


def _gate_steps(gates: Sequence[GateRow]) -> list[Step]:
    """One step a gate; those that say the same, as that Prometheus did not answer, are one."""
    alike: dict[tuple[Verdict, str], list[GateRow]] = {}
    for gate in gates:
        alike.setdefault((gate.verdict, gate.observed), []).append(gate)
    return [
        Step(verdict, ", ".join(gate.id for gate in same), f"{observed}{_wanted(same)}")
        for (verdict, observed), same in alike.items()
    ]


def _wanted(same: Sequence[GateRow]) -> str:
    bound = f", wanted {same[0].want}" if len(same) == 1 else ""
    warning = all(gate.severity == "warn" for gate in same)
    return bound + (" (a warning, without a say in the verdict)" if warning else "")


def blocked_count(report: Report) -> int:
    """Checks that wait for another one to be mended."""
    return sum(check.observed.startswith(_BLOCKED) for check in report.checks)


def milliseconds(value: float | None) -> str:
    """A latency for people: '85 ms', '0.42 ms', '–' where there is none."""
    return "–" if value is None else f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"


def duration(seconds: float) -> str:
    """'42 s', '3 min 04 s', '2 h 05 min'."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _load_fact(report: Report) -> Fact:
    ran = [row for row in report.scenarios if row.requests]
    if not ran:
        return Fact("Load", "none", next((p.note for p in report.phases if p.id == "load" and p.note), "no k6 request"))
    requests = sum(row.requests for row in ran)
    failed = sum(row.requests * (row.error_rate or 0) for row in ran) / requests
    slowest = max(ran, key=lambda row: row.p95_ms or 0)
    detail = (
        f"{plural(len(ran), 'scenario')}, {failed:.2%} failed; slowest p95 {milliseconds(slowest.p95_ms)}"
        f" ({slowest.name})"
    )
    return Fact("Load", f"{requests:,} requests", detail)


def _correctness_fact(report: Report) -> Fact:
    looked_at = [
        check for check in report.checks if check.id in _OF_CORRECTNESS and check.verdict is not Verdict.SKIPPED
    ]
    good = [check for check in looked_at if check.verdict is Verdict.PASS]
    if not looked_at:
        return Fact("Correctness under load", "not looked at", "no scenario or bot that keeps a ledger was asked for")
    bad = ", ".join(f"{check.id} {check.verdict}" for check in looked_at if check not in good)
    return Fact("Correctness under load", f"{len(good)} of {len(looked_at)} hold", bad or "ledgers, cache and messages")


def _history_fact(report: Report) -> Fact:
    label, found = "Against earlier runs", report.comparison
    if found is None:
        return Fact(label, "not compared", "this run has no history")
    compared = sum(row.change != "unknown" for row in found.shifts)
    if not compared:
        return Fact(label, "not compared yet", next(iter(found.notes), "no figure that another run has"))
    against = f"{plural(compared, 'figure')} against {plural(len(found.baseline), 'passing run')}"
    if not found.regressions:
        return Fact(label, "nothing worse", against)
    worst = found.regressions[0].headline
    news = sum(group.news for group in found.regressions)
    value = f"{len(found.regressions)} worse, {news} new" if news else f"{len(found.regressions)} worse, known"
    return Fact(label, value, f"most: {worst.shift.figure} {relative(worst.shift.relative)}; {against}")


def _look_at(check: Check) -> str:
    for letter, name in SCENARIOS.items():
        if check.id == f"scenario-{letter}-thresholds":
            return f"k6/{name}"
    return "k6" if check.id in ("k6-run", "generator-valid") else "logs"


def _when_all_is_well(report: Report) -> Step:
    skipped = [phase.id for phase in report.phases if phase.verdict is Verdict.SKIPPED]
    if skipped:
        text = f"This verdict leaves out {', '.join(skipped)}. Run the whole suite before relying on it."
        return Step(Verdict.SKIPPED, "A part of the suite", text)
    return Step(Verdict.PASS, "Nothing to mend", "Keep this run: later ones are compared with it.")


def change_text(row: ShiftRow) -> str:
    """'+12.4 % (9.1 … 15.8)': a relative change with its interval."""
    if row.low is None or row.high is None:
        return relative(row.relative)
    return f"{relative(row.relative)} ({row.low * 100:+.1f} … {row.high * 100:+.1f})"


def plural(number: int, word: str) -> str:
    """'1 check', '2 checks'."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


TOO_MANY_REQUESTS = "429"
SCENARIO_COLUMNS = (
    "Scenario",
    "Requests",
    "Rate",
    "p50",
    "p95",
    "p99",
    "p95 intended",
    "Failed",
    TOO_MANY_REQUESTS,
    "Dropped",
)
"""`p95 intended` counts from the moment that the schedule meant; scenarios without a schedule have none."""


def scenario_cells(row: ScenarioRow) -> tuple[str, ...]:
    """One row of the scenarios table, for people; in the order of SCENARIO_COLUMNS."""
    return (
        row.name,
        f"{row.requests:,}",
        "–" if row.rate is None else f"{row.rate:,.1f}/s",
        milliseconds(row.p50_ms),
        milliseconds(row.p95_ms),
        milliseconds(row.p99_ms),
        milliseconds(row.p95_from_intended_ms),
        "–" if row.error_rate is None else f"{row.error_rate:.2%}",
        f"{row.outcomes.get(TOO_MANY_REQUESTS, 0):,}",
        f"{row.dropped_iterations:,}",
    )


def scenario_figures(row: ScenarioRow) -> tuple[float, ...]:
    """The numbers behind the cells from the second on, for sorting; what was not measured is 0."""
    numbers = (
        row.requests,
        row.rate,
        row.p50_ms,
        row.p95_ms,
        row.p99_ms,
        row.p95_from_intended_ms,
        row.error_rate,
        row.outcomes.get(TOO_MANY_REQUESTS, 0),
        row.dropped_iterations,
    )
    return tuple(number or 0 for number in numbers)
