"""A real Prefect server and worker for a test: `make ui` on free ports, with a home, stack and runs of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from core.ports import LOOPBACK
from core.processes import free_port
from core.settings import ROOT, process_environment
from core.waiting import wait_for

READY_WITHIN_S = 420.0
"""A minute on a machine of two cores that has nothing else to do."""
STOPS_WITHIN_S = 240.0


class PrefectSite:
    """`python -m flows.ui` while the block runs.

    `folder` holds all of it: prefect/ (home), stack/ (state of the embedded stack), runs/ (run directories).
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.port = free_port()
        self.ui = f"http://{LOOPBACK}:{self.port}"
        self.api = f"{self.ui}/api"
        self.reports_port = free_port()
        self.lines: list[str] = []
        self.environment = process_environment(
            PREFECT_HOME=str(folder / "prefect"),
            SUITE_STACK_DIR=str(folder / "stack"),
            SUITE_RUNS_DIR=str(self.runs),
            PYTHONUNBUFFERED="1",
            **environment,
        )
        self.environment.pop("PREFECT_API_URL", None)
        self._settings = temporary_settings(updates={PREFECT_API_URL: self.api})

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port), "--reports-port", str(self.reports_port)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(lambda: "ready:" in self.output or self.process.poll() is not None, bool, READY_WITHIN_S, every_s=0.1)
        if "ready:" not in self.output:
            self.stop()
            raise AssertionError(self.output)
        self._settings.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._settings.__exit__(kind, error, at)
        self.stop()

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "flows.ui"]

    @property
    def output(self) -> str:
        """What it has said so far."""
        return "".join(self.lines)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to end as a person does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOPS_WITHIN_S)
        finally:
            self.process.kill()
            self._reader.join(10)
            assert self.process.stdout is not None
            self.process.stdout.close()

    def start(self, deployment: str, parameters: Mapping[str, Any] | None = None) -> FlowRun:
        """Trigger `full-suite/<deployment>` by the API; free ports and this site's runs unless told otherwise."""
        flow = deployment if "/" in deployment else f"full-suite/{deployment}"
        with self.client() as client:
            found = client.read_deployment_by_name(flow)
            return client.create_flow_run_from_deployment(found.id, parameters=dict(parameters or {}))

    def state(self, run: FlowRun) -> State[Any]:
        with self.client() as client:
            state = client.read_flow_run(run.id).state
        assert state is not None
        return state

    def wait_until(self, run: FlowRun, *names: str, timeout_s: float = 400.0) -> State[Any]:
        """The run's state once it has one of `names`, or is final; AssertionError when neither comes."""
        seen = wait_for(lambda: self.state(run), lambda state: state.name in names or state.is_final(), timeout_s)
        assert seen.name in names or seen.is_final(), f"{seen!r}\n{self.output}"
        return seen

    def cancel(self, run: FlowRun) -> None:
        """As the UI's button does."""
        with self.client() as client:
            client.set_flow_run_state(run.id, Cancelling())

    def client(self) -> SyncPrefectClient:
        """A client of this site's API."""
        return get_client(sync_client=True)

    def children(self) -> list[int]:
        """Process ids of server, reports and worker."""
        return _children(self.process.pid)

    def wait_until_idle(self, timeout_s: float = 120.0) -> None:
        """No process of a run is left: each has sent its last line by then."""
        left = wait_for(
            lambda: [pid for own in self.children() for pid in _children(own)], lambda pids: not pids, timeout_s
        )
        assert left == [], self.output

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(child) for child in listed.stdout.split()]
