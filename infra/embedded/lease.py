"""The client's side: finding or starting the supervisor, asking it, and holding a lease on it.

Every request has a connection of its own, so any thread may ask. A lease is one more connection that does nothing but
stay open; the kernel closes it however this process ends, and the supervisor then stops what was started under it.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tenacity import RetryError, retry_if_exception_type, stop_after_delay, wait_fixed
from tenacity import Retrying as Retry

from core.errors import SetupError
from core.settings import ROOT
from infra.embedded import logfiles, wire
from infra.embedded.statedir import StateDir
from infra.embedded.supervisor import EXIT_ALREADY_RUNNING

log = logging.getLogger("infra")

START_TIMEOUT_S = 30.0
"""For a supervisor's start; it may have to end leftovers first."""

OnEvent = Callable[[dict[str, Any]], None]


class SupervisorClient:
    """Asks the supervisor of one state directory."""

    def __init__(self, state: StateDir) -> None:
        self.state = state

    def ensure_running(self) -> None:
        """Start the supervisor unless one answers; SetupError with its reason when it cannot start."""
        retry = Retry(
            stop=stop_after_delay(START_TIMEOUT_S),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type((FileNotFoundError, ConnectionError)),  # one that was just ending
        )
        try:
            retry(self._answer_or_start)
        except RetryError as error:
            raise self._unreachable() from error

    def ask(self, do: str, on_event: OnEvent | None = None, **fields: Any) -> Any:
        """The supervisor's answer to one request, which may take as long as the work; raises its SetupError."""
        try:
            with self.state.connect() as connection:
                return _converse(connection, {"do": do, **fields}, on_event)
        except OSError as error:
            raise self._unreachable() from error

    def status(self) -> list[dict[str, Any]]:
        """A row a service (`Service.status`); none when no supervisor runs."""
        try:
            with self.state.connect() as connection:
                rows: list[dict[str, Any]] = _converse(connection, {"do": "status"})
        except OSError:
            return []
        return rows

    def _answer_or_start(self) -> None:
        try:
            self._greet()
        except (FileNotFoundError, ConnectionError):
            self._start()
            self._greet()

    def _greet(self) -> None:
        with self.state.connect() as connection:
            _converse(connection, {"do": "hello"})

    def _start(self) -> None:
        command = [sys.executable, "-m", "infra.embedded.supervisor", "--state", str(self.state.path)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
        if done.returncode not in (0, EXIT_ALREADY_RUNNING):
            raise SetupError(
                f"the supervisor could not start: {done.stderr.strip() or f'exit code {done.returncode}'}",
                where=str(self.state.path),
                cure="Mend what it names, then try again.",
            )

    def _unreachable(self) -> SetupError:
        tail = "\n".join(f"  {line}" for line in logfiles.tail(self.state.supervisor_log))
        return SetupError(
            f"the supervisor does not answer. Its last log lines:\n{tail}\n",
            where=str(self.state.supervisor_log),
            cure="Start again: what it ran has ended with it, or is ended at its next start.",
        )


class Lease:
    """Held from construction to `close`, or to the end of this process."""

    def __init__(self, client: SupervisorClient) -> None:
        client.ensure_running()
        self._connection = client.state.connect()
        self.id: str = _converse(self._connection, {"do": "hello", "lease": True})["lease"]
        _close_in_forked_children(self._connection)

    def close(self) -> None:
        """End the lease; what was started under it is stopped, which this waits for. Safe to call twice."""
        with self._connection as connection, suppress(OSError):  # a supervisor that is gone took its children with it
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _converse(connection: socket.socket, request: dict[str, Any], on_event: OnEvent | None = None) -> Any:
    """Send one request and read to its answer; ConnectionError when the other side goes away before."""
    connection.sendall(wire.encode(request))
    with connection.makefile("rb") as answers:
        for line in answers:
            message = wire.decode(line)
            if "event" not in message:
                return _result(message)
            if on_event is not None:
                on_event(message["event"])
    raise ConnectionError("the supervisor closed the connection")


def _result(message: dict[str, Any]) -> Any:
    if "error" in message:
        wire.raise_error(message["error"])
    return message["result"]


def _close_in_forked_children(connection: socket.socket) -> None:
    """A forked worker that outlives this process must not keep the lease open."""
    reference = weakref.ref(connection)

    def close_copy() -> None:
        if (copy := reference()) is not None:
            copy.close()

    os.register_at_fork(after_in_child=close_copy)
