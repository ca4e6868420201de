"""Log files of services: opened for one start, and their last lines."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import IO

TAIL_LINES = 15
_TAIL_BYTES = 64 * 1024


def rotate(path: Path) -> None:
    """Put the log of the start before this one aside, as `<name>.1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        os.replace(path, rotated(path))


def rotated(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def open_for_append(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines, oldest first; empty when there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - max(_TAIL_BYTES, lines * 1024)))
            return list(deque(file.read().decode(errors="replace").splitlines(), maxlen=lines))
    except FileNotFoundError:
        return []
