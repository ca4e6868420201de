"""A control group a service, so that cAdvisor can tell them apart and nothing that a service forked is missed.

Every service runs in `/perf-suite-<key of the state dir>/<service>`, in each mounted hierarchy that cAdvisor reads:
cgroup v2 (alone or beside v1) and the v1 controllers below. Where none may be written (ordinary user, read-only mount)
the stack runs without: `Cgroups.why_none` says why (architecture.md, "Backends").
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.settings import NAME
from infra.embedded.statedir import StateDir

log = logging.getLogger("infra")

V1_CONTROLLERS = frozenset({"cpu", "cpuacct", "memory", "blkio", "pids"})
V2_CONTROLLERS = ("cpu", "memory", "io", "pids")
MOUNTINFO = Path("/proc/self/mountinfo")


def cgroup_root(state_dir: Path) -> str:
    """`/perf-suite-<8 hex>`, the group above this stack's services; cAdvisor's prefix and the relabelling use it."""
    return f"/{NAME}-{StateDir(state_dir).key}"


@dataclass(frozen=True)
class Hierarchy:
    """One mounted tree of control groups."""

    mount: Path
    version: int


def mounted_hierarchies(mountinfo: str) -> list[Hierarchy]:
    """The hierarchies that matter here, from the text of /proc/self/mountinfo (proc(5))."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        mount = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), before.split(" ")[4]))
        if kind == "cgroup2":
            found.append(Hierarchy(mount, 2))
        elif kind == "cgroup" and V1_CONTROLLERS & set(options.split(",")):
            found.append(Hierarchy(mount, 1))
    return found


def hierarchies_here() -> list[Hierarchy]:
    """The hierarchies of this machine."""
    return mounted_hierarchies(MOUNTINFO.read_text())


class Cgroups:
    """The groups of one stack; without a usable hierarchy every method does nothing."""

    def __init__(self, tops: Sequence[Path], why_none: str = "") -> None:
        self._tops = tops
        self.why_none = why_none

    @classmethod
    def prepare(cls, root: str, hierarchies: Iterable[Hierarchy]) -> Cgroups:
        """Make the stack's group wherever that is allowed; says once when it is nowhere."""
        tops, refusals = [], ["no control groups are mounted"]
        for hierarchy in hierarchies:
            try:
                tops.append(_make_top(hierarchy, root))
            except OSError as error:
                refusals.append(f"{error.filename}: {error.strerror}")
        if tops:
            return cls(tops)
        log.warning("cgroups: none (%s); container panels will have no data", refusals[-1])
        return cls((), refusals[-1])

    @classmethod
    def existing(cls, root: str, hierarchies: Iterable[Hierarchy]) -> Cgroups:
        """The groups as they are, for looking."""
        return cls([_top(hierarchy, root) for hierarchy in hierarchies])

    def create(self, service: str) -> list[int]:
        """Make the service's group; a process joins by writing "0" to these descriptors; the caller closes them."""
        doors = []
        for top in self._tops:
            group = top / service
            group.mkdir(parents=True, exist_ok=True)
            doors.append(os.open(group / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        return doors

    def members(self, service: str | None = None) -> set[int]:
        """Pids in the service's group, or in any group of this stack."""
        pattern = f"{service or '*'}/cgroup.procs"
        return {pid for top in self._tops for procs in top.glob(pattern) for pid in _pids(procs)}

    def remove(self, service: str | None = None) -> None:
        """Take the emptied group away, or all of them with their parent; one that is still in use stays."""
        for top in self._tops:
            for group in top.glob(f"{service or '*'}/"):
                _rmdir(group)
            if service is None:
                _rmdir(top)


def _top(hierarchy: Hierarchy, root: str) -> Path:
    return hierarchy.mount / root.lstrip("/")


def _make_top(hierarchy: Hierarchy, root: str) -> Path:
    top = _top(hierarchy, root)
    top.mkdir(exist_ok=True)
    if hierarchy.version == 2:
        _delegate(hierarchy.mount)
        _delegate(top)
    return top


def _delegate(group: Path) -> None:
    """Switch the controllers on for the groups below; one that the kernel does not offer here is left out."""
    offered = (group / "cgroup.controllers").read_text().split()
    enabled = (group / "cgroup.subtree_control").read_text().split()
    for controller in V2_CONTROLLERS:
        if controller in offered and controller not in enabled:
            try:
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError as error:
                log.warning("cgroups: %s has no %s controller (%s)", group, controller, error.strerror)


def _pids(procs: Path) -> list[int]:
    try:
        return [int(line) for line in procs.read_text().split()]
    except FileNotFoundError:
        return []


def _rmdir(group: Path) -> None:
    try:
        group.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        log.debug("cgroups: %s stays (%s)", group, error.strerror)
