"""Which Prefect server of ours runs: `make ui` holds a lock with its addresses, and runs by hand report to it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from prefect.settings import PREFECT_HOME

from core.errors import SetupError

FILE = "ui.json"


@dataclass(frozen=True)
class Site:
    """Addresses of what `make ui` runs, and its process id."""

    api: str
    ui: str
    reports: str
    pid: int


class AlreadyRunning(SetupError):
    """Another `make ui` has this Prefect home."""

    def __init__(self, site: Site) -> None:
        super().__init__(f"`make ui` runs already: {site.ui}", where=f"process {site.pid}", cure="Use that one.")
        self.site = site


def running_site() -> Site | None:
    """What runs now; the lock of a process that died is gone with it, whatever its file says."""
    try:
        with _path().open("rb") as file:
            if _locked(file.fileno()):
                return None
            return Site(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def announced(site: Site) -> Iterator[None]:
    """`running_site` finds this one while the block runs; AlreadyRunning when there is another."""
    _path().parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(_path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+") as file:
        if not _locked(file.fileno(), exclusive=True):
            raise AlreadyRunning(Site(**json.load(file)))
        file.truncate(0)
        json.dump(asdict(site), file)
        file.flush()
        yield


def _path() -> Path:
    return Path(PREFECT_HOME.value()) / FILE


def _locked(file: int, *, exclusive: bool = False) -> bool:
    """Did we get the lock, that is: does nobody else hold it?"""
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
