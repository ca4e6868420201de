"""The commands that the documentation names can be started from any folder, and teach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import process_environment

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable


def started(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command's end, seen from `folder`, with its words on one line."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=process_environment(PYTHONPATH=str(ROOT), COLUMNS="300", **environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    done.stdout, done.stderr = " ".join(done.stdout.split()), " ".join(done.stderr.split())
    return done


class TestCommands:
    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ((str(ROOT / "k6" / "run.sh"),), ["a-shopping-flow", "TARGET_ENV", "COUPON_ID", "PRODUCT_ID", "9090"]),
            (
                (PYTHON, str(ROOT / "bots" / "kafka_producer.py")),
                ["--bootstrap-servers", "--topic", "--rate", "--duration", "--metrics-port"],
            ),
            ((PYTHON, "-m", "docs.generate"), ["--check"]),
            ((PYTHON, "-m", "docs.screenshot"), ["runs/latest", "--out"]),
            ((PYTHON, "-m", "docs.prefect_pictures"), ["run_id", "--out"]),
            ((PYTHON, "-m", "flows.ui"), ["--port", "--reports-port", "4200"]),
            ((PYTHON, "-m", "flows.notifications"), ["notifications.yaml", "--test"]),
            ((PYTHON, "-m", "flows.doctor"), ["--target", "--backend", "--load", "--gates", "exit codes"]),
            ((PYTHON, "-m", "targets.new"), ["--openapi", "--prometheus", "--out", "--allow"]),
            ((PYTHON, "-m", "infra.embedded"), ["up", "down", "status", "reset"]),
        ],
        ids=lambda part: Path(part[-1]).name if isinstance(part, tuple) else "",
    )
    def test_teach(self, tmp_path: Path, command: tuple[str, ...], words: list[str]) -> None:
        done = started(tmp_path, *command, "--help")
        assert done.returncode == 0
        assert [word for word in words if word not in done.stdout] == []


class TestRunSh:
    """The design's way to run one scenario (section 4.4); each answer comes before anything is sent."""

    run_sh = str(ROOT / "k6" / "run.sh")

    @pytest.mark.parametrize(
        ("arguments", "environment", "answer"),
        [
            (["z-nothing"], {}, "unknown scenario 'z-nothing'"),
            (["a-shopping-flow", "nowhere"], {}, "unknown target 'nowhere'"),
            (["a-shopping-flow"], {"TARGET_ENV": "nowhere"}, "unknown target 'nowhere'"),
            (["a-shopping-flow"], {"LOAD": "heavy"}, "unknown load 'heavy'"),
            (["a-shopping-flow", "portal", "http://192.0.2.1:9090/api/v1/write"], {}, "192.0.2.1"),
        ],
        ids=["scenario", "target", "TARGET_ENV", "LOAD", "remote write elsewhere"],
    )
    def test_refuses_in_words_and_with_exit_code_2(
        self, tmp_path: Path, arguments: list[str], environment: dict[str, str], answer: str
    ) -> None:
        runs = tmp_path / "runs"
        done = started(tmp_path, self.run_sh, *arguments, f"--run-dir={runs}", "--k6=/bin/false", **environment)
        assert done.returncode == 2
        assert answer in done.stderr
        assert "Traceback" not in done.stderr
