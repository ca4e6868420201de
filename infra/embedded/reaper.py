"""Children on record, and the end of those that an earlier supervisor left behind.

Every started process is written down before anybody may rely on it: pid, start time, boot. The next supervisor of the
same state directory ends what still runs: recorded processes whose pid, start time and boot all match, members of this
stack's control groups, and processes that carry this stack's marker in their environment.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import SetupError
from infra.embedded import procfs
from infra.embedded.cgroups import Cgroups
from infra.embedded.statedir import StateDir

log = logging.getLogger("infra")

KILL_TIMEOUT_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Record:
    """One started process, as it stands in the state directory."""

    name: str
    pid: int
    start_ticks: int
    boot_id: str

    @property
    def alive(self) -> bool:
        return self.boot_id == procfs.boot_id() and procfs.is_alive(self.pid, self.start_ticks)


class Records:
    """A file a service below `children/`; each survives a crash of the machine or is not there at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: Record) -> None:
        temporary = self._path(record.name).with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path(record.name))
        _sync_folder(self._folder)

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """Every readable record; one that a crash has cut short says nothing and is taken away."""
        records = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                records.append(Record(**json.loads(path.read_text())))
            except (ValueError, TypeError) as error:
                log.warning("record %s cannot be read (%s), removed", path, error)
                path.unlink()
        return records

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(state: StateDir, records: Records, cgroups: Cgroups) -> set[int]:
    """Pids that belong to this state directory's stack, however they were started."""
    recorded = {record.pid for record in records.all() if record.alive}
    return recorded | cgroups.members() | procfs.marked(f"{state.key}/")


def reap(state: StateDir, records: Records, cgroups: Cgroups) -> int:
    """End what an earlier supervisor left; returns how many processes that were. SetupError when one stays."""
    reaped: dict[int, str] = {}

    def victims() -> set[int]:
        found = leftovers(state, records, cgroups)
        reaped.update({pid: procfs.command_line(pid) for pid in found - reaped.keys()})
        return found

    stubborn = kill_until_gone(victims)
    for pid, command in reaped.items():
        log.info("leftover of an earlier supervisor ended: pid %d (%s)", pid, command)
    if stubborn:
        raise _cannot_reap(stubborn)
    for record in records.all():
        records.remove(record.name)
    cgroups.remove()
    return len(reaped)


def kill_until_gone(find: Callable[[], set[int]], timeout_s: float = KILL_TIMEOUT_S) -> set[int]:
    """SIGKILL whatever `find` names until it names nothing; returns what is left when the time is over."""
    deadline = time.monotonic() + timeout_s
    while (found := find()) and time.monotonic() < deadline:
        for pid in found:
            send(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    return found


def send(pid: int, number: signal.Signals) -> None:
    """A signal; a process that is gone, or that this user may not touch, is for the caller's next look to tell."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError) as error:
        log.debug("pid %d: %s", pid, error.strerror)


def _cannot_reap(pids: set[int]) -> SetupError:
    named = ", ".join(f"{pid} ({procfs.command_line(pid)})" for pid in sorted(pids))
    return SetupError(
        f"processes of an earlier stack do not end: {named}",
        where="reaper",
        cure="End them as the user who started them, then run this again.",
    )
