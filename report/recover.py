"""The report of a run that was killed, from what it has left: python -m report.recover [runs/<id>]

What it had found stands; what it had not come to is NO_DATA, and the run's verdict is ERROR or worse, never PASS.
Exit codes: those of the recovered verdict; 2 also where there is nothing to recover, or the run still goes on.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from core.errors import SetupError, SuiteError
from core.retention import newest_first
from core.rundir import RunDirectory, iso
from core.settings import Settings
from core.words import EXIT_CODES, Verdict
from report.build import build
from report.journal import Journal, has_journal, read_journal
from report.model import ErrorRow, Report
from report.render import render_all
from report.spans import load_spans
from report.store import Collected, load_collected
from report.terminal import print_report

log = logging.getLogger("report")


def recover(run_dir: Path) -> Report:
    """The report, written; SetupError where the run goes on, has ended by itself, or left no journal."""
    directory = RunDirectory(run_dir)
    with directory.hold():
        journal = read_journal(run_dir)
        if journal.ended:
            raise SetupError("the run has ended by itself", where=str(run_dir), cure="Its report is there already.")
        report = render_all(recovered(journal, _collected(run_dir), load_spans(run_dir)), run_dir)
    return report


def recover_cut_off(runs_dir: Path) -> list[str]:
    """Ids of the runs in a folder that were killed without a report; they have one now."""
    found = [run for run in newest_first(runs_dir) if has_journal(run.path) and not run.report_json.exists()]
    return [run.run_id for run in found if not run.is_held() and _recovered_or_said(run)]


def _recovered_or_said(run: RunDirectory) -> bool:
    try:
        report = recover(run.path)
    except SuiteError as error:
        log.warning("run %s has no report, and none can be made: %s", run.run_id, error)
        return False
    log.warning("%s; its report is made now: %s", report.errors[0].what, run.path / "report.html")
    return True


def recovered(journal: Journal, collected: Collected | None = None, spans: pd.DataFrame | None = None) -> Report:
    """The report of a killed run: as it stood, and that it was killed."""
    facts = journal.facts
    return build(replace(facts, errors=(_cut_off(journal), *facts.errors), ended=journal.written), collected, spans)


def _cut_off(journal: Journal) -> ErrorRow:
    what = "the machine was started again" if journal.rebooted else "the run was killed"
    return ErrorRow(
        where=journal.doing,
        what=f"{what} in {journal.doing}, after {iso(journal.written)}",
        cure=f"Go on with `python -m flows.full_suite --resume {journal.facts.run_id}`, or run it anew.",
    )


def _collected(run_dir: Path) -> Collected | None:
    """The series that the run had collected by then, if any."""
    try:
        return load_collected(run_dir)
    except SetupError as error:
        log.info("%s", error)
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Recover as the command line says; the exit code."""
    usage = "Write the report of a run that was killed, from its run directory."
    parser = argparse.ArgumentParser(prog="python -m report.recover", description=usage)
    parser.add_argument(
        "run_dir", type=Path, nargs="?", default=Settings().runs_dir / "latest", help="default: runs/latest"
    )
    run_dir: Path = parser.parse_args(arguments).run_dir.resolve()
    try:
        report = recover(run_dir)
    except (SuiteError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's own words
        return EXIT_CODES[Verdict.ERROR]
    print_report(report, run_dir, Console())
    return report.exit_code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s  %(message)s")
    sys.exit(main())
