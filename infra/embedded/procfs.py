"""What /proc says about processes: identity, membership, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from core import durable

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MARKER = "PERF_SUITE_SERVICE"
"""Variable in each child's environment, `<state dir key>/<service>`: finds grandchildren where no control group can."""


@dataclass(frozen=True)
class Stat:
    """The identity of a process: a pid alone is used again, pid and start time together are not (within one boot)."""

    pid: int
    state: str
    session: int
    start_ticks: int


def read_stat(pid: int) -> Stat | None:
    """The process' identity; None when there is no such process or only its zombie is left."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command's name before it may hold spaces and brackets
    stat = Stat(pid, state=fields[0], session=int(fields[3]), start_ticks=int(fields[19]))
    return None if stat.state in "ZX" else stat


def is_alive(pid: int, start_ticks: int) -> bool:
    """Whether that very process still runs."""
    stat = read_stat(pid)
    return stat is not None and stat.start_ticks == start_ticks


def started_at(start_ticks: int, now: datetime | None = None) -> datetime:
    """Clock ticks since boot, as a time (UTC)."""
    uptime_s = float((PROC / "uptime").read_text().split()[0])
    return (now or datetime.now(UTC)) - timedelta(seconds=uptime_s - start_ticks / TICKS_PER_S)


boot_id = cache(durable.boot_id)
"""Changes with every boot: start times of another boot say nothing."""


def pids() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def marked(value_prefix: str) -> set[int]:
    """Living processes whose environment holds the marker with a value that starts like this."""
    needle = b"\0" + f"{MARKER}={value_prefix}".encode()
    return {pid for pid in pids() if needle in b"\0" + environment(pid) and read_stat(pid)}


def environment(pid: int) -> bytes:
    """Its variables, each ended by a 0 byte; empty for a process that is gone or another user's."""
    try:
        return (PROC / str(pid) / "environ").read_bytes() + b"\0"
    except OSError:
        return b""


def command_line(pid: int, limit: int = 160) -> str:
    """The command with its arguments, shortened; empty when it cannot be read."""
    try:
        text = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
    return text if len(text) <= limit else f"{text[:limit]}…"


def rss_bytes(pid: int) -> int:
    """Resident memory; 0 when the process is gone."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
