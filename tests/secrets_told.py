"""Who tells a secret: files and folders that hold one, and processes that have one on their command line."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROC = Path("/proc")
LOOK_EVERY_S = 0.05


def files_that_tell(folder: Path, secrets: Iterable[str]) -> list[str]:
    """`file: secret` for each file below `folder` that holds one; of a secret only its beginning is shown."""
    wanted = [secret.encode() for secret in secrets]
    assert all(len(secret) >= 8 for secret in wanted), "too short to be found by chance"
    return [
        f"{path.relative_to(folder)}: {secret[:4].decode()}..."
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for secret in wanted
        if secret in path.read_bytes()
    ]


@contextmanager
def command_lines_watched(secrets: Sequence[str]) -> Iterator[list[str]]:
    """While the block runs, the command lines of all processes are looked at; the list has those with a secret."""
    told: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            told.extend(line for line in command_lines() if any(secret in line for secret in secrets))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield told
    finally:
        ended.set()
        watcher.join()


def command_lines() -> Iterator[str]:
    """Of every process that is there now."""
    for file in PROC.glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
