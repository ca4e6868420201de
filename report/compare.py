"""Compare two runs: `python -m report.compare A B`, each a run id, a run directory or `latest`.

Runs that are not alike are refused, and what differs is named; `--across FIELD` lets one field differ on purpose. How
much two runs differ by chance is taken from the other passing runs of this key in the history; without enough of them
there is no interval, and nothing is called worse. Exit code: 0 nothing is worse, 1 something is, 2 not compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.errors import ConfigError, SuiteError
from core.settings import Settings
from report.history import FOLDER, History, Kept, Read, kept_of
from report.key import FIELDS, differences
from report.measures import measure_of
from report.model import Change, ShiftRow, read_report
from report.shift import MIN_BASELINE, MIN_EFFECT, noise

ALPHA = 0.05
"""Chance that a comparison of two equal runs calls any of its figures changed."""
LATEST = "latest"


def find_run(name: str, runs_dir: Path, read: Read) -> Kept:
    """A run by directory, id or `latest`; a run whose directory is gone is taken from the history.

    ConfigError where there is no such run, or where it has no key or claims nothing about its figures.
    """
    kept = next((run for run in read.runs if run.run_id == name), None)
    directory = next((place for place in (runs_dir / name, Path(name)) if place.is_dir()), None)
    if directory is None and kept is None:
        raise ConfigError(
            f"there is no run '{name}'",
            where=str(runs_dir),
            cure="Give a run id, a run directory or 'latest'.",
        )
    return _usable(kept if directory is None and kept else _of_directory(directory or runs_dir / name))


def compare(first: Kept, second: Kept, earlier: Sequence[Kept], across: Collection[str] = ()) -> tuple[ShiftRow, ...]:
    """One row for each figure that both have; ConfigError that names what makes the runs unlike."""
    differing = differences(first.key, second.key, across)
    if differing:
        raise ConfigError(
            f"{first.run_id} and {second.run_id} are not comparable: {'; '.join(differing)}",
            cure="Compare runs of one kind, or let a field differ on purpose with --across FIELD.",
        )
    shared = [figure for figure in first.figures if figure in second.figures]
    apart = {first.run_id, second.run_id}
    like = [run for run in earlier if run.key == first.key and run.passed and run.run_id not in apart]
    return tuple(_row(figure, first, second, like, ALPHA / len(shared)) for figure in shared)


def _row(figure: str, first: Kept, second: Kept, like: Sequence[Kept], alpha: float) -> ShiftRow:
    from scipy.special import stdtrit  # here, because --help needs no scipy

    measure, before, after = measure_of(figure), first.figures[figure], second.figures[figure]
    row = ShiftRow(
        figure=figure,
        title=measure.title,
        unit=measure.unit,
        change="unknown",
        before=before,
        after=after,
        relative=after / before - 1,
        runs=1,
        runs_before=1,
    )
    values = [run.figures[figure] for run in like if figure in run.figures]
    if len(values) < MIN_BASELINE:
        note = f"no interval: {len(values)} other runs of this kind passed, {MIN_BASELINE} tell how much runs differ"
        return row.model_copy(update={"note": note})
    known, spread = noise(values)
    half = -float(stdtrit(len(known) - 1, alpha / 2)) * spread * math.sqrt(2)
    ratio = math.log(after / before)
    low, high = math.expm1(ratio - half), math.expm1(ratio + half)
    change = _change(low, high, row, measure.least)
    return row.model_copy(update={"change": change, "low": low, "high": high, "confidence": 1 - alpha})


def _change(low: float, high: float, row: ShiftRow, least: float) -> Change:
    before, after, relative = row.before or 0, row.after or 0, row.relative or 0
    if abs(after - before) <= least or abs(relative) < MIN_EFFECT or low <= 0 <= high:
        return "same"
    return "worse" if low > 0 else "better"


def _of_directory(directory: Path) -> Kept:
    report = read_report(directory / "report.json")
    if report.key is None:
        raise ConfigError(
            f"run {report.run_id} says nothing about what it may be compared with",
            where=str(directory),
            cure="It was made by an earlier version of the suite; run it again.",
        )
    return kept_of(report)


def _usable(run: Kept) -> Kept:
    if not run.measured:
        raise ConfigError(
            f"run {run.run_id} is {run.verdict}: it claims nothing about its figures",
            cure="Compare runs that passed or failed.",
        )
    return run


def _print(first: Kept, second: Kept, rows: Sequence[ShiftRow], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "figure", "before", "after", "change", "interval"):
        table.add_column(column, overflow="fold")
    for row in rows:
        interval = "–" if row.low is None or row.high is None else f"{row.low:+.1%} to {row.high:+.1%}"
        values = (
            f"{row.before or 0:,.4g} {row.unit}",
            f"{row.after or 0:,.4g} {row.unit}",
            f"{row.relative or 0:+.1%}",
        )
        table.add_row(row.change, row.figure, *values, interval)
    console.print(f"{first.run_id} → {second.run_id}")
    console.print(table)
    for note in sorted({row.note for row in rows if row.note}):
        console.print(note, style="dim")
    alone = sorted({*first.figures} ^ {*second.figures})
    if alone:
        console.print(f"only one of the runs has {', '.join(alone)}")
    worse = [row.figure for row in rows if row.change == "worse"]
    console.print(f"worse: {', '.join(worse)}" if worse else "nothing is worse as far as this can tell")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.compare", description=__doc__.splitlines()[0])
    parser.add_argument("first", metavar="A", help="the earlier run: its id, its directory, or latest")
    parser.add_argument("second", metavar="B", help="the later run")
    parser.add_argument("--runs", type=Path, default=Settings().runs_dir, help="where run directories and history are")
    parser.add_argument(
        "--across",
        action="append",
        default=[],
        choices=FIELDS,
        metavar="FIELD",
        help=f"may differ: {', '.join(FIELDS)}",
    )
    given = parser.parse_args(arguments)
    console = Console()
    try:
        read = History(given.runs / FOLDER).read()
        first, second = (find_run(name, given.runs, read) for name in (given.first, given.second))
        rows = compare(first, second, read.runs, given.across)
    except SuiteError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's own words
        return 2
    for problem in read.problems:
        console.print(problem, style="yellow")
    _print(first, second, rows, console)
    return 1 if any(row.change == "worse" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
