"""docs/your-platform.md, walked: its commands and its example, against a shop that the suite knows nothing of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.processes import free_port
from core.settings import ROOT, process_environment
from infra.embedded.programs import ProgramId, ensure
from tests.prometheus_process import prometheus_at
from tests.shop import shop_at

PAGE = (ROOT / "docs" / "your-platform.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(python .*?)\n```", PAGE, re.M)
[EXAMPLE] = re.findall(r"^```yaml\n(.*?)```", PAGE, re.M | re.S)


@dataclass(frozen=True)
class Place:
    """A folder to work in, and what the page's ports stand for in it."""

    folder: Path
    shop: str
    prometheus: str

    def do(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of the page, with this place's addresses."""
        told = command.replace("http://127.0.0.1:8000", self.shop).replace("http://127.0.0.1:9090", self.prometheus)
        words = [sys.executable, *told.split()[1:]]
        environment = process_environment(
            PYTHONPATH=str(ROOT),
            SUITE_RUNS_DIR=str(self.folder / "runs"),
            SUITE_STACK_DIR=str(self.folder / "stack"),
            PREFECT_HOME=str(self.folder / "prefect"),
            COLUMNS="300",
        )
        return subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=400, check=False
        )

    def fill_in(self) -> None:
        """What the page says about this shop, in the place of the guesses."""
        file = self.folder / "shop.yaml"
        profile = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump({**profile, **yaml.safe_load(EXAMPLE)}), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    program = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    data = tmp_path / "prometheus"
    data.mkdir()
    with prometheus_at(program, data) as prometheus, shop_at(free_port()) as shop:
        yield Place(tmp_path, shop, prometheus)


class TestThePage:
    def test_leads_from_nothing_to_the_first_run(self, place: Place) -> None:
        new, doctor, first_run = COMMANDS
        written = place.do(new)
        assert written.returncode == 0, written.stderr

        unfilled = place.do(doctor)
        assert unfilled.returncode == 2
        assert "login of loadtest@example.com" in unfilled.stdout
        assert "answered 401" in unfilled.stdout

        place.fill_in()
        healthy = place.do(doctor)
        assert healthy.returncode == 0, healthy.stdout + healthy.stderr
        assert "lacks" not in healthy.stdout

        ended = place.do(first_run)
        verdicts = self.verdicts(place)
        told = ended.stdout + ended.stderr
        assert {id: verdicts[id] for id in ("seed-readback", "doctor", "k6-run", "k6-panels")} == dict.fromkeys(
            ("seed-readback", "doctor", "k6-run", "k6-panels"), "PASS"
        ), told
        assert verdicts["stack-alive"] == "PASS", told
        assert verdicts["traces-complete"] == "SKIPPED", told
        assert verdicts["scenario-a-thresholds"] == "SKIPPED", told
        assert "ERROR" not in verdicts.values(), told

    @staticmethod
    def verdicts(place: Place) -> dict[str, Any]:
        report = json.loads((place.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
        return {check["id"]: check["verdict"] for check in report["checks"]}
