"""`python -m tests.proof.design_load [RUN DIRECTORY]`: the design's numbers in full on the reference portal.

About 45 minutes, with the machine to itself; the run's report.md goes to docs/design-load.md, whatever its verdict.
With a run directory that run's report is taken instead of a new one.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.settings import ROOT, Settings
from tests.proof.table import machine

PAGE = ROOT / "docs" / "design-load.md"


def main(arguments: Sequence[str]) -> int:
    """Run, or take the run, and write the page; the exit code of the run."""
    if not arguments:
        subprocess.run([sys.executable, "-m", "flows.full_suite", "--load", "design"], cwd=ROOT, check=False)
    directory = Path(arguments[0]) if arguments else Settings().runs_dir / "latest"
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    if report["load"] != "design":
        print(f"{directory} is a run of load {report['load']}, not of design", file=sys.stderr)
        return 2
    PAGE.write_text(page((directory / "report.md").read_text(encoding="utf-8"), report["started"]), encoding="utf-8")
    return int(report["exit_code"])


def page(markdown: str, started: str) -> str:
    """The page around a run's report.md."""
    head = (
        "# The design's load in full\n\n"
        "Scenarios A to E and the bot with the numbers of the design document, no threshold moved, on the reference\n"
        "portal with everything on one machine. Made by `make proof` on "
    )
    body = re.sub(r"^(#+ )", r"#\1", markdown.strip(), flags=re.MULTILINE)
    return f"{head}{machine()}, {started[:10]}: the run's `report.md`.\n\n{body}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
