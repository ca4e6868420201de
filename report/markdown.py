"""report.md: what belongs into a pull request, and no more."""

from __future__ import annotations

from collections.abc import Iterator

from core.checks import VERIFICATION_PLAN, Check
from core.request import Language
from core.words import Verdict
from report.language import Words, words
from report.model import Report
from report.summary import (
    SCENARIO_COLUMNS,
    SIGNS,
    Step,
    checks_text,
    duration,
    facts,
    headline,
    next_steps,
    scenario_cells,
)

STEPS_SHOWN = 10


def render_markdown(report: Report, language: Language = "en") -> str:
    """Verdict, facts, what to do next, the Verification Plan and the scenarios."""
    return "\n".join(_lines(report, words(language)))


def _lines(report: Report, words: Words) -> Iterator[str]:
    say = words.say
    yield f"## {SIGNS[report.verdict]} {report.verdict}: {say(f'{report.target}, load {report.load}')}"
    yield ""
    took = say(f"{duration(report.duration_s)}, {report.backend} stack.")
    yield f"{say(headline(report))} {say(checks_text(report))}. `{report.run_id}`, {took}"
    yield ""
    for fact in facts(report):
        yield f"- **{say(fact.label)}**: {_cell(say(fact.value))} ({_cell(say(fact.detail))})"
    yield ""
    steps = next_steps(report)
    if report.verdict is not Verdict.PASS or len(steps) > 1:
        yield from (f"### {say('What to do next')}", "", *_steps(steps, words), "")
    yield from (f"### {say('Verification plan')}", "", f"| | {say('Check')} | {say('Seen')} |", "|---|---|---|")
    yield from (_check_row(report.check(id), words) for id in VERIFICATION_PLAN)
    if report.scenarios:
        columns = " | ".join(say(column) for column in SCENARIO_COLUMNS)
        yield from ("", f"### {say('Scenarios')}", "", f"| | {columns} |")
        yield f"|---|---|{'--:|' * (len(SCENARIO_COLUMNS) - 1)}"
        yield from (f"| {_sign(row.verdict)} | {' | '.join(scenario_cells(row))} |" for row in report.scenarios)
    yield ""


def _steps(steps: list[Step], words: Words) -> Iterator[str]:
    for step in steps[:STEPS_SHOWN]:
        ended = "" if step.text.endswith(".") else "."
        advice = f"{ended} {words.say(step.advice)}" if step.advice else ""
        yield f"- {words.say(step.verdict)} **{_cell(words.say(step.title))}**: {_cell(words.say(step.text) + advice)}"
    if len(steps) > STEPS_SHOWN:
        yield f"- {words.say(f'and {len(steps) - STEPS_SHOWN} more in report.html')}"


def _check_row(check: Check, words: Words) -> str:
    return f"| {_sign(check.verdict)} | `{check.id}` | {_cell(words.say(check.observed))} |"


def _sign(verdict: Verdict | None) -> str:
    return f"{SIGNS[verdict]} {verdict}" if verdict else ""


def _cell(text: str) -> str:
    """One line of a table cell, without Markdown or HTML of its own."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")
