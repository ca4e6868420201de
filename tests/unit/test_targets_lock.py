"""targets.lock: one run a target at a time, and no stale lock after whatever end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import TargetRefused
from core.ports import ServiceId
from core.settings import ROOT
from targets.lock import alone_on, lock_name
from targets.model import load_profile

HOLD = """
import sys
from pathlib import Path
from targets.lock import alone_on
with alone_on("t", Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


class TestAloneOn:
    def test_refuses_a_second_run_and_says_whose_the_first_is_and_how_to_break_it(self, tmp_path: Path) -> None:
        with holder(tmp_path) as process, pytest.raises(TargetRefused) as caught, alone_on("t", tmp_path):
            pass
        assert f"process {process.pid}, for 0 min" in caught.value.what
        assert f"`kill {process.pid}`" in caught.value.cure
        assert "delete the file" in caught.value.cure
        assert caught.value.where == str(tmp_path / "t.lock")

    def test_lets_runs_on_other_targets_be(self, tmp_path: Path) -> None:
        with alone_on("one", tmp_path), alone_on("other", tmp_path):
            pass

    def test_is_over_with_its_run(self, tmp_path: Path) -> None:
        for _ in range(2):
            with alone_on("t", tmp_path):
                pass
        assert (tmp_path / "t.lock").read_text() == ""

    def test_is_over_with_a_run_that_was_killed(self, tmp_path: Path) -> None:
        with holder(tmp_path) as process:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            with alone_on("t", tmp_path):
                pass

    def test_is_broken_by_deleting_the_file(self, tmp_path: Path) -> None:
        with holder(tmp_path):
            (tmp_path / "t.lock").unlink()
            with alone_on("t", tmp_path):
                pass


class TestLockName:
    def test_is_the_address_that_takes_the_load(self) -> None:
        assert lock_name(load_profile("portal"), "external", Path("/a stack")) == "127.0.0.1-8080"

    def test_is_one_for_two_names_of_an_address(self) -> None:
        profile = load_profile("portal")
        by_name = {**profile.addresses, ServiceId.GATEWAY: "http://localhost:8080"}
        assert lock_name(profile.model_copy(update={"addresses": by_name}), "docker", Path()) == "127.0.0.1-8080"

    def test_of_a_stack_that_the_suite_runs_is_its_folders(self) -> None:
        one, other = (lock_name(load_profile("portal"), "embedded", Path(folder)) for folder in ("/one", "/other"))
        assert one.startswith("stack-")
        assert one != other
