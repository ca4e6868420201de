"""Whatever starts a program owns stopping it, also after SIGKILL."""

from __future__ import annotations

import shutil
import socket

from core.ports import LOOPBACK


def dies_with_its_parent() -> list[str]:
    """Words to put before a command: where util-linux is there, the kernel kills it when its parent dies.

    The signal is tied to the thread that starts the command: start it from the main thread. Elsewhere than on Linux
    the words are none.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
