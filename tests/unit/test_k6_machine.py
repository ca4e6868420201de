"""What the kernel says of one process, read from a made-up and from the real /proc."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from k6.machine import ProcessorWatch

PID = 42
NS = 1_000_000_000


class Proc:
    """A /proc of one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ticks(1000, steal=10)

    def ticks(self, busy: int, *, steal: int) -> None:
        """User and idle time together are `busy`; guest time is in user time already."""
        (self.folder / "stat").write_text(f"cpu  {busy - 100} 0 0 100 0 0 0 {steal} 77 0\ncpu0 1 2 3\n")

    def waited(self, thread: int, ns: int) -> None:
        task = self.folder / str(PID) / "task" / str(thread)
        task.mkdir(parents=True, exist_ok=True)
        (task / "schedstat").write_text(f"123456 {ns} 789\n")

    def ends(self, thread: int | None = None) -> None:
        gone = self.folder / str(PID)
        shutil.rmtree(gone if thread is None else gone / "task" / str(thread))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def ten_seconds(proc: Proc) -> ProcessorWatch:
    """A watch whose second look at its clock is ten seconds after the first, on two processors."""
    return ProcessorWatch(PID, proc.folder, iter((100.0, 110.0)).__next__, processors=2)


class TestRunDelay:
    def test_is_a_share_of_the_wall_time_and_the_processors(self, proc: Proc) -> None:
        watch = ten_seconds(proc)
        proc.waited(1, 1 * NS)
        proc.waited(2, 3 * NS)
        watch.look()
        assert watch.run_delay_ratio() == pytest.approx(0.2)  # (1 + 3) s / 10 s / 2 processors

    def test_is_the_last_look_at_each_thread_also_of_those_that_ended(self, proc: Proc) -> None:
        watch = ten_seconds(proc)
        proc.waited(1, 1 * NS)
        proc.waited(2, 3 * NS)
        watch.look()
        proc.ends(2)
        proc.waited(1, 2 * NS)
        watch.look()
        proc.ends()
        watch.look()
        assert watch.run_delay_ratio() == pytest.approx(0.25)  # (2 + 3) s / 10 s / 2 processors

    def test_is_unknown_of_a_process_that_was_never_seen(self, proc: Proc) -> None:
        watch = ProcessorWatch(PID, proc.folder)
        watch.look()
        assert watch.run_delay_ratio() is None


class TestSteal:
    def test_is_the_share_of_all_processors_time_since_the_start(self, proc: Proc) -> None:
        watch = ProcessorWatch(PID, proc.folder)
        proc.ticks(1090, steal=20)
        assert watch.steal_ratio() == pytest.approx(0.1)  # 10 ticks of 90 + 10

    def test_is_unknown_where_there_is_no_proc(self, tmp_path: Path) -> None:
        assert ProcessorWatch(PID, tmp_path / "none").steal_ratio() is None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
class TestTheRealProc:
    def test_tells_both(self) -> None:
        watch = ProcessorWatch(os.getpid())
        watch.look()
        assert watch.run_delay_ratio() is not None
        assert watch.steal_ratio() is not None

    def test_a_look_is_cheap_enough_for_ten_a_second(self) -> None:
        watch = ProcessorWatch(os.getpid())
        began = time.process_time()
        for _ in range(100):
            watch.look()
        assert (time.process_time() - began) / 100 < 0.01  # 10 ms, ten times a second, would be a tenth of a processor
