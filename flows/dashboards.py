"""Phase 4: both dashboards, judged from what the sampler saw while the load ran."""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from core.words import Phase
    from flows.cli import main

    main(Phase.DASHBOARDS)

import tasks.dashboards as steps
from core.words import Phase
from flows.phase import phase_flow
from tasks.run import Run
from tasks.stack import require_whole_stack, switch_faults_on


@phase_flow(Phase.DASHBOARDS)
def dashboards(run: Run) -> None:
    """Generate and provision the dashboards; every panel had data and the live ones moved under load.

    Alone (`--phase dashboards`) it puts 30 s of scenario B on the target itself.
    """
    require_whole_stack(run)
    if Phase.LOAD not in run.request.phases:
        switch_faults_on(run)
        steps.own_load(run)
    run.observe("panels-data", lambda: steps.panels_data(run))
    run.observe("dashboards-provisioned", lambda: steps.dashboards_provisioned(run))
    run.observe("dashboard-live", lambda: steps.dashboard_live(run))
