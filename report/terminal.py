"""The end of a run in the terminal: the checks, the verdict, where the report is, what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.findings import Finding, State
from core.words import Verdict
from report.model import Report
from report.summary import SIGNS, Step, blocked_count, checks_text, duration, headline, next_steps, plural

STEPS_SHOWN = 5
_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "red",
    Verdict.INVALID: "yellow",
    Verdict.NO_DATA: "yellow",
    Verdict.SKIPPED: "bright_black",
}
_STATES = {State.OK: "green", State.WARNS: "yellow", State.UNSEEN: "yellow", State.LACKS: "bold red"}


def print_report(report: Report, run_dir: Path, console: Console) -> None:
    """Print the whole ending; checks that were skipped are counted, not listed."""
    console.print(_table(report))
    skipped = [check for check in report.checks if check.verdict is Verdict.SKIPPED]
    if skipped:
        console.print(
            f"{plural(len(skipped), 'check')} skipped: {escape(', '.join(check.id for check in skipped))}", style="dim"
        )
    console.print(
        f"\n{verdict_word(report.verdict)}  {escape(headline(report))}  [dim]{duration(report.duration_s)}[/dim]\n"
        f"  [dim]{checks_text(report)}[/dim]"
    )
    for step in next_steps(report)[:STEPS_SHOWN]:
        console.print(f"  {_word(step)} [bold]{escape(step.title)}[/bold] {escape(step.text)}")
    if blocked := blocked_count(report):
        console.print(f"  {blocked} more could not be looked at because of these", style="dim")
    console.print(f"report  {escape(str(run_dir / 'report.html'))}", soft_wrap=True)


def print_findings(findings: Iterable[Finding], console: Console) -> None:
    """Doctor's lines: how a part is, what was seen of it, and the cure."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("state", "part", "seen"):
        table.add_column(column, overflow="fold")
    for each in findings:
        cure = f" [bold]{escape(each.cure)}[/bold]" if each.cure else ""
        table.add_row(f"[{_STATES[each.state]}]{each.state}[/]", escape(each.part), f"{escape(each.seen)}{cure}")
    console.print(table)


def verdict_word(verdict: Verdict) -> str:
    """The verdict with its sign and colour, as rich markup."""
    return f"[bold {_COLOURS[verdict]}]{SIGNS[verdict]} {verdict}[/]"


def _word(step: Step) -> str:
    if isinstance(step.verdict, Verdict):
        return verdict_word(step.verdict)
    return f"[bold yellow]{step.sign} {step.verdict}[/]"


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("verdict", "check", "seen"):
        table.add_column(column, overflow="fold")
    for check in report.checks:
        if check.verdict is not Verdict.SKIPPED:
            table.add_row(verdict_word(check.verdict), escape(check.id), escape(check.observed))
    return table
