"""Write a run's report: report.json first and in one step, then what is drawn from it.

A renderer that fails is recorded as an error in report.json and costs none of the others; the run's verdict stays,
because the measurement stands. `python -m report.render [runs/<id>]` draws a run again from report.json and parquet.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from rich.console import Console

from core.errors import SetupError, SuiteError
from core.request import Language
from core.settings import Settings
from report.html import render_html
from report.junit import render_junit
from report.markdown import render_markdown
from report.model import ErrorRow, Report, read_report, to_json
from report.store import Collected, load_collected
from report.terminal import print_report

_REDRAW = "Draw it again with `python -m report.render <run directory>`; the run itself is not affected."

log = logging.getLogger("report")
Renderer = Callable[[Report, Path, Collected | None, Language], str]
Renderers = Mapping[str, Renderer]

RENDERERS: Renderers = {
    "report.md": lambda report, _run_dir, _collected, language: render_markdown(report, language),
    "junit.xml": lambda report, _run_dir, _collected, _language: render_junit(report),
    "report.html": render_html,
}
"""File name -> what draws it; the largest last."""


def render_all(
    report: Report, run_dir: Path, renderers: Renderers = RENDERERS, language: Language | None = None
) -> Report:
    """Write every form of the report into the run directory; the report as written, with renderers' errors.

    `language` is by default the user's (SUITE_LANG); report.json and junit.xml are the same in all. SetupError only
    when report.json itself cannot be written.
    """
    language = language or Settings().lang
    began = time.monotonic()
    report = _without_earlier_errors(report, renderers)
    write_json(report, run_dir)
    collected = _collected(run_dir)

    def draw(name: str, renderer: Renderer) -> ErrorRow | None:
        return _draw(run_dir / name, lambda: renderer(report, run_dir, collected, language))

    failures = [row for name in renderers if (row := draw(name, renderers[name]))]
    if failures:
        report = report.model_copy(update={"errors": (*report.errors, *failures)})
        write_json(report, run_dir)
    log.info("report drawn in %.1f s: %s", time.monotonic() - began, run_dir / "report.html")
    return report


def write_json(report: Report, run_dir: Path) -> None:
    """report.json, whole or not at all."""
    _write(run_dir / "report.json", to_json(report))


def _draw(path: Path, drawn: Callable[[], str]) -> ErrorRow | None:
    try:
        _write(path, drawn().encode())
    except SuiteError as error:
        return ErrorRow.of(error)
    except Exception as error:
        log.debug("%s could not be drawn", path.name, exc_info=error)
        what = f"could not be drawn: {type(error).__name__}: {error}"
        return ErrorRow(where=path.name, what=what, cure=_REDRAW)
    return None


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        cure = f"Free some disk space. {_REDRAW}"
        raise SetupError(f"{path.name} cannot be written: {error.strerror}", where=path.name, cure=cure) from error


def _collected(run_dir: Path) -> Collected | None:
    try:
        return load_collected(run_dir)
    except SetupError as error:
        log.warning("%s", error)
        return None


def _without_earlier_errors(report: Report, renderers: Renderers) -> Report:
    kept = tuple(row for row in report.errors if row.where not in renderers)
    return report.model_copy(update={"errors": kept})


def main(arguments: list[str] | None = None) -> int:
    """Draw a run again; 0, or 2 when there is no report to draw."""
    parser = argparse.ArgumentParser(prog="python -m report.render", description=__doc__.splitlines()[0])
    parser.add_argument(
        "run_dir", type=Path, nargs="?", default=Settings().runs_dir / "latest", help="default: runs/latest"
    )
    parser.add_argument("--lang", choices=get_args(Language), help="default: SUITE_LANG, else en")
    given = parser.parse_args(arguments)
    run_dir: Path = given.run_dir
    try:
        report = render_all(read_report(run_dir / "report.json"), run_dir, language=given.lang)
    except SuiteError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's own words
        return 2
    print_report(report, run_dir, Console())
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s  %(message)s")
    sys.exit(main())
