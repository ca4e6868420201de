"""Each run is kept as one line of `history/runs.jsonl`, beside the run directories.

Lines are only ever appended, each in one write that is on the disk before the next step. What a crash left half written
is named and left out, and the next line begins on a line of its own. Two runs that end at once wait for each other.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from core.durable import sync_folder
from core.errors import SetupError
from core.words import Verdict
from report.model import Moment, Report, Row, RunKey

FOLDER = "history"
FILE = "runs.jsonl"
LOCK = "lock"
_CURE = "Free some disk space or mend the rights of this folder; the run directory has all of the run."


class OpenRegression(Row):
    """What a run knew to be worse."""

    figure: str
    since: str = Field(description="first run at the new level")
    announced: bool


class Kept(Row):
    """One run in the history."""

    schema_version: Literal[1] = 1
    run_id: str
    started: Moment
    verdict: Verdict
    key: RunKey
    figures: Mapping[str, float]
    open: tuple[OpenRegression, ...] = ()

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def measured(self) -> bool:
        """Its figures claim something: nothing was missing, and the generator was valid."""
        return self.verdict in (Verdict.PASS, Verdict.FAIL)


@dataclass(frozen=True)
class Read:
    """The history's runs, oldest first, and what could not be read."""

    runs: tuple[Kept, ...]
    problems: tuple[str, ...]


def kept_of(report: Report) -> Kept:
    """A report's line; ValueError where it has no key."""
    if report.key is None:
        raise ValueError(f"run {report.run_id} has no key")
    return Kept(
        run_id=report.run_id, started=report.started, verdict=report.verdict, key=report.key, figures=report.figures
    )


class History:
    """The file in `folder`; SetupError where the disk or the rights do not allow what is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads and appends meanwhile; the lock of a process that dies is gone with it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._error("cannot be locked", error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def read(self) -> Read:
        """Every whole line; a run that stands there twice counts once, as it was written last."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return Read((), ())
        except OSError as error:
            raise self._error("cannot be read", error) from error
        runs: dict[str, Kept] = {}
        problems = []
        for number, line in enumerate(lines, 1):
            try:
                if line:
                    run = Kept.model_validate_json(line)
                    runs[run.run_id] = run
            except ValidationError as error:
                problems.append(f"{FOLDER}/{FILE} line {number} is left out: {_why(error)}")
        return Read(tuple(sorted(runs.values(), key=lambda run: run.started)), tuple(problems))

    def append(self, run: Kept) -> None:
        """Write one line; it is on the disk when this returns."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                line = run.model_dump_json().encode() + b"\n"
                _write(file, line if _ends_well(file) else b"\n" + line)
                os.fsync(file)
            finally:
                os.close(file)
            sync_folder(self.folder)
        except OSError as error:
            raise self._error("cannot be written", error) from error

    def _error(self, what: str, error: OSError) -> SetupError:
        return SetupError(f"the history {what}: {error.strerror}", where=str(self.path), cure=_CURE)


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "it was not written to its end"
    return f"{'.'.join(str(part) for part in first['loc'])} {first['msg']}"


def _ends_well(file: int) -> bool:
    """Empty, or its last byte ends a line."""
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"


def _write(file: int, content: bytes) -> None:
    """All of it; the system may take less at a time when the disk is nearly full, then says so at the next."""
    while content:
        content = content[os.write(file, content) :]
