"""How a phase becomes a subflow: it runs unless blocked, every one of its checks gets a verdict, errors are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State

from core.checks import blockers, of_phase
from core.errors import SuiteError, known_error
from core.rundir import utc_now
from core.words import Phase
from flows.interrupts import stop_on_signals
from tasks.run import Interrupted, Run
from tasks.step import verdict_state

log = logging.getLogger("suite")
PhaseFlow = Flow[[Run], State[Any]]


def phase_flow(phase: Phase) -> Callable[[Callable[[Run], None]], PhaseFlow]:
    """Decorator: the body provisions and observes; this gives its checks verdicts and its flow run a state."""

    def decorate(body: Callable[[Run], None]) -> PhaseFlow:
        def run_phase(run: Run) -> State[Any]:
            record = run.begin(phase)
            with stop_on_signals(run):  # Prefect puts a SIGTERM handler of its own around each flow
                error = _carry_out(phase, body, run)
            run.settle(phase, error)
            record.ended = utc_now()
            run.keep()
            verdict = run.verdict_of(phase)
            log.info("phase %s: %s in %.0f s", phase, verdict, (record.ended - record.started).total_seconds())
            return verdict_state(verdict, str(error) if error else f"phase {phase}: {verdict}")

        options: Any = {"flow_run_name": phase.value, "description": body.__doc__, "validate_parameters": False}
        return flow(name=phase.value, **options)(run_phase)

    return decorate


def run_phase(phase_flow: PhaseFlow, phase: Phase, run: Run) -> None:
    """The phase as a subflow; where Prefect's server has gone, without it: no load is left alone for that.

    What the phase itself fails with is a state; only Prefect raises here, before its body or after it.
    """
    if not run.without_prefect:
        try:
            phase_flow(run, return_state=True)
        except Exception as error:  # noqa: BLE001 - whatever the client fails with, the run goes on
            run.without_prefect = True
            log.warning("the Prefect server does not answer (%s): the run goes on without it", error)
    if not run.has_begun(phase):
        phase_flow.fn(run)


def _carry_out(phase: Phase, body: Callable[[Run], None], run: Run) -> SuiteError | None:
    """The body's error, if it had one; the body is left out when all that it could show is blocked."""
    if _all_blocked(phase, run):
        return None
    try:
        run.checkpoint()
        body(run)
    except Interrupted as interruption:
        return interruption
    except Exception as error:  # noqa: BLE001 - errors become verdicts here
        known = known_error(error, f"phase {phase}")
        run.fail(known)
        return known
    return None


def _all_blocked(phase: Phase, run: Run) -> bool:
    own = {spec.id for spec in of_phase(phase)}
    entries = [spec for spec in of_phase(phase) if not own.intersection(spec.needs)]
    return all(blockers(spec.id, run.results) for spec in entries)
