"""Phase 4's steps: judged from the sampler's looks, also when it had to put a load of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

from core.checks import SCENARIOS, Check, check
from core.errors import ConfigError
from core.ports import EXPORTERS, ServiceId, metric_prefix
from core.settings import Settings
from core.words import Verdict
from dashboards.grafana import Grafana
from dashboards.grafana_json import ZIPKIN_URL
from dashboards.provision import Wanted, Window, provision
from dashboards.sampler import Samples
from dashboards.verify import (
    dashboard_live_check,
    dashboards_provisioned_check,
    not_provisioned_check,
    panels_data_check,
    without,
)
from infra.stack import NotToBeHad, OwnGrafana
from targets.guard import require_allowed
from tasks.load import make_fixtures, run_scenario, sampling, seed_readback, traffic
from tasks.run import Run
from tasks.stack import start_services
from tasks.step import step

log = logging.getLogger("suite")
OWN_SCENARIO = "b"
OWN_LOAD_S = 30.0
"""Phase 4 alone puts 30 s of scenario B on the target (architecture.md, "How a run flows")."""


def own_load(run: Run) -> None:
    """Thirty seconds of scenario B with the sampler beside it; the load phase's checks are not made here."""
    log.info("no load phase in this run: %g s of scenario B are put on the target", OWN_LOAD_S)
    run.load = run.load.model_copy(update={"b": run.load.b.model_copy(update={"duration_s": OWN_LOAD_S})})
    seed_readback(run)
    make_fixtures(run)
    with sampling(run):
        run_scenario(run, OWN_SCENARIO)


@step
def panels_data(run: Run) -> Check:
    """Every panel of both dashboards that this load feeds had data."""
    if run.samples is None:
        return check("panels-data", Verdict.NO_DATA, "the sampler took no look")
    return panels_data_check(_fed(run, run.samples), traffic(run))


@step
def dashboards_provisioned(run: Run) -> Check:
    """Where there is a Grafana: folder, data source, dashboards and annotations, read back and asked.

    The one that SUITE_GRAFANA_URL names, else the stack's own, which is started for it, else the target's.
    """
    settings = Settings()
    try:
        own = None if settings.grafana_url else run.backend.grafana()
    except NotToBeHad as error:
        return not_provisioned_check(f"the stack's Grafana was left out: {error}")
    url = settings.grafana_url or run.profile.addresses.get(ServiceId.GRAFANA)
    if own is not None:
        start_services(run, [ServiceId.GRAFANA])
        url = f"http://{run.backend.endpoint(ServiceId.GRAFANA)}"
    if not url:
        return not_provisioned_check("no Grafana in this backend: not published as a package")
    try:
        require_allowed(url, "SUITE_GRAFANA_URL" if settings.grafana_url else f"addresses.{ServiceId.GRAFANA}")
    except ConfigError as error:
        run.fail(error)
        return check("dashboards-provisioned", Verdict.ERROR, str(error))
    with closing(Grafana(url, settings.grafana_credentials or (own.login if own else None))) as grafana:
        return dashboards_provisioned_check(provision(grafana, _wanted(run, settings, own)), run.samples)


@step
def dashboard_live(run: Run) -> Check:
    """The live panels of Bottleneck Detection moved under load."""
    if run.samples is None:
        return check("dashboard-live", Verdict.NO_DATA, "the sampler took no look")
    return dashboard_live_check(_fed(run, run.samples), traffic(run))


def _fed(run: Run, samples: Samples) -> Samples:
    """What is shown of exporters that the profile does not name is not claimed."""
    unnamed = [metric_prefix(exporter) for exporter in EXPORTERS if run.lacks(exporter)]
    return without(samples, run.profile.metrics, unnamed)


def _wanted(run: Run, settings: Settings, own: OwnGrafana | None) -> Wanted:
    """What this run wants of Grafana; an external backend's is only looked at, unless that was asked for."""
    write = settings.provision_grafana
    return Wanted(
        metrics=run.profile.metrics,
        run_id=run.run_id,
        prometheus_url=settings.grafana_prometheus_url
        or (own.prometheus_url if own else run.endpoints.url(ServiceId.PROMETHEUS)),
        write=run.backend.name != "external" if write is None else write,
        windows=tuple(_windows(run)),
        zipkin_url=run.profile.addresses.get(ServiceId.ZIPKIN, ZIPKIN_URL),
    )


def _windows(run: Run) -> Iterator[Window]:
    """The load as a whole, then each scenario; nothing where no scenario ran."""
    results = list(run.scenario_results.values())
    if not results:
        return
    started, ended = min(each.started for each in results), max(each.ended for each in results)
    yield Window("load", f"load {run.load.name}, run {run.run_id}", started.timestamp(), ended.timestamp())
    for each in results:
        name = SCENARIOS[each.scenario]
        text = f"scenario {name}: {each.requests} requests, run {run.run_id}"
        yield Window(f"scenario:{name}", text, each.started.timestamp(), each.ended.timestamp())
