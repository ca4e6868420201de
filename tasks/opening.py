"""Opening a run: profile, load, guard, gates, run directory, backend; nothing is sent or started before that."""

from __future__ import annotations

from core.request import Request
from core.rundir import RunDirectory, new_run_id, utc_now
from core.settings import Settings
from infra.backends import open_backend
from infra.portal_faults import require_faults
from report.gate_file import gates_for, keep_gates
from targets.guard import require_allowed
from targets.resolve import resolve
from tasks.blocks import read_block
from tasks.brake import require_budget
from tasks.run import Run


def open_run(request: Request) -> Run:
    """A run that may begin: its directory exists, its backend is chosen, nothing is started yet."""
    profile, load = resolve(request, read_block)
    require_budget(request, profile, load)
    require_faults(request.fault)
    gates = gates_for(profile, request.gates)
    settings = Settings()
    if settings.grafana_url:
        require_allowed(settings.grafana_url, "SUITE_GRAFANA_URL", profile.reach)
    run_id = new_run_id(profile.name, load.name, utc_now())
    directory = RunDirectory.create((request.run_dir or settings.runs_dir).resolve(), run_id)
    keep_gates(gates, directory.path)
    backend = open_backend(request.backend or profile.backend, request.ports, settings, profile.endpoints(), profile)
    return Run(request, profile, load, directory, backend, gates.gates)
