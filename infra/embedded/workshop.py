"""How programs are fetched and built: one unit a folder, one command at a time, never in silence.

A `Unit` says what to make; its folder `<cache>/programs/<name>-<stamp>/` appears in one step (rename) when it is
complete, so a folder that exists is good, and a build that was interrupted leaves nothing that is mistaken for one.
The stamp is the hash of the recipe: another version is another folder.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from core.errors import SetupError
from core.settings import process_environment

log = logging.getLogger("infra")

HEARTBEAT_S = 10.0
LIMIT_S = 1200.0
"""A single command that takes longer hangs; the slowest (k6) needs about 130 s on 2 cores."""
TAIL_LINES = 15
Progress = Callable[[str], None]


class Workshop:
    """Runs the commands of a set-up; what happens is told through `progress`, one line a step and one each 10 s."""

    def __init__(self, progress: Progress = log.info, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._progress = progress
        self._heartbeat_s = heartbeat_s
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self, title: str, command: Sequence[str], *, cwd: Path, cure: str, env: Mapping[str, str] | None = None
    ) -> str:
        """Run `command`, with `env` added to the environment, and return what it printed.

        SetupError with `cure` and the last lines when it fails or takes longer than `LIMIT_S`.
        """
        started = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = self._start(command, cwd, env or {}, output)
            try:
                self._watch(process, title, started)
            finally:
                self._end(process)
            output.seek(0)
            text = output.read().decode(errors="replace")
        if process.returncode != 0:
            raise _failure(title, command, process.returncode, text, cure)
        self._progress(f"{title}: done in {time.monotonic() - started:.0f} s")
        return text

    def stop(self) -> None:
        """End what is running and let nothing new begin (an interrupt, or a failure in the other lane)."""
        self._stopped = True
        for process in tuple(self._running):
            process.terminate()

    def _start(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        if self._stopped:
            raise SetupError("the set-up was stopped", cure="Run it again: what is complete is kept.")
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=process_environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        self._running.add(process)
        return process

    def _watch(self, process: subprocess.Popen[bytes], title: str, started: float) -> None:
        self._progress(f"{title} …")
        while (elapsed := time.monotonic() - started) < LIMIT_S:
            try:
                process.wait(self._heartbeat_s)
                return
            except subprocess.TimeoutExpired:
                self._progress(f"{title} … {elapsed + self._heartbeat_s:.0f} s")
        raise SetupError(f"{title} did not end within {LIMIT_S:.0f} s", cure="Check the network, then run it again.")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.kill()
            process.wait()
        self._running.discard(process)


@dataclass(frozen=True)
class Unit:
    """Something that is made in one go: `make(folder, workshop)` fills an empty folder.

    `lane`: builds use all cores and run one after the other, beside the downloads.
    `require` raises SetupError when a tool that `make` needs is missing.
    """

    name: str
    stamp: str
    lane: Literal["build", "download"]
    make: Callable[[Path, Workshop], None]
    require: Callable[[], None]

    def folder(self, programs_dir: Path) -> Path:
        return programs_dir / f"{self.name}-{self.stamp}"

    def is_made(self, programs_dir: Path) -> bool:
        return self.folder(programs_dir).is_dir()

    def make_in(self, programs_dir: Path, workshop: Workshop) -> None:
        """Make the folder, complete or not at all; one that is there already stays as it is."""
        if self.is_made(programs_dir):
            return
        partial = programs_dir / f"{self.name}-{self.stamp}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            self.make(partial, workshop)
            partial.rename(self.folder(programs_dir))
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def stamp_of(*parts: str, files: Iterable[Path] = ()) -> str:
    """12 hex digits over the recipe: its texts, its files (by name and content) and the kind of machine."""
    digest = hashlib.sha256()
    for part in (platform.system(), platform.machine(), *parts):
        digest.update(part.encode() + b"\0")
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last non-empty lines of a program's output."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def _failure(title: str, command: Sequence[str], code: int, text: str, cure: str) -> SetupError:
    if "no space left on device" in text.lower():
        cure = "The disk is full: free some space (about 6 GB are needed in all), then run it again."
    return SetupError(
        f"{title} failed with exit code {code}; its last lines:\n{tail(text)}\n",
        where=" ".join(command[:3]),
        cure=cure,
    )
