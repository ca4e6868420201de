"""One real run of the suite in a process of its own, with a stack of its own: what tests kill and interrupt."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.settings import ROOT, process_environment
from core.waiting import wait_for
from infra.embedded import procfs
from infra.embedded.lease import SupervisorClient
from infra.embedded.statedir import StateDir

SHORT_LOAD = Path(__file__).parent / "short.yaml"
UNDER_LOAD = re.compile(r"a-shopping-flow: \d+ s, ")
END_WITHIN_S = 600.0


@dataclass(frozen=True)
class Ended:
    """What a run left: exit code, report (None when there is none), its output, and what still lives."""

    exit_code: int
    report: dict[str, Any] | None
    output: str
    orphans: list[str]
    seconds: float = 0.0

    def rows(self) -> list[dict[str, Any]]:
        """Every check and gate of the report."""
        assert self.report is not None, self.output
        return [*self.report["checks"], *self.report["gates"]]

    def row(self, id: str) -> dict[str, Any]:
        """One check or gate of the report."""
        return next(row for row in self.rows() if row["id"] == id)

    def verdict(self, id: str) -> str:
        """The verdict of one check or gate in the report."""
        return str(self.row(id)["verdict"])

    def named(self, what: str) -> list[str]:
        """Ids of the checks that are not PASS and errors whose sentence names `what`."""
        assert self.report is not None, self.output
        rows = [
            (row["id"], row["observed"]) for row in self.report["checks"] if row["verdict"] not in ("PASS", "SKIPPED")
        ]
        rows += [("errors", f"{row['where']} {row['what']}") for row in self.report["errors"]]
        return sorted({id for id, sentence in rows if what in sentence})


class SuiteProcess:
    """`python -m flows.full_suite` on free ports, with state and run directory below `folder`."""

    def __init__(self, folder: Path, *arguments: str, load: str = str(SHORT_LOAD), **environment: str) -> None:
        self.folder = folder
        self.state = StateDir(folder / "stack")
        command = [sys.executable, "-m", "flows.full_suite", "--ports", "free", "--run-dir", str(folder / "runs")]
        self.process = subprocess.Popen(
            [*command, "--load", load, *arguments],
            cwd=ROOT,
            env=process_environment(
                SUITE_STACK_DIR=str(self.state.path), PREFECT_HOME=str(folder / "prefect"), **environment
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._began = time.monotonic()
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._seen: dict[int, int] = {}  # pid -> start ticks of everything that ran for this run

    def wait_until_under_load(self, timeout_s: float = 240.0) -> None:
        """Return when k6 says that scenario A has begun."""
        wait_for(lambda: self._says(UNDER_LOAD) or not self.running, bool, timeout_s)
        assert self.running, self.output
        assert self._says(UNDER_LOAD), self.output
        for pid in {row["pid"] for row in self.services().values()} | self._children():
            if (stat := procfs.read_stat(pid)) is not None:
                self._seen[pid] = stat.start_ticks

    def services(self) -> dict[str, dict[str, Any]]:
        """The supervisor's row of each service."""
        return {row["name"]: row for row in SupervisorClient(self.state).status() if row["pid"]}

    def k6_pid(self) -> int:
        """The k6 that the run has started."""
        return next(pid for pid in self._children() if _command(pid).endswith("/k6"))

    def kill(self, victim: str, number: int) -> None:
        """Send a signal to one service, to k6, or to the run itself ("suite")."""
        if victim == "suite":
            self.process.send_signal(number)
        else:
            os.kill(self.k6_pid() if victim == "k6" else self.services()[victim]["pid"], number)

    def restart(self, service: str) -> None:
        """Let the supervisor stop and start one service again."""
        SupervisorClient(self.state).ask("restart", name=service)

    def end(self, within_s: float = END_WITHIN_S) -> Ended:
        """Wait for the end of the run and look at what it left."""
        self.wait(within_s)
        seconds = time.monotonic() - self._began
        orphans = wait_for(self._orphans, lambda seen: not seen, timeout_s=30.0)
        return Ended(self.process.returncode, self._report(), self.output, orphans, seconds)

    def wait(self, within_s: float = END_WITHIN_S) -> int:
        """The exit code, when all of the output is there; a run that goes on is killed."""
        try:
            return self.process.wait(within_s)
        finally:
            self.process.kill()
            self._reader.join(10)
            assert self.process.stdout is not None
            self.process.stdout.close()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.append(line)

    def _says(self, pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(line) for line in self._lines)

    def _children(self) -> set[int]:
        """All descendants of the run."""
        parents = {pid: _parent(pid) for pid in procfs.pids()}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def _orphans(self) -> list[str]:
        marked = procfs.marked(f"{self.state.key}/")
        seen = {pid for pid, ticks in self._seen.items() if procfs.is_alive(pid, ticks)}
        return [f"{pid} {procfs.command_line(pid)}" for pid in sorted(marked | seen)]

    def _report(self) -> dict[str, Any] | None:
        path = self.folder / "runs" / "latest" / "report.json"
        return json.loads(path.read_text()) if path.exists() else None


def _parent(pid: int) -> int | None:
    try:
        fields = (procfs.PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1])


def _command(pid: int) -> str:
    try:
        return str((procfs.PROC / str(pid) / "exe").readlink())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
