"""Which addresses the processes of a stack listen on, as the kernel tells it."""

from __future__ import annotations

import ipaddress
import struct
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"  # /proc/net/tcp, proc(5)
LOOK_EVERY_S = 0.5


@contextmanager
def listeners_watched(pids: Callable[[], Set[int]]) -> Iterator[set[str]]:
    """While the block runs, collect `address:port` of every socket on which one of those processes listens."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            seen.update(listening(pids()))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def listening(pids: Set[int]) -> set[str]:
    """`address:port` of each listening TCP socket that one of the processes has open."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    rows = (line.split() for name in ("tcp", "tcp6") for line in (PROC / "net" / name).read_text().splitlines()[1:])
    return {_address(row[1]) for row in rows if row[3] == LISTEN and row[9] in inodes}


def beyond_loopback(seen: Set[str]) -> list[str]:
    """Those that others than this machine can reach."""
    return sorted(each for each in seen if not _is_loopback(each.rpartition(":")[0]))


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text.strip("[]"))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _sockets(pid: int) -> Iterator[str]:
    """Inodes of the process' sockets."""
    try:
        for file in (PROC / str(pid) / "fd").iterdir():
            target = str(file.readlink())
            if target.startswith("socket:["):
                yield target[8:-1]
    except OSError:
        return  # it, or the descriptor, is gone


def _address(text: str) -> str:
    """From the kernel's hexadecimal words, each in this machine's order."""
    packed, port = text.split(":")
    words = [struct.pack("=I", int(packed[at : at + 8], 16)) for at in range(0, len(packed), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return f"[{address}]:{int(port, 16)}" if address.version == 6 else f"{address}:{int(port, 16)}"
