"""The main job: the five phases in the design's order, then the report, then the teardown.

python -m flows.full_suite --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from flows.cli import main

    main()

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal

import tasks.report as steps
from core.errors import SuiteError
from core.reach import reaching
from core.request import BackendName, Language, PortChoice, Request, ScenarioId
from core.words import Phase, Verdict
from flows.consent import given_now
from flows.dashboards import dashboards
from flows.exporters import exporters
from flows.form import asked, run_name
from flows.interrupts import ask_to_stop, stop_on_cancel, stop_on_signals
from flows.kafka_bot import kafka_bot
from flows.load import load as load_phase
from flows.logs import kept_in_file
from flows.phase import run_phase
from flows.server import give_events_up_soon
from flows.tracing import tracing
from infra.portal_faults import FAULTS
from targets.documents import known_documents
from targets.model import FOLDER
from tasks.alone import alone
from tasks.journal import keep_journal
from tasks.opening import as_begun, open_run
from tasks.run import Run
from tasks.stack import stack_alive, take_down
from tasks.step import verdict_state
from tasks.tell import tell, tell_refusal

log = logging.getLogger("suite")
PHASE_FLOWS = {
    Phase.EXPORTERS: exporters,
    Phase.TRACING: tracing,
    Phase.LOAD: load_phase,
    Phase.DASHBOARDS: dashboards,
    Phase.KAFKA_BOT: kafka_bot,
}


@flow(
    name="full-suite",
    description="All phases that are asked for, the report, the teardown. Its state's name is the run's verdict.",
    flow_run_name=run_name,
    validate_parameters=True,
)
def full_suite(
    target: str = asked("target", names=known_documents(FOLDER), files=True),
    backend: BackendName | None = asked("backend", names=get_args(BackendName)),
    load: str = asked("load", names=known_documents(FOLDER / "loads"), files=True),
    scenario: list[ScenarioId] = asked("scenario"),
    phase: list[Phase] = asked("phase"),
    fault: list[str] = asked("fault", each=FAULTS),
    keep_stack: bool = asked("keep_stack"),
    run_dir: Path | None = asked("run_dir", files=True),
    ports: PortChoice = asked("ports"),
    gates: Path | None = asked("gates", files=True),
    i_mean: str | None = asked("i_mean"),
    lang: Language | None = asked("lang", names=get_args(Language)),
    resume: Path | None = asked("resume", files=True),
    generators: int | None = asked("generators"),
    dask: str | None = asked("dask"),
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
        i_mean=given_now(i_mean),
        lang=lang,
        resume=resume,
        generators=generators,
        dask=dask,
    )
    with ExitStack() as held:
        try:
            request = as_begun(request)
            held.enter_context(alone(request))
            run = open_run(request)
        except SuiteError as error:  # a state with a sentence, where raising would show a trace-back in Prefect
            tell_refusal(request, error)
            return verdict_state(Verdict.ERROR, str(error), error)
        return carry_out(run)


def carry_out(run: Run) -> State[Any]:
    """The run itself, to its report and teardown."""
    give_events_up_soon()
    log.info("run %s: report and logs go to %s", run.run_id, run.directory.path)
    with kept_in_file(run.directory.logs), stop_on_signals(run), stop_on_cancel(run), reaching(run.profile.reach):
        for phase in run.request.phases:
            _carry_out_phase(run, phase)
        run.attempt("stack-alive", lambda: run.record(stack_alive(run)))
        run.attempt("collecting", lambda: steps.collect_from_prometheus(run))
        run.attempt("spans", lambda: steps.collect_from_zipkin(run))
        if run.stop.is_set():
            run.attempt("report", lambda: steps.report_before_teardown(run))
        run.attempt("teardown", lambda: run.record(take_down(run)))
        report = steps.write_report(run)
        run.attempt("journal", lambda: keep_journal(run, ended=True))
    steps.publish(run, report)
    tell(run, report)
    return verdict_state(report.verdict, steps.summary(run, report), report)


def _carry_out_phase(run: Run, phase: Phase) -> None:
    """A SIGTERM that falls between our own handlers meets Prefect's, which breaks off the phase: it means the same."""
    try:
        run_phase(PHASE_FLOWS[phase], phase, run)
    except TerminationSignal as termination:
        ask_to_stop(run, termination.signal)
