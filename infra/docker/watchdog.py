"""The process that outlives a run for as long as it takes to stop the run's containers (lease.py).

python -m infra.docker.watchdog PROJECT

It prints its lease's id, answers the token on that port, and reads what it is responsible for, one JSON line each.
"""

from __future__ import annotations

import json
import logging
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import SuiteError
from core.ports import LOOPBACK
from infra.docker.compose import Project
from infra.docker.engine import Container, Engine

log = logging.getLogger("infra.docker.watchdog")

TRY_FOR_S = 120.0
QUIET_S = 5.0
"""A `docker compose up` that outlived the run may still create containers: until that long nothing new was seen."""
POLL_S = 0.5


def main() -> None:
    """Answer for the lease until stdin closes, then take down what is left of it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener, token = socket.create_server((LOOPBACK, 0)), secrets.token_hex(8)
    threading.Thread(target=_answer, args=(listener, token), daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}:{token}\n")
    sys.stdout.flush()
    duties = Duties(sys.argv[1])
    duties.read(sys.stdin)
    duties.carry_out()


def _answer(listener: socket.socket, token: str) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(token.encode())


class Duties:
    """What the run has put into the watchdog's hands."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._own: set[str] = set()
        self._found: set[str] = set()
        self._network = False
        self._restore: list[tuple[Project, list[str]]] = []
        self._released = False

    def read(self, lines: Iterable[str]) -> None:
        """Take over each line's duty; returns when the run has closed the pipe, or is gone."""
        for line in lines:
            self._take(json.loads(line))

    def carry_out(self) -> None:
        """Stop and remove, unless the run did it itself; an engine that is away is tried again for a while."""
        deadline = time.monotonic() + TRY_FOR_S
        while not self._released and time.monotonic() < deadline:
            try:
                self._take_down(deadline)
                return
            except SuiteError as error:
                log.warning("%s", error)
                time.sleep(POLL_S)

    def _take(self, words: dict[str, Any]) -> None:
        self._own |= set(words.get("own", ()))
        self._found |= set(words.get("found", ()))
        self._network |= bool(words.get("network"))
        self._released |= bool(words.get("release"))
        if theirs := words.get("restore"):
            project = Project(theirs["name"], tuple(map(Path, theirs["files"])), Path(theirs["folder"]))
            self._restore.append((project, words["services"]))

    def _is_left(self, container: Container) -> bool:
        return container.service in self._own and (container.running or container.id not in self._found)

    def _take_down(self, deadline: float) -> None:
        engine = Engine()
        quiet_since = time.monotonic()
        while time.monotonic() < min(quiet_since + QUIET_S, deadline):
            ids = [each.id for each in engine.containers(self._project).values() if self._is_left(each)]
            if ids:
                log.info("the run is gone: taking down %d containers of %s", len(ids), self._project)
                engine.take_down(ids, self._found)
                quiet_since = time.monotonic()
            time.sleep(POLL_S)
        for project, services in self._restore:
            project.run("up", "--detach", "--no-deps", *services)
        if self._network and not engine.containers(self._project):
            engine.remove_networks(self._project)


if __name__ == "__main__":
    main()
