"""The end of a run: compare it with its history and keep it there, as one step that two runs cannot do at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from core.errors import ConfigError
from report.acknowledged import FILE, Acknowledgement, read_acknowledged
from report.history import History, kept_of
from report.model import ErrorRow, Report
from report.regressions import compare_with_history, still_open


def remember(report: Report, folder: Path, day: date) -> Report:
    """The report with its comparison; its line is in the history in `folder` when this returns.

    A report without a key comes back as it is. What cannot be read is named: a line in the comparison's notes, the
    acknowledgements among the report's errors. SetupError where the history cannot be written.
    """
    if report.key is None:
        return report
    entries, errors = _entries(folder / FILE)
    history, now = History(folder), kept_of(report)
    with history.locked():
        read = history.read()
        found = compare_with_history(now, read.runs, entries, day)
        if all(run.run_id != now.run_id for run in read.runs):
            history.append(now.model_copy(update={"open": still_open(found)}))
    found = found.model_copy(update={"notes": (*found.notes, *read.problems)})
    return report.model_copy(update={"comparison": found, "errors": (*report.errors, *errors)})


def _entries(path: Path) -> tuple[tuple[Acknowledgement, ...], tuple[ErrorRow, ...]]:
    try:
        return read_acknowledged(path), ()
    except ConfigError as error:
        return (), (ErrorRow.of(error),)
