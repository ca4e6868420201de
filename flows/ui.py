"""Prefect with its UI on this machine: server, worker, deployments and the reports, until Ctrl-C.

python -m flows.ui [--port 4200] [--reports-port 4201]      on 127.0.0.1 only; `make ui`

With PREFECT_API_URL set the server is yours: deployments and worker are brought there, none is started here.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, StateType, WorkPool, WorkPoolStatus
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings
from prefect.states import Cancelling

from core.errors import SetupError, SuiteError
from core.ports import LOOPBACK
from core.processes import dies_with_its_parent
from core.settings import ROOT, Settings, process_environment
from core.waiting import wait_for
from core.words import EXIT_CODES, Verdict
from flows.notifications import FILE as NOTIFICATIONS
from flows.notifications import apply, read_channels
from flows.server import api_at, require_usable, serving, stop
from flows.site import AlreadyRunning, Site, announced

POOL = "perf-suite"
PORT, REPORTS_PORT = 4200, 4201
WORKER_READY_WITHIN_S = 60.0
RUNS_END_WITHIN_S = 180.0
"""A run that is asked to stop ends its load at once; report and teardown take the rest."""
LOOK_EVERY_S = 1.0
UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; 0 also when it runs already, 2 when something does not start."""
    asked = _parser().parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        with ExitStack() as stack:
            site, processes = _started(stack, asked.port, asked.reports_port)
            _say("ready: %s   reports: %s   Ctrl-C ends it", site.ui, site.reports)
            _require_all(processes)
    except KeyboardInterrupt:
        _say("ended")
    except AlreadyRunning as running:
        _say("%s", running)
    except SuiteError as error:
        _say("ERROR %s", error)
        return EXIT_CODES[Verdict.ERROR]
    return 0


def _started(stack: ExitStack, port: int, reports_port: int) -> tuple[Site, Mapping[str, subprocess.Popen[bytes]]]:
    """Everything, in order; the stack ends it in reverse order."""
    own = PREFECT_API_URL.value()
    ui = (PREFECT_UI_URL.value() or own.removesuffix("/api")) if own else f"http://{LOOPBACK}:{port}"
    site = Site(own or api_at(port), ui, f"http://{LOOPBACK}:{reports_port}", os.getpid())
    stack.enter_context(announced(site))
    processes = {}
    if own:
        require_usable(own)
    else:
        _require_free(port, "--port")
        _say("starting the Prefect server ...")
        processes["server"] = stack.enter_context(serving(port, **_of_server(site)))
    stack.enter_context(temporary_settings(updates={PREFECT_API_URL: site.api}))
    environment = {"PREFECT_API_URL": site.api, "SUITE_REPORTS_URL": site.reports}
    _require_free(reports_port, "--reports-port")
    processes["reports"] = stack.enter_context(_reports(reports_port))
    _say("deploying ...")
    deploy(environment)
    apply(read_channels(NOTIFICATIONS))
    _say("starting the worker ...")
    processes["worker"] = stack.enter_context(_worker(environment))
    return site, processes


def _require_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise SetupError(f"port {port} is taken", where=LOOPBACK, cure=f"Give another one with {option}.")


def _of_server(site: Site) -> dict[str, str]:
    """The UI asks its own server and nobody else; what others would be asked for is off."""
    return {
        "PREFECT_UI_API_URL": site.api,
        "PREFECT_UI_URL": site.ui,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    }


def deploy(environment: Mapping[str, str]) -> None:
    """The work pool and every deployment of prefect.yaml; the same again when they are there already."""
    if _pool() is None:
        _prefect(environment, "work-pool", "create", POOL, "--type", "process")
    _prefect(environment, "deploy", "--all")


@contextmanager
def _worker(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the pool; before it goes, runs that are under way are stopped and write their reports."""
    options = ["--pool", POOL, "--type", "process", "--name", f"{platform.node()}-{os.getpid()}"]
    command = [*dies_with_its_parent(), *_PREFECT, "worker", "start", *options]
    with subprocess.Popen(
        command, cwd=ROOT, env=process_environment(**environment), start_new_session=True, stdout=subprocess.DEVNULL
    ) as worker:
        try:
            _wait_until_ready(worker)
            yield worker
        finally:
            _stop_runs()
            stop(worker)


@contextmanager
def _reports(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The run directories as web pages: a browser follows no link from the UI to a file."""
    folder = Settings().runs_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--bind", LOOPBACK, "--directory", str(folder), str(port)]
    command = [*dies_with_its_parent(), sys.executable, "-m", "http.server", *options]
    with subprocess.Popen(
        command, env=process_environment(), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield server
        finally:
            stop(server)


_PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]


def _prefect(environment: Mapping[str, str], *arguments: str) -> None:
    """One command of Prefect's own; SetupError with its last words when it fails."""
    done = subprocess.run(
        [*_PREFECT, *arguments],
        cwd=ROOT,
        env=process_environment(**environment, PWD=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())[-400:]
        command = f"prefect {' '.join(arguments)}"
        raise SetupError(f"`{command}` failed: {said}", where="prefect.yaml", cure="Mend what it names, then again.")


def _pool() -> WorkPool | None:
    with get_client(sync_client=True) as client:
        try:
            return client.read_work_pool(POOL)
        except ObjectNotFound:
            return None


def _wait_until_ready(worker: subprocess.Popen[bytes]) -> None:
    def ready() -> bool | None:
        if worker.poll() is not None:
            return None
        pool = _pool()
        return pool is not None and pool.status is WorkPoolStatus.READY

    if not wait_for(ready, lambda seen: seen is not False, WORKER_READY_WITHIN_S):
        raise SetupError("the worker does not answer", where=f"work pool {POOL}", cure="Its own words are above.")


def _stop_runs() -> None:
    """No load goes on without the worker that watches it."""
    try:
        with get_client(sync_client=True) as client:
            for run in _under_way():
                _say("stopping %s; its report and teardown follow", run.name)
                client.set_flow_run_state(run.id, Cancelling())
        wait_for(_under_way, lambda runs: not runs, RUNS_END_WITHIN_S)
    except Exception as error:  # noqa: BLE001 - a server that is gone cannot say which runs there are; they end themselves
        _say("the Prefect server does not say which runs are under way: %s", error)


def _under_way() -> list[FlowRun]:
    runs = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": UNDER_WAY}}, "parent_task_run_id": {"is_null_": True}}
    )
    pool = WorkPoolFilter.model_validate({"name": {"any_": [POOL]}})
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=runs, work_pool_filter=pool)


def _end(*_: object) -> None:
    """The first Ctrl-C or SIGTERM ends everything in order; further ones change nothing, it is on its way."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _require_all(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Returns never; SetupError when one of them has ended by itself."""
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise SetupError(f"the {name} ended by itself", where="flows.ui", cure="Its own words are above.")
        time.sleep(LOOK_EVERY_S)


def _say(text: str, *values: object) -> None:
    sys.stdout.write(f"{text % values}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.ui",
        description="Prefect's server, UI, worker and this suite's deployments, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"of UI and API (default: {PORT})")
    parser.add_argument(
        "--reports-port", type=int, default=REPORTS_PORT, help=f"where the reports are served (default: {REPORTS_PORT})"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
