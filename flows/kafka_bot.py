"""Phase 5: the Kafka bot."""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from core.words import Phase
    from flows.cli import main

    main(Phase.KAFKA_BOT)

import tasks.kafka_bot as steps
from core.ports import ServiceId
from core.words import Phase
from flows.phase import phase_flow
from tasks.load import draw_panels
from tasks.run import Run
from tasks.stack import require_whole_stack, switch_faults_on


@phase_flow(Phase.KAFKA_BOT)
def kafka_bot(run: Run) -> None:
    """Send order events at the load's rate; the rate was reached, every message accounted for, the lag drained."""
    if why := run.lacks(ServiceId.KAFKA):
        return run.skip(Phase.KAFKA_BOT, why)
    require_whole_stack(run)
    switch_faults_on(run)
    if run.bot is None:
        steps.run_bot(run)
    run.attempt("metrics/panels.json", lambda: draw_panels(run))
    run.observe("kafka-bot-rate", lambda: steps.kafka_bot_rate(run))
    run.observe("kafka-bot-accounting", lambda: steps.kafka_bot_accounting(run))
    run.observe("kafka-lag-drains", lambda: steps.kafka_lag_drains(run))
