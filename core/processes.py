"""Whatever starts a program owns stopping it, also after SIGKILL."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Collection
from contextlib import ExitStack
from typing import TypeVar

from core.ports import LOOPBACK

Name = TypeVar("Name")


def dies_with_its_parent() -> list[str]:
    """Words to put before a command: where util-linux is there, the kernel kills it when its parent dies.

    The signal is tied to the thread that starts the command: start it from the main thread. Elsewhere than on Linux
    the words are none.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def free_ports(names: Collection[Name]) -> dict[Name, int]:
    """A loopback port that nothing listens on now for each name, all of them different."""
    with ExitStack() as held:  # each stays bound until all are chosen, so that the next one is another
        return {name: int(held.enter_context(_bound()).getsockname()[1]) for name in names}


def free_port() -> int:
    """One such port."""
    return free_ports(["it"])["it"]


def _bound() -> socket.socket:
    """A socket on a port that no outgoing connection will take meanwhile: those have ports from 32768 up."""
    while True:
        trial = socket.socket()
        try:
            trial.bind((LOOPBACK, random.randrange(15_000, 32_000)))
        except OSError:
            trial.close()
        else:
            return trial
