"""core.deadman: what was started ends with its starter, also when that is killed, and without Linux's own means."""

from __future__ import annotations

import os
import subprocess
import sys

from core.deadman import ends_with_us
from core.settings import ROOT
from core.waiting import wait_for

START = """
import subprocess, sys
from core.deadman import ends_with_us
program = subprocess.Popen(["sleep", "60"], start_new_session=True)
with ends_with_us(program.pid):
    print(program.pid, flush=True)
    sys.stdin.read()
"""


def runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    seen = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(seen.strip()) and not seen.startswith("Z")


class TestEndsWithUs:
    def test_a_program_ends_when_its_starter_is_killed(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", START], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as starter:
            assert starter.stdout is not None
            pid = int(starter.stdout.readline())
            assert runs(pid)
            starter.kill()
            starter.wait()
            assert wait_for(lambda: runs(pid), lambda alive: not alive, timeout_s=10) is False

    def test_a_program_lives_on_when_the_block_ends_in_order(self) -> None:
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as program:
            with ends_with_us(program.pid):
                pass
            assert program.poll() is None
            os.killpg(program.pid, 9)
