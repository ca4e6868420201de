"""A process that is told what to do in lines and answers in lines.

Its stdin is its lease: it ends with the process that holds it, however that ends, and then the load ends too.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import IO, NamedTuple

from core.settings import ROOT


class Said(NamedTuple):
    """A line of process `number`; None: it will say no more."""

    number: int
    line: str | None


class LineProcess:
    """A running child; its lines go to `queue`, its stderr to `log_file`. `close` it."""

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        queue: SimpleQueue[Said],
    ) -> None:
        self.number, self.log_file = number, log_file
        with log_file.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout, queue), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """One line to its stdin; a process that has ended hears nothing, and its end is in the queue."""
        try:
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            self.end_lease()

    def end_lease(self) -> None:
        """The load is to end; the process still accounts for it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                return

    def last_words(self) -> str:
        """How it ended, and the last line of its log."""
        code = self._process.poll()
        tail = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return f"exit code {code}: {''.join(tail) or 'it said nothing'}"

    def close(self, patience_s: float) -> None:
        """Let it end within `patience_s`, then end it."""
        self.end_lease()
        try:
            self._process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self, stream: IO[str] | None, queue: SimpleQueue[Said]) -> None:
        for line in stream or ():
            queue.put(Said(self.number, line))
        queue.put(Said(self.number, None))
