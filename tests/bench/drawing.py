"""Drawing the report of a made-up smoke run, in a process of its own as `python -m report.render` does it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from core.settings import ROOT
from report.build import build
from report.render import write_json
from report.store import write_collected
from tests.report_samples import collected, facts, write_panels

REPETITIONS = 3


@dataclass(frozen=True)
class DrawingCost:
    """Medians, in seconds; `start_s` is that of a process which only imports the same."""

    drawn_s: float
    start_s: float


def drawing_cost(run_dir: Path) -> DrawingCost:
    """The whole command, and its start alone, in turn."""
    found = collected()
    write_collected(found, run_dir)
    write_panels(run_dir)
    write_json(build(facts(), found), run_dir)
    drawn, start = [], []
    for _ in range(REPETITIONS):
        start.append(_seconds("-c", "import report.render"))
        drawn.append(_seconds("-m", "report.render", str(run_dir)))
    return DrawingCost(sorted(drawn)[REPETITIONS // 2], sorted(start)[REPETITIONS // 2])


def _seconds(*arguments: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.monotonic() - began
