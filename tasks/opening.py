"""Opening a run: profile, load, guard, gates, run directory, backend; nothing is sent or started before that."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prefect.runtime import flow_run

from core.errors import ConfigError
from core.request import Request
from core.retention import make_room, newest_first
from core.rundir import RunDirectory, new_run_id, utc_now
from core.settings import Settings
from infra.backends import open_backend
from infra.portal_faults import require_faults
from report.gate_file import GateFile, gates_for, keep_gates
from report.journal import Journal, has_journal, read_journal
from report.key import digest_of_load
from report.recover import recover_cut_off
from targets.guard import require_allowed
from targets.load import Load
from targets.model import Profile
from targets.resolve import resolve
from tasks.blocks import read_block
from tasks.brake import require_budget
from tasks.journal import RunState, keep_journal, take_over
from tasks.run import Run

GIB = 2**30


def as_begun(request: Request) -> Request:
    """The request as it is; or that of the run which it resumes, with `resume` at its directory.

    A flow run that Prefect starts again (its retry) resumes the run that it had begun.
    """
    runs_dir = runs_dir_of(request)
    cut_off = _asked_to_resume(request, runs_dir) or _of_this_flow_run(runs_dir)
    if cut_off is None:
        return request
    state = RunState.model_validate(read_journal(cut_off.path).state)
    if state.faults:
        what = "a run with faults is not resumed: their names are not kept, so that its judge cannot know them"
        raise ConfigError(what, where=str(cut_off.path), cure="Start it anew.")
    # What a person means, and where the report goes, is said anew each time.
    return state.request.model_copy(update={"resume": cut_off.path, "i_mean": request.i_mean, "lang": request.lang})


def open_run(request: Request) -> Run:
    """A run that may begin or go on: its directory exists and is held, its backend is chosen, nothing is started."""
    return _go_on(request, RunDirectory(request.resume)) if request.resume else _begin(request, runs_dir_of(request))


def runs_dir_of(request: Request) -> Path:
    """Where the request's run directory is made."""
    return (request.run_dir or Settings().runs_dir).resolve()


def _begin(request: Request, runs_dir: Path) -> Run:
    profile, load = resolve(request, read_block)
    gates = _checked(request, profile, load)
    settings = Settings()
    recover_cut_off(runs_dir)
    make_room(runs_dir, settings.keep_runs - 1, settings.keep_runs_gib * GIB)
    directory = RunDirectory.create(runs_dir, new_run_id(profile.name, load.name, utc_now()))
    keep_gates(gates, directory.path)
    run = _opened(request, profile, load, directory, gates)
    run.keep()
    return run


def _go_on(request: Request, directory: RunDirectory) -> Run:
    """A run of the same id in the same directory; ConfigError when its load is another by now."""
    journal = read_journal(directory.path)
    profile, load = resolve(request, read_block)
    _require_same_load(load, journal)
    run = _opened(request, profile, load, directory, _checked(request, profile, load))
    take_over(run, journal)
    return run


def _opened(request: Request, profile: Profile, load: Load, directory: RunDirectory, gates: GateFile) -> Run:
    lock = directory.hold()
    backend = open_backend(request.backend or profile.backend, request.ports, Settings(), profile.endpoints(), profile)
    run = Run(request, profile, load, directory, backend, gates.gates)
    run.lock, run.flow_run = lock, flow_run.get_id()
    run.keep = partial(keep_journal, run)
    return run


def _checked(request: Request, profile: Profile, load: Load) -> GateFile:
    """The gates; what cannot work is refused here."""
    require_budget(request, profile, load)
    require_faults(request.fault)
    url = Settings().grafana_url
    if url:
        require_allowed(url, "SUITE_GRAFANA_URL", profile.reach)
    return gates_for(profile, request.gates)


def _asked_to_resume(request: Request, runs_dir: Path) -> RunDirectory | None:
    if request.resume is None:
        return None
    path = request.resume if request.resume.is_dir() else runs_dir / request.resume
    return RunDirectory(path.resolve())


def _of_this_flow_run(runs_dir: Path) -> RunDirectory | None:
    """The run that this flow run had begun before Prefect started it again."""
    if (flow_run.get_run_count() or 1) < 2:
        return None
    for directory in newest_first(runs_dir):
        if has_journal(directory.path) and read_journal(directory.path).state.get("flow_run") == flow_run.get_id():
            return directory
    return None


def _require_same_load(load: Load, journal: Journal) -> None:
    key = journal.facts.key
    if key is not None and key.load_numbers != digest_of_load(load):
        raise ConfigError(
            f"load '{load.name}' has other numbers than when run {journal.facts.run_id} began",
            where="--resume",
            cure="Start a new run: two loads are not one measurement.",
        )
