"""report.html: one self-contained page that needs no network, drawn from report.json and the run directory's series.

Plotly is inlined once; a Content-Security-Policy in the page refuses any load from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from core.checks import VERIFICATION_PLAN
from core.errors import SetupError
from core.request import Language
from core.words import Verdict
from report.amounts import amount
from report.bottleneck_figures import bottleneck_figures
from report.definitions import SCENARIO_LINES, compared_lines, measured_by_gate
from report.figures import Figure, series_figures
from report.language import Words, words
from report.model import Report, ScenarioRow
from report.panel_figures import panel_figures
from report.panels import read_panels
from report.spans import load_spans
from report.store import Collected
from report.summary import (
    SCENARIO_COLUMNS,
    SIGNS,
    blocked_count,
    change_text,
    checks_text,
    duration,
    facts,
    headline,
    next_steps,
    plural,
    scenario_cells,
    scenario_figures,
)
from report.trends import (
    CHANGES,
    TRENDS,
    shift_figure,
    shifts_sorted,
    soak_cells,
    soak_figures,
    soak_sorted,
    worse_rows,
)

STEPS_SHOWN = 6
SECTIONS = {
    "load": "Load",
    "services": "Services",
    "resources": "Resources",
    "stores": "Stores",
}
DASHBOARD_TITLES = {"load-test-overview": "Load Test Overview", "bottleneck-detection": "Bottleneck Detection"}
MEANINGS = {
    Verdict.PASS: "the claim was looked at and holds",
    Verdict.FAIL: "the claim was looked at and does not hold",
    Verdict.ERROR: "a part that was asked for could not run",
    Verdict.INVALID: "measured, but the load generator or the machine was at fault",
    Verdict.NO_DATA: "nothing was measured, so nothing is claimed; this is never a pass",
    Verdict.SKIPPED: "does not apply to this run, and says why",
}
_RANKS = {verdict: rank for rank, verdict in enumerate(MEANINGS)} | {Verdict.PASS: 9, Verdict.SKIPPED: 8}


@dataclass(frozen=True)
class _Scenario:
    """One row of the scenarios table."""

    verdict: Verdict | None
    cells: tuple[str, ...]
    figures: tuple[tuple[str, float], ...]  # (text, number to sort by)
    outcomes: tuple[tuple[str, int], ...]
    dashboard: str  # path of k6's own page, or empty


def render_html(report: Report, run_dir: Path, collected: Collected | None, language: Language = "en") -> str:
    """The page; what cannot be drawn is said in its place."""
    sections = [(id, title, _figures(collected, id)) for id, title in SECTIONS.items()] if collected else []
    dashboards, panels_note = _dashboards(run_dir)
    figures = [figure for _, _, group in sections for figure in group]
    figures += [figure for _, _, group in dashboards for figure in group]
    bottleneck = bottleneck_figures(report.bottleneck, collected, load_spans(run_dir)) if collected else []
    figures += bottleneck
    trends = _trends(report, collected)
    figures += [trends["comparison_figure"]] if trends["comparison_figure"] else []
    figures += trends["soak_figures"]
    return (
        _environment(words(language))
        .get_template("report.html.j2")
        .render(
            report=report,
            language=language,
            headline=headline(report),
            checks_text=checks_text(report),
            **trends,
            definitions=(("Scenarios", SCENARIO_LINES), ("Compared figures", tuple(compared_lines()))),
            measures_of=partial(measured_by_gate, report),
            facts=facts(report),
            steps=next_steps(report),
            steps_shown=STEPS_SHOWN,
            blocked=blocked_count(report),
            plan=[report.check(id) for id in VERIFICATION_PLAN],
            scenarios=[_scenario(row, run_dir) for row in report.scenarios],
            scenario_columns=SCENARIO_COLUMNS,
            plot_sections=sections,
            dashboards=dashboards,
            bottleneck_figures=bottleneck,
            panels_note=panels_note,
            collected_note="" if collected else "No series were collected in this run.",
            sections=list(_contents(report, bool(collected))),
            present={
                path.relative_to(run_dir).as_posix() for path in (run_dir, *run_dir.glob("*"), *run_dir.glob("k6/*"))
            },
            verdicts=list(MEANINGS.items()),
            figures_json=_script_json(
                {"figures": [f.as_json() for f in figures if f.has_data], "bands": _bands(report)}
            ),
        )
    )


def _trends(report: Report, collected: Collected | None) -> dict[str, Any]:
    """What the sections of comparison and long load show."""
    comparison = report.comparison
    return {
        "worse": worse_rows(comparison) if comparison else [],
        "shifts": shifts_sorted(comparison) if comparison else [],
        "comparison_figure": shift_figure(comparison) if comparison else None,
        "soak": soak_sorted(report.soak),
        "soak_figures": soak_figures(report.soak, collected),
    }


def _environment(words: Words) -> Environment:
    environment = Environment(
        loader=PackageLoader("report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates = Path(__file__).parent / "templates"
    environment.filters.update(pretty=_pretty, code=_code, say=words.say)
    environment.globals.update(
        amount=amount,
        change_text=change_text,
        plural=plural,
        changes=CHANGES,
        soak_cells=soak_cells,
        trends=TRENDS,
        signs=SIGNS,
        ranks=_RANKS,
        duration=duration,
        css=Markup((templates / "report.css").read_text(encoding="utf-8")),
        js=Markup((templates / "report.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )
    return environment


def _contents(report: Report, with_series: bool) -> Iterator[tuple[str, str]]:
    yield from (("plan", "Plan"), ("checks", "Checks"), ("scenarios", "Scenarios"))
    if report.gates:
        yield "gates", "Gates"
    yield "bottleneck", "Bottleneck"
    if with_series:
        yield from SECTIONS.items()
    yield from (("dashboards", "Dashboards"), ("comparison", "Comparison"))
    if report.soak:
        yield "soak", "Trends"
    if report.ledger:
        yield "ledger", "Ledger"
    yield from (("versions", "Versions"), ("definitions", "Definitions"))


def _figures(collected: Collected | None, section: str) -> list[Figure]:
    return series_figures(collected, section) if collected else []


def _dashboards(run_dir: Path) -> tuple[list[tuple[str, str, list[Figure]]], str]:
    """(id, title, panels) of each dashboard, and why there is none."""
    try:
        panels = read_panels(run_dir)
    except SetupError as error:
        return [], str(error)
    ids = dict.fromkeys(panel.dashboard for panel in panels)
    return [(id, DASHBOARD_TITLES.get(id, id), panel_figures(panels, id)) for id in ids], ""


def _scenario(row: ScenarioRow, run_dir: Path) -> _Scenario:
    cells = scenario_cells(row)
    pages = sorted((run_dir / "k6" / row.name).glob("*.html"))
    return _Scenario(
        verdict=row.verdict,
        cells=cells,
        figures=tuple(zip(cells[1:], scenario_figures(row), strict=True)),
        outcomes=tuple(sorted(row.outcomes.items())),
        dashboard=pages[0].relative_to(run_dir).as_posix() if pages else "",
    )


def _bands(report: Report) -> list[dict[str, Any]]:
    """Where each scenario's load lies, in epoch milliseconds."""
    return [
        {
            "name": row.id.upper(),
            "start": round(row.started.timestamp() * 1000),
            "end": round(row.ended.timestamp() * 1000),
        }
        for row in report.scenarios
        if row.started and row.ended
    ]


def _script_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    return Markup(orjson.dumps(value).decode().replace("<", "\\u003c"))


def _pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode()


def _code(text: str) -> Markup:
    """`text` with what stands between backticks set as code."""
    return Markup("").join(Markup("<code>{}</code>").format(part) if odd else part for odd, part in _quoted(text))


def _quoted(text: str) -> Iterator[tuple[bool, str]]:
    """(is between backticks, part) for each part of the text."""
    return ((index % 2 == 1, part) for index, part in enumerate(text.split("`")))
