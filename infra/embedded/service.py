"""The life of one service: prepared, started, read back as ready, watched, stopped.

waiting ─► initialising ─► starting ─► running ─► stopping ─► stopped
   └─────────────┴────────────┴──► failed └─► exited
Nothing here starts a service again by itself (architecture.md, "Backends").
"""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import SetupError
from core.rundir import iso, utc_now
from infra.embedded import logfiles, portcheck, procfs
from infra.embedded.cgroups import Cgroups
from infra.embedded.process import Child, ChildWatcher, Launch, describe_end, give_to_service_user, is_root, spawn
from infra.embedded.readiness import look
from infra.embedded.reaper import KILL_TIMEOUT_S, Record, Records, send
from infra.embedded.spec import ServiceSpec
from infra.embedded.statedir import StateDir

log = logging.getLogger("infra")

POLL_S = 0.1
STILL_WAITING_S = 5.0
"""How often a service that is not ready yet says what was seen last."""
DISK_CURES = {
    errno.ENOSPC: "Free some disk space (`df -h`), or set SUITE_STACK_DIR to a larger disk.",
    errno.EDQUOT: "Free some of your quota, or set SUITE_STACK_DIR to another disk.",
    errno.EACCES: "Make it readable and writable for you, or run `make stack-reset`.",
    errno.EPERM: "Make it yours, or run `make stack-reset` as its owner.",
    errno.EROFS: "Set SUITE_STACK_DIR to a folder that may be written.",
    errno.ENOENT: "Fetch the programs again: `python -m infra.embedded.programs`.",
}


class State(StrEnum):
    """Where a service is in its life."""

    WAITING = "waiting"
    INITIALISING = "initialising"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    EXITED = "exited"
    FAILED = "failed"


GONE = frozenset({State.STOPPED, State.EXITED, State.FAILED})
"""States in which the service may be started anew."""


@dataclass(frozen=True)
class Host:
    """What every service of one supervisor shares."""

    state: StateDir
    cgroups: Cgroups
    records: Records
    watcher: ChildWatcher


Announce = Callable[[dict[str, Any]], None]


class Service:
    """One service of the stack.

    `lease` is the lease that started it; None: it stays until it is stopped. `retired`: its final stop has begun.
    """

    def __init__(self, spec: ServiceSpec, lease: str | None, host: Host, announce: Announce) -> None:
        self.spec = spec
        self.lease = lease
        self.state = State.WAITING
        self.since = utc_now()
        self.child: Child | None = None
        self._host = host
        self._announce = announce
        self._ending = ""
        self._started: datetime | None = None
        self._ready_after_s: float | None = None
        self._settled: asyncio.Future[SetupError | None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._cleaning: asyncio.Task[None] | None = None
        self._stop_task: asyncio.Task[None] | None = None
        self._restarting = asyncio.Lock()
        self.retired = False

    @property
    def name(self) -> str:
        return self.spec.name

    def begin(self, dependencies: Sequence[Service]) -> None:
        """Start in the background; `ready` tells how it went."""
        self._begin(self._bring_up(dependencies))

    async def ready(self) -> SetupError | None:
        """Wait until the service is ready (None) or has failed (why); one that has ended since is not ready."""
        outcome = await asyncio.shield(self._settled)
        if outcome is None and self.state is State.EXITED:
            return self._death(f"{self.name} was ready and has ended by itself ({self._ending})")
        return outcome

    async def stop(self) -> None:
        """Terminate, wait, kill; returns when nothing of the service is left. Safe to call twice at once."""
        self.retired = True
        await self._stop_once()

    async def restart(self) -> SetupError | None:
        """Stop, start the same spec again and wait as `ready` does; the log goes on, and so does the lease."""
        async with self._restarting:
            await self._stop_once()
            if self.retired:
                raise self._stopped_meanwhile()
            self._stop_task = None
            self._ending = ""
            self._settled = asyncio.get_running_loop().create_future()
            self._enter(State.WAITING)
            self._begin(self._bring_up((), rotate_log=False))
            return await self.ready()

    def status(self) -> dict[str, Any]:
        """One row of `stack-status`: times in UTC ISO 8601, resident memory of all the service's processes in bytes."""
        return {
            "name": self.name,
            "state": self.state,
            "detail": self._ending,
            "pid": self.child.pid if self.child else None,
            "start_ticks": self.child.start_ticks if self.child else None,
            "start_time": iso(self._started) if self._started else None,
            "since": iso(self.since),
            "ready_after_s": self._ready_after_s,
            "ports": list(self.spec.ports),
            "log_file": self.spec.log_file,
            "lease": self.lease,
            "memory_bytes": sum(procfs.rss_bytes(pid) for pid in self._members()),
        }

    # --- start

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(work, name=f"start {self.name}")
        self._task.add_done_callback(self._settle_unexpected)

    def _settle_unexpected(self, task: asyncio.Task[None]) -> None:
        """A defect of ours must not leave anyone waiting."""
        if not task.cancelled() and (defect := task.exception()) is not None:
            log.error("%s: unexpected", self.name, exc_info=defect)
            self._enter(State.FAILED, detail=repr(defect))
            self._settle(
                SetupError(
                    f"{self.name} could not be started: {defect!r}", where=self.name, cure="See the supervisor's log."
                )
            )

    async def _bring_up(self, dependencies: Sequence[Service], rotate_log: bool = True) -> None:
        try:
            await self._wait_for(dependencies)
            self._prepare(rotate_log)
            await self._initialise()
            await self._launch()
        except SetupError as error:
            await self._fail(error)
        except OSError as error:
            await self._fail(self._disk_error(error))

    async def _wait_for(self, dependencies: Sequence[Service]) -> None:
        for needed in dependencies:
            if await needed.ready() is not None:
                raise SetupError(
                    f"{self.name} was not started: it needs {needed.name}, which failed",
                    where=self.name,
                    cure=f"See what is said about {needed.name}.",
                )

    def _prepare(self, rotate_log: bool) -> None:
        portcheck.require_free({self.name: self.spec.ports})
        log_file, data = Path(self.spec.log_file), Path(self.spec.data_dir)
        if rotate_log:
            logfiles.rotate(log_file)
        if self._must_initialise and data.exists():
            shutil.rmtree(data)
        for folder in (data, log_file.parent, Path(self.spec.cwd)):
            folder.mkdir(parents=True, exist_ok=True)
        for path, content in self.spec.files.items():
            _write_private(Path(path), content)
        if self._drops_root:
            give_to_service_user(data, *map(Path, self.spec.files))

    async def _initialise(self) -> None:
        if not self._must_initialise:
            return
        self._enter(State.INITIALISING)
        for command in self.spec.init:
            with logfiles.open_for_append(Path(self.spec.log_file)) as output:
                child = spawn(command, self._launch_plan(output.fileno(), self.spec.init_env), self._host.watcher)
            code = await child.exited
            if code != 0:
                raise self._death(
                    f"{self.name} could not be initialised: `{command[0]}` ended with {describe_end(code)}"
                )
        Path(self.spec.init_marker).touch()

    async def _launch(self) -> None:
        begin = asyncio.get_running_loop().time()
        with logfiles.open_for_append(Path(self.spec.log_file)) as output:
            self.child = spawn(self.spec.argv, self._launch_plan(output.fileno(), self.spec.env), self._host.watcher)
        self._host.records.write(Record(self.name, self.child.pid, self.child.start_ticks, procfs.boot_id()))
        self._started = procfs.started_at(self.child.start_ticks)
        self._enter(State.STARTING, pid=self.child.pid)
        await self._read_back(self.child)
        self.child.exited.add_done_callback(lambda _: self._exited())
        self._ready_after_s = round(asyncio.get_running_loop().time() - begin, 2)
        self._enter(State.RUNNING, after_s=self._ready_after_s)
        self._settle(None)

    async def _read_back(self, child: Child) -> None:
        """Look until the service is ready; SetupError when it dies or does not get ready in time."""
        clock = asyncio.get_running_loop().time
        begin = said = looked = clock()
        while (seen := await look(self.spec.ready, self._run_probe)) is not None or not child.running:
            cost_s, waited_s = clock() - looked, clock() - begin
            if not child.running:
                raise self._death(f"{self.name} died at its start: {describe_end(child.exited.result())}")
            if waited_s > self.spec.ready_timeout_s:
                raise self._death(f"{self.name} was not ready after {waited_s:.0f} s; last seen: {seen}")
            if clock() - said >= STILL_WAITING_S:
                said = clock()
                self._announce(
                    {"service": self.name, "state": "not ready yet", "waited_s": round(waited_s), "seen": seen}
                )
            await asyncio.wait([child.exited], timeout=max(POLL_S, cost_s))  # a look that is dear is taken less often
            looked = clock()

    async def _run_probe(self, argv: Sequence[str]) -> tuple[int, str]:
        with tempfile.TemporaryFile() as output:
            child = spawn(argv, self._launch_plan(output.fileno(), self.spec.env), self._host.watcher)
            try:
                code = await child.exited
            finally:
                child.signal(signal.SIGKILL)
            output.seek(0)
            return code, output.read().decode(errors="replace")

    def _launch_plan(self, output: int, env: Mapping[str, str]) -> Launch:
        return Launch(
            cwd=self.spec.cwd,
            env=env,
            marker=f"{self._host.state.key}/{self.name}",
            output=output,
            drop_root=self._drops_root,
            open_cgroup=lambda: self._host.cgroups.create(self.name),
        )

    @property
    def _must_initialise(self) -> bool:
        return bool(self.spec.init) and not Path(self.spec.init_marker).exists()

    @property
    def _drops_root(self) -> bool:
        return self.spec.refuses_root and is_root()

    # --- end

    async def _stop_once(self) -> None:
        if self._stop_task is None:
            self._stop_task = asyncio.create_task(self._stop(), name=f"stop {self.name}")
        await asyncio.shield(self._stop_task)

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._cleaning is not None:
            await self._cleaning
        self._settle(self._stopped_meanwhile())
        if self.state not in GONE:
            self._enter(State.STOPPING)
        await self._end_processes()
        self._enter(State.STOPPED)

    async def _end_processes(self) -> None:
        """The leader gets the service's stop signal, what is left then SIGTERM, what outstays the time is killed."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.spec.stop_timeout_s
        if self.child is not None and self.child.running:
            self.child.signal(signal.Signals[self.spec.stop_signal])
            await asyncio.wait([self.child.exited], timeout=self.spec.stop_timeout_s)
        if await self._signal_members(signal.SIGTERM, deadline):
            log.warning("%s did not end within %g s: killed", self.name, self.spec.stop_timeout_s)
        for pid in await self._signal_members(signal.SIGKILL, clock() + KILL_TIMEOUT_S):
            log.error("%s: pid %d (%s) does not end", self.name, pid, procfs.command_line(pid))
        self._host.records.remove(self.name)
        self._host.cgroups.remove(self.name)

    async def _signal_members(self, number: signal.Signals, deadline: float) -> set[int]:
        """Signal each process of the service once and wait for their end; answers which are left at the deadline."""
        told: set[int] = set()
        while (members := self._members()) and asyncio.get_running_loop().time() < deadline:
            for pid in members - told:
                send(pid, number)
            told |= members
            await asyncio.sleep(POLL_S)
        return members

    def _members(self) -> set[int]:
        """Living processes of the service: its leader, its control group, and all that carry its marker."""
        members = self._host.cgroups.members(self.name) or procfs.marked(f"{self._host.state.key}/{self.name}\0")
        leader = {self.child.pid} if self.child and self.child.running else set()
        return {pid for pid in members | leader if procfs.read_stat(pid)}

    def _exited(self) -> None:
        """A service that was ready has ended; by itself, unless it is being stopped. What it leaves is ended too."""
        if self.child is None or self.state is not State.RUNNING:
            return
        self._cleaning = asyncio.create_task(self._end_processes(), name=f"clean up {self.name}")
        self._ending = describe_end(self.child.exited.result())
        self._enter(State.EXITED, detail=self._ending)
        log.error(
            "%s ended by itself (%s); last lines of %s:\n%s", self.name, self._ending, self.spec.log_file, self._tail()
        )

    async def _fail(self, error: SetupError) -> None:
        await self._end_processes()
        self._ending = error.what.splitlines()[0]
        log.error("%s", error)
        self._enter(State.FAILED, detail=self._ending)
        self._settle(error)

    def _death(self, what: str) -> SetupError:
        return SetupError(
            f"{what}. Its last log lines:\n{self._tail()}\n",
            where=self.spec.log_file,
            cure="Mend what they name; if its data is damaged, `make stack-reset` starts afresh.",
        )

    def _stopped_meanwhile(self) -> SetupError:
        return SetupError(f"{self.name} was stopped while it started", where=self.name, cure="Start it again.")

    def _disk_error(self, error: OSError) -> SetupError:
        return SetupError(
            f"{self.name} could not be started: {error.strerror}",
            where=str(error.filename or self.spec.data_dir),
            cure=DISK_CURES.get(error.errno or 0, "See the supervisor's log."),
        )

    def _tail(self) -> str:
        return "\n".join(f"  {line}" for line in logfiles.tail(Path(self.spec.log_file))) or "  (empty)"

    # --- bookkeeping

    def _enter(self, state: State, **facts: Any) -> None:
        self.state = state
        self.since = utc_now()
        log.info("%s: %s %s", self.name, state, " ".join(f"{key}={value}" for key, value in facts.items()))
        self._announce({"service": self.name, "state": state, **facts})

    def _settle(self, outcome: SetupError | None) -> None:
        if not self._settled.done():
            self._settled.set_result(outcome)


def _write_private(path: Path, content: str) -> None:
    """Configuration may hold passwords: only its owner reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(content)
