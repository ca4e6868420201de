"""Old run directories make room for new ones; a run that goes on, the newest, and other folders never do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import SetupError
from core.retention import make_room
from core.rundir import RunDirectory
from core.settings import ROOT

NIGHTS = [f"202611{day:02d}T020000Z-portal-soak-00{day:02x}" for day in range(1, 6)]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Five nights of 1,000 bytes each, the history, and what somebody put there."""
    for night in NIGHTS:
        (RunDirectory.create(tmp_path, night).logs / "suite.log").write_bytes(b"x" * 1000)
    (tmp_path / "history").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def left(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir() if path.name in NIGHTS)


class TestMakingRoom:
    def test_removes_the_oldest_beyond_the_number(self, runs: Path) -> None:
        assert make_room(runs, 2, 1e9) == [NIGHTS[2], NIGHTS[1], NIGHTS[0]]
        assert left(runs) == NIGHTS[3:]

    def test_removes_the_oldest_beyond_the_size(self, runs: Path) -> None:
        make_room(runs, 100, 3500)
        assert left(runs) == NIGHTS[2:]

    def test_keeps_the_newest_however_large(self, runs: Path) -> None:
        make_room(runs, 1, 1)
        assert left(runs) == NIGHTS[4:]
        assert (runs / "latest").resolve().name == NIGHTS[4]

    def test_keeps_a_run_that_goes_on(self, runs: Path) -> None:
        with RunDirectory(runs / NIGHTS[0]).hold():
            make_room(runs, 1, 1e9)
        assert left(runs) == [NIGHTS[0], NIGHTS[4]]

    def test_touches_nothing_else(self, runs: Path) -> None:
        make_room(runs, 1, 1)
        assert (runs / "history").is_dir()
        assert (runs / "notes.txt").read_text() == "mine"

    def test_in_a_folder_that_is_not_there_does_nothing(self, tmp_path: Path) -> None:
        assert make_room(tmp_path / "none", 1, 1) == []


class TestHolding:
    def test_is_refused_while_another_process_holds_and_possible_after_its_kill(self, runs: Path) -> None:
        directory = RunDirectory(runs / NIGHTS[0])
        code = (
            "import pathlib, sys; from core.rundir import RunDirectory\n"
            "held = RunDirectory(pathlib.Path(sys.argv[1])).hold(); print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", code, str(directory.path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as other:  # type: ignore[call-overload]
            assert other.stdout.readline() == "held\n"
            assert directory.is_held()
            with pytest.raises(SetupError, match="goes on in another process"):
                directory.hold()
            other.kill()
            other.wait()
        assert not directory.is_held()
        directory.hold().close()

    def test_of_a_directory_without_a_lock_is_no(self, runs: Path) -> None:
        assert not RunDirectory(runs / NIGHTS[1]).is_held()
        assert not os.path.exists(runs / NIGHTS[1] / "lock")
