"""Run directories that are kept: the newest, up to a number and a size; the oldest go before a new run begins."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from core.rundir import RunDirectory

log = logging.getLogger("suite")

RUN_ID = re.compile(r"\d{8}T\d{6}Z-.+-[0-9a-f]{4}")


def make_room(runs_dir: Path, keep: int, keep_bytes: float) -> list[str]:
    """Remove the oldest run directories beyond `keep` or `keep_bytes`; their ids.

    A run that goes on is never removed, nor the newest one, nor what is no run directory. One that cannot be removed
    is named in the log and stays.
    """
    removed = []
    for directory in _too_many(runs_dir, keep, keep_bytes):
        try:
            shutil.rmtree(directory.path)
        except OSError as error:
            log.warning("run directory %s cannot be removed: %s", directory.path, error.strerror)
            continue
        removed.append(directory.run_id)
    if removed:
        log.info("removed %d old run directories: %s", len(removed), ", ".join(removed))
    return removed


def _too_many(runs_dir: Path, keep: int, keep_bytes: float) -> Iterator[RunDirectory]:
    """From the newest on: what does not fit any more."""
    used = 0
    for place, directory in enumerate(newest_first(runs_dir)):
        used += _size(directory.path)
        if place > 0 and (place >= keep or used > keep_bytes) and not directory.is_held():
            yield directory


def newest_first(runs_dir: Path) -> list[RunDirectory]:
    """The run directories in a folder; their ids begin with their time."""
    if not runs_dir.is_dir():
        return []
    found = [path for path in runs_dir.iterdir() if RUN_ID.fullmatch(path.name) and path.is_dir()]
    return [RunDirectory(path) for path in sorted(found, key=lambda path: path.name, reverse=True)]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
