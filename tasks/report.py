"""Collecting, judging, writing and publishing: always done, also after a failure, with what there is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from rich.console import Console

from core.checks import SCENARIOS
from core.errors import known_error
from core.ports import ServiceId
from core.rundir import utc_now
from core.settings import ROOT, Settings
from infra.embedded.programs import ProgramId, ensure
from infra.embedded.programs import versions as program_versions
from infra.prometheus.scrape import SCRAPE_INTERVAL_S
from k6.model import ScenarioResult
from k6.plan import SEAM_S
from report.build import PhaseRun, RunFacts, build
from report.catalogue import catalogue
from report.collect import await_scrape, collect
from report.confirm import breach_seen_by_target
from report.histograms import histogram_series
from report.history import FOLDER as HISTORY
from report.key import digest, digest_of_files, digest_of_load, machine_class, suite_version
from report.markdown import render_markdown
from report.model import ErrorRow, Report, RunKey, ScenarioRow, SeamRow, StageRow, ThresholdRow
from report.prometheus import Window
from report.remember import remember
from report.render import render_all
from report.resource_series import resource_series
from report.soak_series import soak_series
from report.spans import collect_spans, load_spans
from report.steady import SteadyWindow, bot_window, steady_windows
from report.store import Collected
from report.summary import headline
from report.terminal import print_report
from report.windows import bot_stages, parts_of, scenario_stages
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("suite")
POINTS = 600
ENDED: list[Report] = []
"""What this process has carried out: the command line knows its verdict also when Prefect's server has gone."""
SAFETY = ("allow", "budget", "clean_up", "abort")
"""Parts of a profile that shape no figure."""
KEEP_SERIES_EVERY_S = 600.0
NOT_JUDGED = timedelta(seconds=SEAM_S)


@step
def collect_from_prometheus(run: Run) -> None:
    """The run's window from Prometheus into pandas and parquet."""
    if run.identities:
        run.collected = _collected(run, await_load_end=True)


@step
def collect_from_zipkin(run: Run) -> None:
    """Some traces out of every part of the load."""
    parts = parts_of(stages_of(run))
    if run.identities and parts:
        collect_spans(run.endpoints.url(ServiceId.ZIPKIN), list(parts.values()), run.directory.path)


def _collected(run: Run, await_load_end: bool = False) -> Collected:
    url = run.endpoints.url(ServiceId.PROMETHEUS)
    parts = parts_of(stages_of(run))
    if parts and await_load_end:
        await_scrape(url, run.profile, max(part.ended for part in parts.values()), 2 * SCRAPE_INTERVAL_S)
    ended = utc_now()
    step_s = max(SCRAPE_INTERVAL_S, (ended - run.started).total_seconds() / POINTS)
    window = Window.of_steps(run.started, ended, step_s)
    profile, run_id = run.profile, run.run_id
    specs = (*catalogue(profile, run_id), *soak_series(profile), *resource_series(profile), *histogram_series(run_id))
    ends = [result.ended for result in run.scenario_results.values()]
    return collect(url, window, step_s, specs, run.run_id, run.directory.path, ends=ends)


@contextmanager
def series_kept(run: Run) -> Iterator[None]:
    """Beside a long load, collect now and then: a run that is killed in the night has its series until then."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(KEEP_SERIES_EVERY_S):
            run.attempt("collecting", lambda: _collected(run))

    thread = threading.Thread(target=keep, name="series-kept", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def slow_by_its_own_account(run: Run) -> dict[str, str]:
    """Scenario -> the target's own figure that shows the breach of which k6 complains; only scenarios with both."""
    rows = [_scenario_row(result) for result in run.scenario_results.values()]
    started = min((row.started for row in rows if row.started), default=None)
    if started is None or all(threshold.ok for row in rows for threshold in row.thresholds):
        return {}
    specs = [spec for spec in catalogue(run.profile, run.run_id) if spec.group == "services"]
    window = Window(started, utc_now())
    seen = collect(run.endpoints.url(ServiceId.PROMETHEUS), window, SCRAPE_INTERVAL_S, specs, run.run_id)
    return {row.id: sentence for row in rows if (sentence := breach_seen_by_target(row, seen))}


@step
def write_report(run: Run) -> Report:
    """Compared with the history and kept there; then report.json first, and what is drawn from it."""
    report = build(facts_of(run), run.collected, load_spans(run.directory.path))
    try:
        report = remember(report, run.directory.path.parent / HISTORY, report.ended.date())
    except Exception as error:  # noqa: BLE001 - a run's report does not hang on its history
        row = ErrorRow.of(known_error(error, "history"))
        report = report.model_copy(update={"errors": (*report.errors, row)})
    return render_all(report, run.directory.path, language=run.request.lang)


def report_before_teardown(run: Run) -> None:
    """For a run that was stopped: whoever stopped it may kill it before the teardown is over (Prefect 30 s after)."""
    render_all(build(facts_of(run), run.collected, load_spans(run.directory.path)), run.directory.path)


def stages_of(run: Run) -> list[StageRow]:
    """What each part of the load did when.

    A scenario that never began came to none of its stages; a bot whose consumers nobody watched has no drain.
    """
    found: list[StageRow] = []
    for result in run.scenario_results.values():
        ended = result.started if result.never_began else result.ended
        found += scenario_stages(_scenario_row(result).model_copy(update={"ended": ended}), run.load)
    if run.bot is not None:
        drain_s = run.bot.drain.drain_s if run.bot.drain else None
        found += bot_stages(run.load.bot, run.bot.started, run.bot.ended, drain_s)
    return found


def report_address(run: Run) -> str:
    """Where a browser finds report.html: where run directories are served, else the file."""
    page, settings = run.directory.path / "report.html", Settings()
    folder = settings.runs_dir.resolve()
    if settings.reports_url and page.is_relative_to(folder):
        return f"{settings.reports_url.rstrip('/')}/{page.relative_to(folder).as_posix()}"
    return page.as_uri()


def summary(run: Run, report: Report) -> str:
    """One sentence for the flow run's state."""
    return f"{headline(report)} Report: {report_address(run)}"


def publish(run: Run, report: Report) -> None:
    """The end in the terminal, and Prefect's artifacts: a table of checks, the short report, a link to the long one."""
    ENDED.append(report)
    print_report(report, run.directory.path, Console(stderr=False))
    if FlowRunContext.get() is None or run.without_prefect:
        return
    try:
        _show_in_prefect(run, report)
    except Exception as error:  # noqa: BLE001 - the report is written; a server that is gone costs its copy in the UI
        log.warning("the report is not in Prefect: %s", error)


def _show_in_prefect(run: Run, report: Report) -> None:
    rows = [{"check": row.id, "verdict": row.verdict.value, "seen": row.observed} for row in report.checks]
    create_table_artifact(rows, key="checks", description=f"{report.verdict}: checks of run {report.run_id}")
    short = render_markdown(report, run.request.lang or Settings().lang)
    create_markdown_artifact(short, key="report", description=f"Run {report.run_id}")
    about = f"{report.verdict}: the whole report of run {report.run_id}"
    create_link_artifact(report_address(run), key="report-html", link_text="report.html", description=about)


def facts_of(run: Run) -> RunFacts:
    """What the run knows by now; a phase that was asked for and has not begun has no times."""
    scenarios, versions = [_scenario_row(result) for result in run.scenario_results.values()], _versions(run)
    begun = [PhaseRun(row.phase, row.started, row.ended, row.note) for row in run.phases]
    return RunFacts(
        run_id=run.run_id,
        target=run.profile.name,
        backend=run.backend.name,
        load=run.load.name,
        started=run.started,
        ended=utc_now(),
        phases=[*begun, *(PhaseRun(phase) for phase in run.request.phases if phase not in {row.id for row in begun})],
        checks=list(run.results.values()),
        gates=run.gates,
        scenarios_asked=run.scenarios,
        scenarios=scenarios,
        stages=stages_of(run),
        errors=[ErrorRow.of(error) for error in run.errors],
        ledger=run.ledger,
        versions=versions,
        key=_key(run, versions),
        steady=_steady(run, scenarios),
        generators=run.load.generators,
        interrupted=128 + run.stopped_by if run.stopped_by else None,
    )


def _key(run: Run, versions: Mapping[str, str]) -> RunKey:
    """What makes another run comparable with this one."""
    scripts = ROOT / "k6"
    return RunKey(
        target=run.profile.name,
        profile=digest(run.profile.model_dump_json(exclude={"addresses", "description", *SAFETY})),
        versions=versions,
        load=run.load.name,
        load_numbers=digest_of_load(run.load),
        scenarios="".join(run.scenarios),
        phases=" ".join(run.request.phases),
        scripts=digest_of_files(scripts.rglob("*.js"), scripts),
        backend=run.backend.name,
        machine=machine_class(),
        suite=suite_version(),
    )


def _steady(run: Run, scenarios: Sequence[ScenarioRow]) -> tuple[SteadyWindow, ...]:
    """The bot's own too, unless it sent beside k6: then the scenarios' are the steady parts, and its are not."""
    alone = run.bot if not run.load.bot_beside else None
    of_bot = bot_window(run.load.bot, alone.started, alone.ended) if alone else ()
    return (*steady_windows(run.load, scenarios), *of_bot)


def _versions(run: Run) -> dict[str, str]:
    """What ran; empty where the set-up failed, for then nothing did."""
    if not run.identities:
        return {}
    k6 = program_versions(ensure([ProgramId.K6]))
    return {**k6, **run.backend.versions(), **run.profile.versions, **run.profile.choices}


def _scenario_row(result: ScenarioResult) -> ScenarioRow:
    return ScenarioRow(
        id=result.scenario,
        name=SCENARIOS[result.scenario],
        requests=result.requests,
        rate=result.rate_per_s,
        p50_ms=result.p50_ms,
        p95_ms=result.p95_ms,
        p99_ms=result.p99_ms,
        p95_from_intended_ms=result.p95_from_intended_ms,
        p99_from_intended_ms=result.p99_from_intended_ms,
        error_rate=result.error_rate,
        dropped_iterations=result.dropped_iterations,
        iterations=result.iterations,
        outcomes=result.outcomes,
        started=result.started,
        ended=result.ended,
        thresholds=tuple(ThresholdRow(**row.model_dump()) for row in result.thresholds),
        counters=result.counters,
        error=ErrorRow(**result.error) if result.error else None,
        seams=tuple(
            SeamRow(started=seam.at - NOT_JUDGED, ended=seam.at + NOT_JUDGED, gap_s=seam.gap_s) for seam in result.seams
        ),
    )
