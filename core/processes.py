"""Whatever starts a program owns stopping it, also after SIGKILL."""

from __future__ import annotations

import shutil


def dies_with_its_parent() -> list[str]:
    """Words to put before a command: where util-linux is there, the kernel kills it when its parent dies.

    The signal is tied to the thread that starts the command: start it from the main thread. Elsewhere than on Linux
    the words are none.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
