"""Phase 3's steps: seed, k6 with the sampler beside it, and what is read back afterwards."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial

from core.checks import SCENARIOS, Check, check
from core.errors import SuiteError
from core.ports import ServiceId
from core.rundir import utc_now
from core.waiting import wait_for
from core.words import Verdict
from dashboards.drawn import draw_answers
from dashboards.engine import Engine
from dashboards.model import Traffic
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from dashboards.sampler import Sampler, Samples
from dashboards.verify import k6_panels_check
from infra.embedded.programs import ProgramId, ensure
from infra.prometheus.scrape import SCRAPE_INTERVAL_S
from infra.verify.tracing import TraceProbes, traces_complete_check
from k6.checks import generator_valid_check, k6_run_check, thresholds_check
from k6.merge import merged
from k6.model import K6Program, Progress, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario as run_k6
from k6.segments import loads_of, run_segments
from report.prometheus import Prometheus as QueriedPrometheus
from targets.adapter import adapter_for
from tasks.books import NO_CACHE, origin_loads, topic_ends
from tasks.brake import limited, room_watched
from tasks.clean import list_made
from tasks.generators import put_by_several
from tasks.histograms import MergedHistograms
from tasks.progress import progress_shown
from tasks.report import slow_by_its_own_account
from tasks.run import Run
from tasks.seeding import seed_check
from tasks.step import step

log = logging.getLogger("suite")

SERIES_WITHIN_S = 10.0
"""k6 pushes every second and once more at its end."""

LAST_SAMPLES_S = 60.0
"""k6 pushes only series that have changed: who made requests to the end has them in the last minute."""


@step
def seed_readback(run: Run) -> Check:
    """Bring the target's data to its known state and read it back."""
    seed = adapter_for(run.profile).seed()
    run.not_applicable = seed.not_applicable
    return seed_check(run.profile, seed)


@step
def make_fixtures(run: Run) -> None:
    """What this run needs of its own on the target, and where the event topics stand before the load."""
    run.fixtures = adapter_for(run.profile).fixtures(run.run_id)
    list_made(run)
    run.topic_ends = topic_ends(run)
    run.keep()


@contextmanager
def sampling(run: Run) -> Iterator[None]:
    """Beside the load, ask every panel's query and send traced probes; afterwards keep what the panels answered."""
    panels = all_panels(run.profile.metrics)
    engine = Engine.of(run.endpoints.url(ServiceId.PROMETHEUS), run.profile.metrics, run.run_id)
    run.probes = None if run.lacks(ServiceId.ZIPKIN) else TraceProbes(run.profile, run.endpoints)
    with closing(engine.prometheus):
        with (
            room_watched(run),
            Sampler(engine, panels) as sampler,
            run.probes.beside() if run.probes else nullcontext(),
        ):
            yield
        run.samples = sampler.samples()
        if run.scenario_results:
            _draw(run, engine, run.samples, max(result.ended for result in run.scenario_results.values()))


@step
def draw_panels(run: Run) -> None:
    """The panels again, from k6's first request until the bot's lag was scraped at its end: how it rose and fell."""
    if run.samples is None or not run.scenario_results:
        return
    engine = Engine.of(run.endpoints.url(ServiceId.PROMETHEUS), run.profile.metrics, run.run_id)
    with closing(engine.prometheus):
        now_s = utc_now().timestamp()
        scraped = partial(_newest_s, engine.prometheus, "min(timestamp(kafka_consumergroup_lag))")
        wait_for(scraped, lambda newest_s: newest_s > now_s, timeout_s=2 * SCRAPE_INTERVAL_S, every_s=0.2)
        _draw(run, engine, run.samples, utc_now() + timedelta(seconds=SCRAPE_INTERVAL_S))  # so that a step holds it


def _newest_s(prometheus: Prometheus, expr: str) -> float:
    """The answer of a query for a moment in unix seconds; 0 where there is none."""
    answer = prometheus.instant(expr, utc_now().timestamp())
    return answer[0].points[0][1] if answer else 0.0


def _draw(run: Run, engine: Engine, samples: Samples, ended: datetime) -> None:
    """Every panel's answers over the load's window, in metrics/panels.json."""
    started = min(result.started for result in run.scenario_results.values())
    rows = draw_answers(engine, samples, started.timestamp(), ended.timestamp(), traffic(run))
    (run.directory.metrics / "panels.json").write_text(json.dumps(rows), encoding="utf-8")


def traffic(run: Run) -> tuple[Traffic, ...]:
    """What this run's load has fed: orders make events; without scenario A, or where A was cut off, there are none."""
    orders = "a" in run.scenario_results and run.profile.data_may_be_written
    return tuple(Traffic) if orders else (Traffic.REQUESTS,)


def put_on_target(run: Run, scenario: str) -> None:
    """`run_scenario`; one that cannot run is ERROR (or SKIPPED where it does not apply), and the others still run."""
    run.checkpoint()
    id = f"scenario-{scenario}-thresholds"
    if why_not := _not_applicable(run, scenario):
        run.record(check(id, Verdict.SKIPPED, why_not))
        return
    if scenario in run.scenario_results:
        log.info("scenario %s has run before the run was cut off: its result stands", SCENARIOS[scenario])
        return
    try:
        run_scenario(run, scenario)
    except SuiteError as error:
        run.fail(error)
        run.record(check(id, Verdict.ERROR, str(error)))


def _not_applicable(run: Run, scenario: str) -> str:
    """Why the scenario would measure nothing on this target; "" where it does."""
    if scenario == "e" and run.profile.cache is None:
        return NO_CACHE
    return run.not_applicable.get(scenario, "")


@step
def run_scenario(run: Run, scenario: str) -> ScenarioResult:
    """Put one scenario on the target; a k6 that fails is a result, not an exception."""
    run.begin_load(scenario)
    log.info("scenario %s begins", SCENARIOS[scenario])
    if scenario == "e" and run.profile.cache is not None:
        run.origin_loads_before = origin_loads(run, utc_now())
    if scenario == "c":
        run.load_users = tuple(adapter_for(run.profile).users(run.load.c.users))
    with progress_shown(scenario) as show:
        result = _put(run, _scenario_request(run, scenario), limited(run, scenario, show))
    run.scenario_results[scenario] = result
    run.keep()
    if result.error:
        run.fail(SuiteError(**result.error))
    log.info(
        "scenario %s ended: %d requests, p95 %s ms, exit %d",
        SCENARIOS[scenario],
        result.requests,
        f"{result.p95_ms:.0f}" if result.p95_ms is not None else "-",
        result.exit_code,
    )
    return result


def _put(run: Run, request: ScenarioRequest, show: Callable[[Progress], None]) -> ScenarioResult:
    """In one k6, in segments where the load is cut, or shared by several generators."""
    if run.load.generators > 1:
        return put_by_several(run, request, show)
    if len(loads_of(request.scenario, request.load)) == 1:
        return run_k6(request, show, run.stop)
    segmented = run_segments(request, show, run.stop)
    with QueriedPrometheus(run.endpoints.url(ServiceId.PROMETHEUS)) as prometheus:
        histograms = MergedHistograms(prometheus, run.run_id, segmented.parts)
        return merged(segmented.parts, histograms, segmented.seams)


@step
def k6_run(run: Run) -> Check:
    """k6 ended by itself, and Prometheus holds its native histograms for every scenario."""
    present = wait_for(lambda: _series_present(run), lambda seen: all(seen.values()), SERIES_WITHIN_S)
    return k6_run_check(list(run.scenario_results.values()), present)


@step
def thresholds(run: Run, scenario: str) -> Check:
    """Every threshold of the scenario, with the number of samples it was judged on."""
    return thresholds_check(run.scenario_results[scenario])


@step
def generator_valid(run: Run) -> Check:
    """Was the load that was asked for really offered? Where the target itself was slow, k6 is not to blame."""
    return generator_valid_check(list(run.scenario_results.values()), slow_by_its_own_account(run))


@step
def traces_complete(run: Run) -> Check:
    """The probes that were sent beside the load have their whole trace in Zipkin."""
    if run.probes is None:
        lacking = run.lacks(ServiceId.ZIPKIN)
        if lacking:
            return check("traces-complete", Verdict.SKIPPED, lacking)
        return run.as_before("traces-complete", "no request was traced beside the load")
    return traces_complete_check(run.probes)


@step
def k6_panels(run: Run) -> Check:
    """The k6 panels of Load Test Overview had data while the load ran."""
    if run.samples is None:
        return check("k6-panels", Verdict.NO_DATA, "the sampler took no look")
    return k6_panels_check(run.samples)


def _scenario_request(run: Run, scenario: str) -> ScenarioRequest:
    assert run.fixtures is not None
    program = ensure([ProgramId.K6])[ProgramId.K6]
    return ScenarioRequest(
        scenario=scenario,
        profile=run.profile,
        load=run.load,
        run_id=run.run_id,
        run_mark=run.fixtures.mark,
        coupon_id=run.fixtures.coupon_id,
        product_id=run.fixtures.product_id,
        k6=K6Program(program.path, program.env),
        out_dir=run.directory.scenario(SCENARIOS[scenario]),
        remote_write_url=run.endpoints.url(ServiceId.PROMETHEUS, "/api/v1/write"),
        tokens=tuple(user.token for user in run.load_users) if scenario == "c" else (),
    )


def _series_present(run: Run) -> dict[str, bool]:
    """Scenario letter -> the native histogram of its requests is in Prometheus under this run's id."""
    with closing(Prometheus(run.endpoints.url(ServiceId.PROMETHEUS))) as prometheus:
        return {
            scenario: _requests_in_series(prometheus, run.run_id, result) > 0
            for scenario, result in run.scenario_results.items()
        }


def _requests_in_series(prometheus: Prometheus, run_id: str, result: ScenarioResult) -> float:
    """Requests that the histogram counts in the scenario's last samples.

    Raw samples, because C's stand between its start and its stale marker for less than a second: a query that looks
    once a second may see neither.
    """
    labels = f'run_id="{run_id}",scenario="{SCENARIOS[result.scenario]}"'
    end = result.ended.timestamp() + SERIES_WITHIN_S
    window_s = min(end - result.started.timestamp() + 1, LAST_SAMPLES_S)
    try:
        rows = prometheus.instant(f"k6_http_req_duration_seconds{{{labels}}}[{window_s:.0f}s]", end)
    except SuiteError as error:
        log.warning("%s", error)
        return 0.0
    return sum(max(value for _, value in row.points) for row in rows)
