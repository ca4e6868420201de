"""Which ports are free on loopback, and who holds one that is not."""

from __future__ import annotations

import errno
import os
import pwd
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import SetupError
from core.ports import LOOPBACK
from infra.embedded import procfs

_LISTEN = "0A"  # state of a listening socket in /proc/net/tcp (proc(5))
_ADDRESSES = ((socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1"))


@dataclass(frozen=True)
class Listener:
    """A listening socket, as /proc/net/tcp shows it."""

    port: int
    uid: int
    inode: int


def require_free(wanted: Mapping[str, Iterable[int]]) -> None:
    """SetupError that names every service's taken ports with their holders."""
    taken = [(service, port) for service, ports in wanted.items() for port in ports if is_taken(port)]
    if taken:
        raise SetupError(
            "; ".join(f"port {port} of {service} is taken by {holder(port)}" for service, port in taken),
            where=LOOPBACK,
            cure="Stop that process (`make stack-down` if it is this suite's stack), or use `--ports free`.",
        )


def is_taken(port: int) -> bool:
    """Whether a server could not listen on this port of 127.0.0.1 or ::1."""
    return any(_bind_refused(family, address, port) for family, address in _ADDRESSES)


def _bind_refused(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
            trial.bind((address, port))
    except OSError as error:
        return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def holder(port: int) -> str:
    """`pid 7 (redis-server *:6379)`, or what can be said of it."""
    sockets = [listener for listener in listeners() if listener.port == port]
    for pid in procfs.pids():
        if _open_inodes(pid) & {listener.inode for listener in sockets}:
            return f"pid {pid} ({procfs.command_line(pid)})"
    if sockets:
        return f"a process of user {_user_name(sockets[0].uid)}"
    return "a connection that is not closed yet, or this user may not use it"


def listeners() -> Iterator[Listener]:
    """All listening TCP sockets of this machine, IPv4 and IPv6."""
    for table in (procfs.PROC / "net/tcp", procfs.PROC / "net/tcp6"):
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in (row.split() for row in rows):
            if fields[3] == _LISTEN:
                yield Listener(port=int(fields[1].rpartition(":")[2], 16), uid=int(fields[7]), inode=int(fields[9]))


def _open_inodes(pid: int) -> set[int]:
    """Inodes of the process' sockets; empty when it is gone or another user's."""
    inodes = set()
    try:
        for descriptor in (procfs.PROC / str(pid) / "fd").iterdir():
            inodes.add(_socket_inode(descriptor))
    except OSError:
        return set()
    return inodes


def _socket_inode(descriptor: Path) -> int:
    """0 when the descriptor is no socket, or closed meanwhile."""
    try:
        target = os.readlink(descriptor)
    except FileNotFoundError:
        return 0
    return int(target[8:-1]) if target.startswith("socket:[") else 0


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
