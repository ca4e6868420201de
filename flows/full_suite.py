"""The main job: the five phases in the design's order, then the report, then the teardown.

python -m flows.full_suite --help
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

import tasks.report as steps
from core.request import BackendName, PortChoice, Request, ScenarioId
from core.words import Phase
from flows.dashboards import dashboards
from flows.exporters import exporters
from flows.interrupts import stop_on_signals
from flows.kafka_bot import kafka_bot
from flows.load import load as load_phase
from flows.logs import kept_in_file
from flows.tracing import tracing
from tasks.opening import open_run
from tasks.stack import stack_alive, take_down
from tasks.step import verdict_state

log = logging.getLogger("suite")
PHASE_FLOWS = {
    Phase.EXPORTERS: exporters,
    Phase.TRACING: tracing,
    Phase.LOAD: load_phase,
    Phase.DASHBOARDS: dashboards,
    Phase.KAFKA_BOT: kafka_bot,
}
_FIELDS = Request.model_fields


def _doc(name: str) -> Any:
    return Field(description=_FIELDS[name].description)


@flow(name="full-suite", flow_run_name="{load} · {target}", validate_parameters=True)
def full_suite(
    target: Annotated[str, _doc("target")] = "portal",
    backend: Annotated[BackendName | None, _doc("backend")] = None,
    load: Annotated[str, _doc("load")] = "smoke",
    scenario: Annotated[list[ScenarioId], _doc("scenario")] = [],  # noqa: B006 - a schema default, never changed
    phase: Annotated[list[Phase], _doc("phase")] = [],  # noqa: B006
    fault: Annotated[list[str], _doc("fault")] = [],  # noqa: B006
    keep_stack: Annotated[bool, _doc("keep_stack")] = False,
    run_dir: Annotated[Path | None, _doc("run_dir")] = None,
    ports: Annotated[PortChoice, _doc("ports")] = "default",
    gates: Annotated[Path | None, _doc("gates")] = None,
) -> State[Any]:
    """Put a load on the target and say, with evidence, whether platform, stack and suite are good."""
    request = Request(
        target=target,
        backend=backend,
        load=load,
        scenario=tuple(scenario),
        phase=tuple(phase),
        fault=tuple(fault),
        keep_stack=keep_stack,
        run_dir=run_dir,
        ports=ports,
        gates=gates,
    )
    return carry_out(request)


def carry_out(request: Request) -> State[Any]:
    """The run itself; a request that cannot be carried out at all is a SuiteError before anything was started."""
    run = open_run(request)
    log.info("run %s: report and logs go to %s", run.run_id, run.directory.path)
    with kept_in_file(run.directory.logs), stop_on_signals(run):
        for phase in request.phases:
            PHASE_FLOWS[phase](run, return_state=True)
        run.attempt("stack-alive", lambda: run.record(stack_alive(run)))
        run.attempt("collecting", lambda: steps.collect_from_prometheus(run))
        run.attempt("teardown", lambda: run.record(take_down(run)))
        report = steps.write_report(run)
    steps.publish(run, report)
    return verdict_state(report.verdict, steps.summary(run, report), report)


if __name__ == "__main__":
    from flows.cli import main

    main()
