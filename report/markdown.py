"""report.md: what belongs into a pull request, and no more."""

from __future__ import annotations

from core.checks import VERIFICATION_PLAN, Check
from core.words import Verdict
from report.model import Report
from report.summary import SCENARIO_COLUMNS, SIGNS, Step, duration, facts, headline, next_steps, scenario_cells

STEPS_SHOWN = 10


def render_markdown(report: Report) -> str:
    """Verdict, facts, what to do next, the Verification Plan and the scenarios."""
    lines = [
        f"## {SIGNS[report.verdict]} {report.verdict}: {report.target}, load {report.load}",
        "",
        f"{headline(report)} `{report.run_id}`, {duration(report.duration_s)}, {report.backend} stack.",
        "",
        *(f"- **{fact.label}**: {_cell(fact.value)} ({_cell(fact.detail)})" for fact in facts(report)),
        "",
    ]
    if report.verdict is not Verdict.PASS:
        lines += ["### What to do next", "", *_steps(next_steps(report)), ""]
    lines += ["### Verification plan", "", "| | check | seen |", "|---|---|---|"]
    lines += [_check_row(report.check(id)) for id in VERIFICATION_PLAN]
    if report.scenarios:
        head = f"| | {' | '.join(SCENARIO_COLUMNS)} |"
        lines += ["", "### Scenarios", "", head, f"|---|---|{'--:|' * (len(SCENARIO_COLUMNS) - 1)}"]
        lines += [f"| {_sign(row.verdict)} | {' | '.join(scenario_cells(row))} |" for row in report.scenarios]
    return "\n".join([*lines, ""])


def _steps(steps: list[Step]) -> list[str]:
    shown = [f"- {step.verdict} **{_cell(step.title)}**: {_cell(step.text)}" for step in steps[:STEPS_SHOWN]]
    return shown if len(steps) <= STEPS_SHOWN else [*shown, f"- and {len(steps) - STEPS_SHOWN} more in report.html"]


def _check_row(check: Check) -> str:
    return f"| {_sign(check.verdict)} | `{check.id}` | {_cell(check.observed)} |"


def _sign(verdict: Verdict | None) -> str:
    return f"{SIGNS[verdict]} {verdict}" if verdict else ""


def _cell(text: str) -> str:
    """One line of a table cell, without Markdown or HTML of its own."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")
