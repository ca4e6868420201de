"""docs/bottlenecks.md: which resource is named in the runs that docs/faults.md was made of, against a fixed table.

python -m tests.proof.bottlenecks [FOLDER]     after tests.proof.faults; FOLDER: where its run directories are

Nothing is run: the kept run directories are judged again. Exit code 1 where fewer than RIGHT_AT_LEAST of the saturating
faults are named rightly, or where a run in which nothing saturates is missing or names something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.settings import ROOT
from core.words import Verdict
from infra.portal_faults import FAULTS
from report.bottleneck import NONE, find_bottleneck
from report.model import Bottleneck, read_report
from report.spans import load_spans
from report.store import load_collected
from tests.proof.faults import HEALTHY, HEALTHY_RUNS, Kept
from tests.proof.table import cell, day_of, machine

PAGE = ROOT / "docs" / "bottlenecks.md"
EXPECTED = {
    "slow-query": "MySQL",
    "no-single-flight": "MySQL",
    "pool-exhaustion": "shopping-service connection pool",
    "slow-search": "Elasticsearch",
    "rate-limit": "api-gateway limiter",
    "consumer-slow": "notification-service consumer",
    "memory-leak": "shopping-service memory",
    "cpu-burn": "shopping-service CPU",
    "slow-redis": "Redis",
}
"""What saturates under each fault; under all others, and without any, nothing does."""
RIGHT_AT_LEAST = 8
COLUMNS = ("run", "what is wrong", "named", "confidence", "the series", "the spans")


@dataclass(frozen=True)
class Row:
    """A run, and what was named in it."""

    run: str
    found: Bottleneck
    verdict: Verdict  # of the run itself
    made: str  # UTC day

    @property
    def wanted(self) -> str:
        return EXPECTED.get(self.run, NONE)

    @property
    def right(self) -> bool:
        return self.found.component == self.wanted

    @property
    def description(self) -> str:
        return FAULTS[self.run].description if self.run in FAULTS else f"nothing (the run was {self.verdict})"


def judged(run_dir: Path) -> Bottleneck:
    """The bottleneck of a kept run, by the code of this checkout."""
    report = read_report(run_dir / "report.json")
    return find_bottleneck(load_collected(run_dir), load_spans(run_dir), report.stages, report.checks)


OTHERS = tuple(fault for fault in FAULTS if fault not in EXPECTED)
UNHURT = tuple(f"{HEALTHY}-{number}" for number in range(1, HEALTHY_RUNS + 1))


def rows(folder: Path) -> Iterator[Row]:
    """In the table's order: what saturates, what does not, the healthy runs; those that were kept."""
    for run in (*EXPECTED, *OTHERS, *UNHURT):
        run_dir = folder / run
        if (run_dir / "report.json").exists():
            report = read_report(run_dir / "report.json")
            yield Row(run, judged(run_dir), report.verdict, day_of(report.started))


def page(found: Sequence[Row]) -> str:
    """The tables as Markdown, with date and machine."""
    saturated = [row for row in found if row.run in EXPECTED]
    quiet = [row for row in found if row.run not in EXPECTED]
    missing = len({*EXPECTED, *OTHERS, *UNHURT} - {row.run for row in found})
    days = sorted(row.made for row in found)
    return (
        "# Bottlenecks, counted\n\n"
        "[How the bottleneck is found](bottleneck.md). The runs are those that `tests.proof.faults` made and kept,\n"
        "each judged from its run directory. What saturates was fixed before the judge was written. Made by\n"
        f"`make proof` on {machine()}, {' to '.join(dict.fromkeys((days[0], days[-1])))}.\n\n"
        f"{_counted(saturated)} right where something saturates, {_counted(quiet)} where nothing does"
        f"{f'; {missing} runs of the table were not made' if missing else ''}.\n\n"
        f"## Something saturates\n\n{_head()}{''.join(map(_line, saturated))}\n"
        f"## Nothing saturates\n\n{_head()}{''.join(map(_line, quiet))}"
    )


def _counted(found: Sequence[Row]) -> str:
    return f"{sum(row.right for row in found)} of {len(found)}"


def _head() -> str:
    return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"


def _line(row: Row) -> str:
    named = f"{row.found.component}" if row.right else f"{row.found.component} (WRONG: {row.wanted})"
    told = row.found.evidence if row.found.component != NONE else "-"
    cells = (f"`{row.run}`", row.description, named, f"{row.found.confidence:.2f}", told, row.found.spans or "-")
    return f"| {' | '.join(map(cell, cells))} |\n"


def good_enough(found: Sequence[Row]) -> bool:
    """At least RIGHT_AT_LEAST of those that saturate, and every one of the others."""
    right = {row.run for row in found if row.right}
    return len(right & EXPECTED.keys()) >= RIGHT_AT_LEAST and right >= {*OTHERS, *UNHURT}


def main(arguments: Sequence[str]) -> int:
    """Judge what was kept, write the page, and say what is wrong."""
    found = list(rows(Path(arguments[0]) if arguments else Kept().folder))
    if not found:
        print("no run was kept: python -m tests.proof.faults")
        return 2
    PAGE.write_text(page(found), encoding="utf-8")
    for row in found:
        print(f"{'ok  ' if row.right else 'MISS'} {row.run}: {row.found.component}, wanted {row.wanted}")
    return 0 if good_enough(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
