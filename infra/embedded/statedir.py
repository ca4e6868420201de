"""The state directory of one embedded stack: what lies where, and how its socket is reached.

Everything that one stack leaves on disk is below one folder (`core.settings.Settings.state_dir`), so two checkouts
never meet, and `stack-reset` knows what it may delete.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import SetupError


@dataclass(frozen=True)
class StateDir:
    """Paths below one state directory."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(os.path.realpath(self.path)))

    @property
    def key(self) -> str:
        """Eight hex digits that stand for this directory in control groups and in the children's environment."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:8]

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def children(self) -> Path:
        """One record a started process, for the reaper."""
        return self.path / "children"

    @property
    def lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def socket_path(self) -> Path:
        return self.path / "supervisor.sock"

    @property
    def supervisor_log(self) -> Path:
        return self.logs / "supervisor.log"

    def create(self) -> None:
        """Make the folders, for this user only; SetupError when disk or rights do not allow it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.data, self.logs, self.children):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"the stack's folder cannot be made: {error.strerror}",
                where=str(self.path),
                cure="Free some disk space, or set SUITE_STACK_DIR to a folder that you may write.",
            ) from error

    @contextmanager
    def short_socket_path(self) -> Iterator[str]:
        """A name of the socket that always fits: a Unix socket's path ends at 108 bytes, a checkout's does not."""
        folder = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{self.socket_path.name}"
        finally:
            os.close(folder)

    def connect(self) -> socket.socket:
        """A connection to this directory's supervisor; OSError when none listens."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            with self.short_socket_path() as name:
                connection.connect(name)
        except OSError:
            connection.close()
            raise
        return connection

    def listen(self) -> socket.socket:
        """The supervisor's listening socket; whoever calls this holds the lock, so an old socket file is stale."""
        self.socket_path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with self.short_socket_path() as name:
            listener.bind(name)
        self.socket_path.chmod(0o600)
        listener.listen()
        return listener
