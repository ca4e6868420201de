"""docs/soak.md: the nightly soak on a shortened clock, healthy and with a leak (`make proof`).

python -m tests.proof.soak [healthy | memory-leak]     # without a name: both

Each row's outcome is kept in runs/proof/soak/; the page is drawn once both are there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.settings import ROOT, Settings
from tests.proof.suite_process import Ended, SuiteProcess
from tests.proof.table import asked_for, cell, machine, today

PAGE = ROOT / "docs" / "soak.md"
LOAD = Path(__file__).parent / "soak.yaml"
ENDS_WITHIN_S = 2400.0
ROWS = {"healthy": (), "memory-leak": ("--fault", "memory-leak=0.05")}
"""Row -> arguments; 0.05 MiB a request is 50 MiB in 1,000 requests."""
EXPECTED = {"healthy": "PASS", "memory-leak": "FAIL"}


@dataclass(frozen=True)
class Row:
    """What came of one run."""

    name: str
    verdict: str
    trends: str
    """What `soak-trends` said."""
    not_passed: tuple[str, ...]
    requests: int
    seams_s: tuple[float, ...]
    seconds: float
    made: str

    @property
    def as_expected(self) -> bool:
        named = self.name == "healthy" or ("shopping-service" in self.trends and "used up in" in self.trends)
        return self.verdict == EXPECTED[self.name] and named and max(map(abs, self.seams_s), default=9.0) <= 1.0


def soaked(name: str) -> Row:
    """One run of a quarter of an hour with a stack of its own."""
    with tempfile.TemporaryDirectory(prefix="suite-soak-") as folder:
        run = SuiteProcess(Path(folder), "--scenario", "a", *ROWS[name], load=str(LOAD))
        return row_of(name, run.end(ENDS_WITHIN_S))


def row_of(name: str, ended: Ended) -> Row:
    """The row of a run that has ended."""
    assert ended.report is not None, ended.output
    figures = ended.row("generator-valid")["evidence"]["figures"]["a-shopping-flow"]
    others = [f"{row['id']} {row['verdict']}" for row in ended.rows() if row["verdict"] not in ("PASS", "SKIPPED")]
    return Row(
        name=name,
        verdict=ended.report["verdict"],
        trends=ended.row("soak-trends")["observed"],
        not_passed=tuple(others),
        requests=sum(row["requests"] for row in ended.report["scenarios"]),
        seams_s=tuple(figures["seams_s"]),
        seconds=ended.seconds,
        made=today(),
    )


def page(rows: Sequence[Row]) -> str:
    """The table as Markdown, with date and machine."""
    head = (
        "# The nightly soak, on a shortened clock\n\n"
        "`tests/proof/soak.yaml`: scenario A for a quarter of an hour in five k6 segments, the Kafka bot beside it,\n"
        "all phases, a stack of its own. Healthy it must pass; with the fault `memory-leak=0.05` (each request to the\n"
        "shop keeps 0.05 MiB) it must fail, name the service and say when the memory is used up. A seam is the time\n"
        "without load where one k6 takes over from another, at most 1 s (negative: both put theirs).\n"
        f"Made by `make proof` on {machine()}.\n\n"
        "| run | day | verdict | requests | seams, s | `soak-trends` | not PASS | as expected |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    seams, others = ", ".join(f"{seam:.2f}" for seam in row.seams_s), "; ".join(row.not_passed) or "-"
    good = "yes" if row.as_expected else "NO"
    return (
        f"| {row.name} | {row.made} | {row.verdict} | {row.requests:,} | {seams} | {cell(row.trends)} "
        f"| {cell(others)} | {good} |\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Soak as asked, print a line a row; the page is drawn once both rows are kept."""
    names = asked_for(arguments, tuple(ROWS), __doc__)
    kept = Settings().runs_dir / "proof" / "soak"
    kept.mkdir(parents=True, exist_ok=True)
    rows = [soaked(name) for name in names or ROWS]
    for row in rows:
        (kept / f"{row.name}.json").write_text(json.dumps(asdict(row)), encoding="utf-8")
        print(f"{'ok  ' if row.as_expected else 'MISS'} {row.name}: {row.verdict}, {row.trends}", flush=True)
    files = [kept / f"{name}.json" for name in ROWS]
    if all(file.exists() for file in files):
        PAGE.write_text(page([_kept(file) for file in files]), encoding="utf-8")
    return 0 if all(row.as_expected for row in rows) else 1


def _kept(file: Path) -> Row:
    values = json.loads(file.read_text(encoding="utf-8"))
    return Row(**{**values, "not_passed": tuple(values["not_passed"]), "seams_s": tuple(values["seams_s"])})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
