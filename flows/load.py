"""Phase 3: seed, then k6 A to E one after the other, with a sampler beside them that asks every panel's query."""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from core.words import Phase
    from flows.cli import main

    main(Phase.LOAD)

from functools import partial

import tasks.books as books
import tasks.load as steps
from core.words import Phase
from flows.phase import phase_flow
from tasks.doctor import look_before_load
from tasks.generators import workers_ready
from tasks.kafka_bot import bot_beside
from tasks.report import series_kept
from tasks.run import Run
from tasks.stack import require_whole_stack, switch_faults_on


@phase_flow(Phase.LOAD)
def load(run: Run) -> None:
    """Seed the target, run the scenarios; k6 ran to its end, its series are there, the ledger balances."""
    require_whole_stack(run)
    if run.observe("seed-readback", lambda: steps.seed_readback(run)).blocks:
        return
    if run.observe("doctor", lambda: look_before_load(run)).blocks:
        return
    if run.fixtures is None:
        steps.make_fixtures(run)
    switch_faults_on(run)
    with steps.sampling(run), bot_beside(run), series_kept(run), workers_ready(run):
        for scenario in run.scenarios:
            steps.put_on_target(run, scenario)
    run.observe("k6-run", lambda: steps.k6_run(run))
    for scenario, result in run.scenario_results.items():
        if result.never_began:
            run.record(steps.thresholds(run, scenario))
        else:
            run.observe(f"scenario-{scenario}-thresholds", partial(steps.thresholds, run, scenario))
    run.observe("generator-valid", lambda: steps.generator_valid(run))
    if "c" in run.scenario_results:
        run.observe("ledger-coupons", lambda: books.ledger_coupons(run))
    if "a" in run.scenario_results:
        run.observe("ledger-orders", lambda: books.ledger_orders(run))
    if "e" in run.scenario_results or run.profile.cache is None:
        run.observe("cache-single-flight", lambda: books.cache_single_flight(run))
    run.observe("traces-complete", lambda: steps.traces_complete(run))
    run.observe("k6-panels", lambda: steps.k6_panels(run))
