"""Start one process so that it cannot outlive its supervisor, and know when it ends.

A child gets a session of its own (a Ctrl-C in the terminal never reaches it), joins its control group before its
program runs, and asks the kernel for SIGKILL when the supervisor dies. That signal comes when the thread ends that
forked, so children are started from the supervisor's main thread only; a change of rights clears it, so `setpriv` arms
it again.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import SetupError
from infra.embedded import procfs

PR_SET_PDEATHSIG = 1
SERVICE_UID = 65534
"""`nobody`, user and group: runs what refuses root, and owns nothing but that service's data."""
_libc = ctypes.CDLL(None, use_errno=True)


class ChildWatcher:
    """Turns SIGCHLD into futures; asyncio's own watcher in Python 3.11 would start a thread for each child."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[subprocess.Popen[bytes], asyncio.Future[int]] = {}
        loop.add_signal_handler(signal.SIGCHLD, self._collect)

    def watch(self, process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
        """A future of the process' return code (negative: the signal that killed it)."""
        self._waiting[process] = self._loop.create_future()
        return self._waiting[process]

    def _collect(self) -> None:
        for process in [known for known in self._waiting if known.poll() is not None]:
            future = self._waiting.pop(process)
            if not future.done():
                future.set_result(process.returncode)


@dataclass(frozen=True)
class Child:
    """One started process: its identity and its end."""

    pid: int
    start_ticks: int
    exited: asyncio.Future[int]

    @property
    def running(self) -> bool:
        return not self.exited.done()

    def signal(self, number: signal.Signals) -> None:
        """Safe against a pid that is used again: until the watcher has collected it, the pid is still this child's."""
        if self.running:
            os.kill(self.pid, number)


@dataclass(frozen=True)
class Launch:
    """What `spawn` needs to know beside the command."""

    cwd: str
    env: Mapping[str, str]
    marker: str
    output: int | IO[bytes]
    drop_root: bool
    open_cgroup: Callable[[], list[int]]


def spawn(argv: Sequence[str], launch: Launch, watcher: ChildWatcher) -> Child:
    """Start the command; OSError when its program or folder is missing, or may not be used."""
    doors = launch.open_cgroup()
    try:
        process = subprocess.Popen(
            [*(drop_root_prefix() if launch.drop_root else ()), *argv],
            cwd=launch.cwd,
            env={**launch.env, procfs.MARKER: launch.marker},
            stdin=subprocess.DEVNULL,
            stdout=launch.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_before_exec(doors, os.getpid()),
        )
    except subprocess.SubprocessError as error:
        raise OSError(errno.EPERM, "its control group may not be joined", argv[0]) from error
    finally:
        for door in doors:
            os.close(door)
    exited = watcher.watch(process)
    stat = procfs.read_stat(process.pid)
    return Child(process.pid, stat.start_ticks if stat else 0, exited)


def _before_exec(doors: Sequence[int], supervisor: int) -> Callable[[], None]:
    def join_and_arm() -> None:
        for door in doors:
            os.write(door, b"0")
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it died before the signal was armed
            os._exit(1)

    return join_and_arm


def is_root() -> bool:
    return os.geteuid() == 0


def drop_root_prefix() -> list[str]:
    """Command that gives up root's rights and dies with its parent.

    One right is kept, to pass through folders that are only root's; `no_setuid_fixup` lets access(2) know of it too.
    """
    setpriv = shutil.which("setpriv", path=f"{os.defpath}:/usr/sbin:/sbin")
    if setpriv is None:
        raise SetupError(
            "setpriv is missing: a service that refuses root cannot be started by root",
            where="util-linux",
            cure="Install util-linux, or run the suite as an ordinary user.",
        )
    return [
        setpriv,
        f"--reuid={SERVICE_UID}",
        f"--regid={SERVICE_UID}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--pdeathsig=KILL",
        "--",
    ]


def give_to_service_user(*paths: Path) -> None:
    """Make the service user the owner of the paths and of all that is in them."""
    for top in paths:
        for path in (top, *top.rglob("*")):
            os.chown(path, SERVICE_UID, SERVICE_UID, follow_symlinks=False)


def describe_end(returncode: int) -> str:
    """`exit code 1` or `killed by SIGKILL`."""
    if returncode >= 0:
        return f"exit code {returncode}"
    return f"killed by {signal.Signals(-returncode).name}"
