"""The run directory: `runs/<run id>/` holds all of a run, `runs/latest` points to the newest."""

from __future__ import annotations

import fcntl
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from core.errors import SetupError

LOCK = "lock"
"""Held by the process that carries the run out; never removed, so that nobody locks a file that is gone."""


def new_run_id(target: str, load: str, now: datetime) -> str:
    """`YYYYMMDDTHHMMSSZ-<target>-<load>-<4 hex>` (architecture.md, "The run directory")."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{target}-{load}-{secrets.token_hex(2)}"


MARK_LENGTH = 24
"""`lt-<mark>-<5 digits>` must fit the platform's 36 characters of a user id (platform.md 5)."""


def short_mark(run_id: str) -> str:
    """The run as it stands in the target's rows; short enough for its columns."""
    return run_id if len(run_id) <= MARK_LENGTH else f"{run_id[:16]}-{run_id[-4:]}"


def iso(moment: datetime) -> str:
    """UTC ISO 8601 with milliseconds, as report.json writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class RunDirectory:
    """Paths inside one run directory."""

    path: Path

    @classmethod
    def create(cls, runs_dir: Path, run_id: str) -> RunDirectory:
        """Make the directory and point `latest` at it; SetupError when the disk or the rights do not allow it."""
        directory = cls(runs_dir / run_id)
        try:
            for folder in (directory.metrics, directory.k6, directory.logs):
                folder.mkdir(parents=True, exist_ok=True)
            _point_latest(runs_dir, run_id)
        except OSError as error:
            raise SetupError(
                f"the run directory cannot be written: {error.strerror}",
                where=str(directory.path),
                cure="Free some disk space or choose another place with --run-dir.",
            ) from error
        return directory

    def hold(self) -> IO[bytes]:
        """Mark the run as going on until the file is closed, which the kernel does for a process that is killed.

        SetupError when another process has it.
        """
        file = (self.path / LOCK).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            what = f"run {self.run_id} goes on in another process"
            raise SetupError(what, where=str(self.path), cure="Wait for its end, or cancel it first.") from error
        return file

    def is_held(self) -> bool:
        """Whether the run goes on."""
        if not (self.path / LOCK).exists():
            return False
        try:
            self.hold().close()
        except SetupError:
            return True
        return False

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    @property
    def k6(self) -> Path:
        return self.path / "k6"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def report_json(self) -> Path:
        return self.path / "report.json"

    def scenario(self, name: str) -> Path:
        """`k6/<scenario>/`, made when it is asked for."""
        folder = self.k6 / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _point_latest(runs_dir: Path, run_id: str) -> None:
    """Replace the symlink in one step, so that a reader never sees it missing."""
    temporary = runs_dir / f".latest-{run_id}"
    temporary.symlink_to(run_id, target_is_directory=True)
    os.replace(temporary, runs_dir / "latest")
