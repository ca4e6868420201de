"""The 25 ways to aim at the wrong host: each is tried where elsewhere is real, and no packet goes there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ROOT

ROWS = [row["id"] for row in yaml.safe_load((ROOT / "docs" / "guard_rows.yaml").read_text(encoding="utf-8"))]
IN_A_NETWORK = ("unshare", "--net", "--mount", "--fork", "--kill-child=KILL")
WITH_ITS_FILES = (
    "mount --bind {folder}/hosts /etc/hosts && mount --bind {folder}/resolv.conf /etc/resolv.conf && "
    "exec {python} -m tests.elsewhere {folder}"
)


class Elsewhere:
    """The process in that network (tests/elsewhere); it tries one row at a time."""

    def __init__(self, folder: Path) -> None:
        for file in ("hosts", "resolv.conf"):
            (folder / file).touch(mode=0o644)
        command = WITH_ITS_FILES.format(folder=folder, python=sys.executable)
        self.log = folder / "log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [*IN_A_NETWORK, "sh", "-c", command],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def try_row(self, id: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{id}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    if os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("unshare", "ip", "mount")):
        pytest.skip("a network of its own needs root, util-linux and iproute2")
    trial = subprocess.run([*IN_A_NETWORK, "true"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"no network of its own can be made here: {trial.stderr.strip()}")
    network = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    yield network
    network.close()


class TestElsewhere:
    def test_is_seen_when_something_is_sent_there(self, elsewhere: Elsewhere) -> None:
        """The positive control: the same places, asked without a guard, by Python and by a bare k6."""
        found = elsewhere.try_row("control")
        assert found["refusals"] == ["asked"], found
        assert {"tcp 192.0.2.1:8080", "tcp 2001:db8::1:8080", "tcp 127.0.0.1:9"} <= set(found["sent"])
        assert found["sent"].count("tcp 192.0.2.1:8080") >= 2  # Python's and k6's


class TestGuard:
    @pytest.mark.parametrize("id", ROWS)
    def test_sends_nothing_elsewhere(self, elsewhere: Elsewhere, id: str) -> None:
        found = elsewhere.try_row(id)
        assert "problem" not in found, found["problem"]
        assert found["refusals"]
        assert found["sent"] == []
