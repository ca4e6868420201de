"""Phase 4's steps: judged from the sampler's looks, also when it had to put a load of its own."""

from __future__ import annotations

import logging

from core.checks import Check, check
from core.words import Verdict
from dashboards.verify import dashboard_live_check, dashboards_provisioned_check, panels_data_check
from tasks.load import make_fixtures, run_scenario, sampling, seed_readback, traffic
from tasks.run import Run
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
    return panels_data_check(run.samples, traffic(run))


@step
def dashboards_provisioned() -> Check:
    """Where the backend has a Grafana: folder, datasource and dashboards, read back."""
    return dashboards_provisioned_check()


@step
def dashboard_live(run: Run) -> Check:
    """The live panels of Bottleneck Detection moved under load."""
    if run.samples is None:
        return check("dashboard-live", Verdict.NO_DATA, "the sampler took no look")
    return dashboard_live_check(run.samples, traffic(run))
