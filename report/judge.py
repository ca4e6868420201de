"""Judge a run again, without load and without Prometheus: python -m report.judge [runs/<id>] [--gates FILE] [--write]

Reads report.json, the parquet files and the gates by which the run was judged, or those of --gates; reductions, bounds
and windows may differ, a series that was not collected is NO_DATA. What k6 and the checks said stays. Nothing is
written without --write, which draws the report anew.

Exit codes: those of a run with this verdict; 2 where the run directory or the gate file cannot be read.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.checks import SCENARIOS
from core.errors import SetupError, SuiteError
from core.request import Language
from core.settings import Settings
from core.words import EXIT_CODES, EXIT_SIGINT, EXIT_SIGTERM, Phase, Verdict
from report.bottleneck import find_bottleneck, in_a_line
from report.build import NOT_ASKED, generator_invalid, run_verdict
from report.catalogue import catalogue
from report.gate_file import K6_PREFIX, KEPT_AS, GateFile, file_of, keep_gates, read_gates
from report.gates import objective_gates
from report.histograms import GROUP as HISTOGRAMS
from report.model import Report, read_report
from report.render import RENDERERS, render_all
from report.spans import load_spans
from report.store import Collected, load_collected
from report.terminal import verdict_word
from report.windows import BOT, PartsRun
from targets.model import load_profile

ANY_TARGET = "portal"
"""The catalogue's ids and units are the same for every target; a run's own rows say the rest."""

WIDTH = 150
"""Columns of the table where it goes into a file or a log."""


@dataclass(frozen=True)
class Judged:
    """A run, and the same run judged again."""

    before: Report
    after: Report
    gates: GateFile


def judge(run_dir: Path, gates: Path | None = None) -> Judged:
    """The run in `run_dir` by the gates in a file, by default its own; SuiteError names the file that is in the way."""
    report = read_report(run_dir / "report.json")
    collected = load_collected(run_dir)
    if collected.run_id != report.run_id:
        what = f"the series are of run {collected.run_id}, report.json is of {report.run_id}"
        raise SetupError(what, where=str(run_dir), cure="Take both from the same run.")
    chosen = gates or _gates_of(run_dir, report)
    known = {spec.id: spec for spec in catalogue(load_profile(ANY_TARGET), report.run_id)}
    file = read_gates(chosen, {**known, **{row.id: row for row in collected.rows if row.group != HISTOGRAMS}})
    return Judged(report, judged_again(report, collected, file, load_spans(run_dir)), file)


def judged_again(report: Report, collected: Collected, file: GateFile, spans: pd.DataFrame) -> Report:
    """The report with the file's gates in place of its own, the verdict that follows, and today's bottleneck."""
    stages = None if report.parts_asked is None else report.stages
    run = PartsRun(parts_asked(report), report.scenarios, stages)
    rows = objective_gates(file.gates, collected, run, generator_invalid(report.checks))
    errors = [row for row in report.errors if row.where not in RENDERERS]
    verdict = run_verdict(report.checks, rows, errors)
    interrupted = report.exit_code in (EXIT_SIGINT, EXIT_SIGTERM)
    thresholds = (gate for gate in report.gates if gate.id.startswith(K6_PREFIX))
    return report.model_copy(
        update={
            "gates": (*rows, *thresholds),
            "verdict": verdict,
            "bottleneck": find_bottleneck(collected, spans, report.stages, report.checks),
            "exit_code": report.exit_code if interrupted else EXIT_CODES[verdict],
        }
    )


def parts_asked(report: Report) -> tuple[str, ...]:
    """The parts of the load that were asked for; of a report that does not say, as its checks tell."""
    if report.parts_asked is not None:
        return report.parts_asked
    phases = {row.id for row in report.phases if row.note != NOT_ASKED}
    skipped = {row.id for row in report.checks if row.verdict is Verdict.SKIPPED and NOT_ASKED in row.observed}
    scenarios = [letter for letter in SCENARIOS if f"scenario-{letter}-thresholds" not in skipped]
    return (*(scenarios if Phase.LOAD in phases else ()), *([BOT] if Phase.KAFKA_BOT in phases else ()))


def _gates_of(run_dir: Path, report: Report) -> Path:
    """The run's own copy; a run of an earlier version has none, there it is the target's file of today."""
    kept = run_dir / KEPT_AS
    return kept if kept.is_file() else file_of(report.target)


def _table(judged: Judged) -> Table:
    before = {row.id: row.verdict for row in judged.before.gates}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("verdict", "gate", "window", "wanted"):
        table.add_column(column, no_wrap=True)
    table.add_column("seen", overflow="fold")
    for row in judged.after.gates:
        if row.id.startswith(K6_PREFIX):
            continue
        was = before.get(row.id)
        seen = row.observed if was in (row.verdict, None) else f"{row.observed} (in the report {was})"
        wanted = f"{row.want}, warns" if row.severity == "warn" else row.want
        cells = (row.id, row.window.name, wanted, seen)
        table.add_row(verdict_word(row.verdict), *map(escape, cells))
    return table


def _print(judged: Judged, run_dir: Path, console: Console) -> None:
    before, after = judged.before, judged.after
    console.print(_table(judged))
    was = "" if before.verdict is after.verdict else f", in the report {before.verdict}"
    console.print(f"\nbottleneck: {escape(in_a_line(after.bottleneck))}", soft_wrap=True)
    console.print(
        f"\n{verdict_word(after.verdict)}  run {escape(after.run_id)} by {escape(str(judged.gates.path))}{was}",
        soft_wrap=True,
    )
    thresholds = [row for row in after.gates if row.id.startswith(K6_PREFIX)]
    console.print(
        f"{len(after.checks)} checks and {len(thresholds)} k6 thresholds as in {escape(str(run_dir / 'report.json'))}",
        style="dim",
        soft_wrap=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge as the command line says; returns the exit code."""
    usage = "Judge a run again, from its run directory alone."
    parser = argparse.ArgumentParser(prog="python -m report.judge", description=usage)
    parser.add_argument(
        "run_dir", type=Path, nargs="?", default=Settings().runs_dir / "latest", help="default: runs/latest"
    )
    parser.add_argument("--gates", type=Path, metavar="FILE", help="gate file; default: the run's own")
    parser.add_argument(
        "--write", action="store_true", help="keep the outcome: report.json, what is drawn from it, gates"
    )
    parser.add_argument("--lang", choices=get_args(Language), help="with --write: language of what is drawn")
    given = parser.parse_args(arguments)
    try:
        judged = judge(given.run_dir, given.gates)
        if given.write:
            keep_gates(judged.gates, given.run_dir)
            render_all(judged.after, given.run_dir, language=given.lang)
    except SuiteError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's own words
        return EXIT_CODES[Verdict.ERROR]
    _print(judged, given.run_dir, Console(width=None if sys.stdout.isatty() else WIDTH))
    return judged.after.exit_code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s  %(message)s")
    sys.exit(main())
