"""A run's hold on its containers: however the run ends, what it started is stopped.

The lease is a pipe to a watchdog (watchdog.py) in a session of its own. When the pipe closes without a word, which it
does also after SIGKILL, the watchdog takes down what it was told of. Each container carries the lease's id as a label;
the id is the address at which the watchdog answers, so a later start finds containers whose lease has died with its
watchdog, and reaps them. Pipes and loopback sockets are all it takes, so it works on macOS too.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from core.errors import SetupError
from core.ports import LOOPBACK
from core.settings import ROOT, process_environment
from infra.docker.compose import Project

LOOK_TIMEOUT_S = 2.0
END_TIMEOUT_S = 10.0
KEPT = "kept-leases"


class Lease:
    """Held by the process that made it; `id` is `port:token`."""

    def __init__(self, project: str, state: Path) -> None:
        with (state / "watchdog.log").open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "infra.docker.watchdog", project),
                cwd=ROOT,
                env=process_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self.id = self._process.stdout.readline().strip()
        self._state = state
        if not self.id:
            raise SetupError(
                "the watchdog did not start", where=str(state / "watchdog.log"), cure="Its last line says why."
            )

    def own(self, services: Collection[str], found: Collection[str], network: bool) -> None:
        """Before they are started: these services, and the project's network if there was none, end with the lease.

        `found`: ids of stopped containers that were there before, which are stopped again and not removed.
        """
        self._tell(own=sorted(services), found=sorted(found), network=network)

    def restore(self, theirs: Project, services: Collection[str]) -> None:
        """Before they are altered: these services of the platform are put back with the lease's end."""
        files = [str(file) for file in theirs.files]
        self._tell(
            restore={"name": theirs.name, "files": files, "folder": str(theirs.folder)}, services=sorted(services)
        )

    def keep(self) -> None:
        """What was started stays when the lease ends, and is not reaped later."""
        with (self._state / KEPT).open("a", encoding="utf-8") as kept:
            kept.write(f"{self.id}\n")
        self._tell(release=True)

    def close(self) -> None:
        """Everything is taken down: the watchdog has nothing left to do."""
        self._tell(release=True)
        try:
            self._process.communicate(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _tell(self, **words: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise SetupError(
                "the watchdog has ended", where=str(self._state / "watchdog.log"), cure="Its last line says why."
            ) from error


def is_held(lease: str, state: Path) -> bool:
    """Whether somebody still answers for this lease, or it was kept on purpose (`--keep-stack`)."""
    return lease in _kept(state) or _answers(lease)


def _kept(state: Path) -> set[str]:
    file = state / KEPT
    return set(file.read_text(encoding="utf-8").split()) if file.exists() else set()


def _answers(lease: str) -> bool:
    port, _, token = lease.partition(":")
    try:
        with socket.create_connection((LOOPBACK, int(port)), timeout=LOOK_TIMEOUT_S) as connection:
            return connection.makefile().read() == token
    except (OSError, ValueError):
        return False
