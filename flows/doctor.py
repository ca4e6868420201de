"""Doctor: what a run would need of target and stack, looked at before any load, with a cure for what lacks."""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from flows.cli import main_doctor

    main_doctor()

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from prefect import flow
from prefect.client.schemas.objects import State
from rich.console import Console

from core.errors import SuiteError
from core.findings import Finding, verdict_of
from core.reach import reaching
from core.request import BackendName, Request, ScenarioId
from core.settings import Settings
from core.words import EXIT_CODES, Verdict
from flows.consent import given_now
from flows.form import asked
from report.gate_file import gates_for
from report.terminal import print_findings
from targets.documents import known_documents
from targets.model import FOLDER
from targets.resolve import resolve
from tasks.blocks import read_block
from tasks.doctor import Patient, examine
from tasks.step import verdict_state


@dataclass(frozen=True)
class Examined:
    """What doctor found, and the exit code that says it."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[verdict_of(self.findings)]


@flow(
    name="doctor",
    description="Looks before any load whether everything is there that a run would need.",
    flow_run_name="doctor · {target}",
    validate_parameters=True,
)
def doctor(
    target: str = asked("target", names=known_documents(FOLDER), files=True),
    backend: BackendName | None = asked("backend", names=get_args(BackendName)),
    load: str = asked("load", names=known_documents(FOLDER / "loads"), files=True),
    scenario: list[ScenarioId] = asked("scenario"),
    gates: Path | None = asked("gates", files=True),
    run_dir: Path | None = asked("run_dir", files=True),
    i_mean: str | None = asked("i_mean"),
) -> State[Examined | SuiteError]:
    """Look at everything that a run needs before any load; nothing is started, nothing is changed."""
    request = Request(
        target=target,
        backend=backend,
        load=load,
        scenario=tuple(scenario),
        gates=gates,
        run_dir=run_dir,
        i_mean=given_now(i_mean),
    )
    try:
        return _examined(_patient(request))
    except SuiteError as error:  # as a state it needs no trace-back in Prefect
        return verdict_state(Verdict.ERROR, str(error), error)


def _patient(request: Request) -> Patient:
    profile, _ = resolve(request, read_block)
    return Patient(
        profile=profile,
        scenarios=request.scenario or profile.scenarios,
        gates=gates_for(profile, request.gates).gates,
        kept_in=(request.run_dir or Settings().runs_dir).resolve(),
        backend=request.backend or profile.backend,
    )


def _examined(patient: Patient) -> State[Examined | SuiteError]:
    with reaching(patient.profile.reach):
        findings = examine(patient)
    print_findings(findings, Console(stderr=False))
    lacking = "; ".join(f"{finding.state} {finding}" for finding in findings if finding.cure)
    return verdict_state(verdict_of(findings), lacking or "nothing lacks", Examined(tuple(findings)))
