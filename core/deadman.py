"""A program ends when the process that started it is gone, also after SIGKILL, on any Unix.

A pipe tells it: the kernel closes it with its owner. Where Linux offers more, `core.processes.dies_with_its_parent` is
quicker; this does not hang on it, nor on the thread that started the program.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_WATCH = 'read -r word || kill -KILL "-$0"'
"""A word: all is well. The end of the pipe without one: its owner is gone."""


@contextmanager
def ends_with_us(group: int) -> Iterator[None]:
    """While the block runs, process group `group` is killed as soon as this process is gone.

    The watcher is a shell in a session of its own, so that what ends this process' group does not end it.
    """
    watcher = subprocess.Popen(
        ["sh", "-c", _WATCH, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watcher.communicate(b"done\n")
