"""docs/faults.md: each fault of the reference portal is switched on and must be caught; healthy runs must not be.

python -m tests.proof.faults [FAULT ... | healthy]     # without names: everything

Each run's outcome is kept in runs/proof/faults/; the page is drawn once every fault is there.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.ports import WHOLE_STACK
from core.settings import ROOT, Settings
from infra.embedded.catalogue import open_backend
from infra.portal_faults import FAULTS
from tests.proof.suite_process import Ended, SuiteProcess
from tests.proof.table import asked_for, cell, machine, today

PAGE = ROOT / "docs" / "faults.md"
HEALTHY = "healthy"
HEALTHY_RUNS = 10
INVALID_AT_MOST = 1
COLUMNS = (
    "fault",
    "what is wrong",
    "what a user would see",
    "run with",
    "the check that turned",
    "its evidence",
    "also FAIL",
)


@dataclass(frozen=True)
class Expected:
    """The part of the suite that must see a fault, and what a user of the platform would see."""

    part: str  # a scenario's letter, or a phase
    turns: str  # id of the check or gate
    user_sees: str

    def arguments(self) -> tuple[str, ...]:
        if len(self.part) > 1:
            return ("--phase", self.part)
        return ("--phase", "exporters", "--phase", "tracing", "--phase", "load", "--scenario", self.part)


EXPECTED = {
    "oversell": Expected("c", "ledger-coupons", "more coupons are handed out than there are"),
    "lost-update": Expected("c", "ledger-coupons", "the coupon says that more are left than there are"),
    "no-single-flight": Expected(
        "e", "cache-single-flight", "nothing yet; the database is asked once for every visitor"
    ),
    "slow-query": Expected("b", "scenario-b-thresholds", "the blog's list takes long, or does not come"),
    "pool-exhaustion": Expected("a", "scenario-a-thresholds", "the shop answers 503 after some seconds"),
    "slow-search": Expected("d", "scenario-d-thresholds", "the search takes long"),
    "error-burst": Expected("a", "scenario-a-thresholds", "some pages of the shop are answered 503"),
    "rate-limit": Expected("c", "scenario-c-thresholds", "most who want a coupon are answered 429"),
    "consumer-drops": Expected("a", "ledger-orders", "orders are never told of"),
    "duplicate-events": Expected("a", "ledger-orders", "nothing here; whoever listens counts orders twice"),
    "memory-leak": Expected("a", "memory-growth", "nothing until the service is out of memory"),
    "cpu-burn": Expected("a", "scenario-a-thresholds", "everything in the shop takes long"),
    "slow-redis": Expected("a", "scenario-a-thresholds", "product pages take long"),
    "trace-loss": Expected("b", "traces-complete", "nothing; who looks for a slow request finds half of its trace"),
    "wrong-status": Expected("c", "scenario-c-thresholds", "a refusal looks like a success to other programs"),
    "empty-results": Expected("d", "scenario-d-thresholds", "the search finds nothing"),
    "consumer-slow": Expected("kafka_bot", "kafka-lag-drains", "notifications come minutes late"),
}
"""In the order of the run: the slow consumer comes last, because what it left behind must drain first."""


@dataclass(frozen=True)
class Row:
    """What came of one fault."""

    fault: str
    verdict: str
    turned: str  # the expected check's verdict
    evidence: str
    also: tuple[str, ...]  # other checks and gates that are FAIL
    seconds: float
    made: str  # UTC day

    @property
    def caught(self) -> bool:
        return self.verdict == "FAIL" and self.turned == "FAIL"


@dataclass(frozen=True)
class Healthy:
    """What came of one whole run without a fault."""

    number: int
    verdict: str
    why: str  # what was not PASS
    made: str


@contextmanager
def one_stack(folder: Path) -> Iterator[None]:
    """The whole stack, to which every run below attaches: what a fault leaves behind would be seen by the next run."""
    with open_backend(any_ports=True, state_dir=folder / "stack") as backend:
        backend.start(WHOLE_STACK)
        backend.wait_ready(WHOLE_STACK)
        yield


def with_fault(folder: Path, fault: str) -> Row:
    """One run with the fault on, of the part that fits it, under the smoke load."""
    expected, began = EXPECTED[fault], time.monotonic()
    ended = SuiteProcess(folder, *expected.arguments(), "--fault", fault, load="smoke").end()
    if ended.report is None:
        return Row(fault, "none", "none", ended.output[-500:], (), time.monotonic() - began, today())
    row = ended.row(expected.turns)
    return Row(
        fault=fault,
        verdict=ended.report["verdict"],
        turned=row["verdict"],
        evidence=row["observed"],
        also=tuple(id for id in _failed(ended) if id != expected.turns),
        seconds=time.monotonic() - began,
        made=today(),
    )


def healthy_run(folder: Path, number: int) -> Healthy:
    """One whole run without a fault."""
    ended = SuiteProcess(folder, load="smoke").end()
    if ended.report is None:
        return Healthy(number, "none", ended.output[-500:], today())
    why = (
        f"{row['id']} {row['verdict']}: {row['observed']}"
        for row in ended.rows()
        if row["verdict"] not in ("PASS", "SKIPPED")
    )
    return Healthy(number, ended.report["verdict"], "; ".join(why), today())


def _failed(ended: Ended) -> list[str]:
    return [row["id"] for row in ended.rows() if row["verdict"] == "FAIL" and not row["id"].startswith("k6-")]


def page(rows: Sequence[Row], healthy: Sequence[Healthy]) -> str:
    """Both tables as Markdown, with date and machine."""
    caught = sum(row.caught for row in rows)
    days = sorted({row.made for row in rows} | {run.made for run in healthy})
    head = (
        "# Faults\n\n"
        "The reference portal has faults that are switched on by name (`--fault NAME`); each is run under the `smoke`\n"
        "load with the part of the suite that fits it. The name reaches the portal only: neither judge nor report\n"
        f"know it. Made by `make proof` on {machine()}, {' to '.join(dict.fromkeys((days[0], days[-1])))}.\n\n"
        f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    )
    summed = ", ".join(f"{number} {verdict}" for verdict, number in _counted(healthy).items())
    after = (
        f"\n{caught} of {len(rows)} caught.\n\n## Healthy\n\n"
        f"{len(healthy)} of {HEALTHY_RUNS} whole runs without a fault: {summed or 'none yet'}.\n\n"
        "| run | verdict | what was not PASS |\n|---|---|---|\n"
    )
    runs = [f"| {run.number} | {run.verdict} | {cell(run.why) or '-'} |\n" for run in healthy]
    return head + "".join(map(_line, rows)) + after + "".join(runs)


def _line(row: Row) -> str:
    expected = EXPECTED[row.fault]
    part = f"scenario {expected.part.upper()}" if len(expected.part) == 1 else f"phase {expected.part}"
    turned = f"`{expected.turns}` {row.turned}" + ("" if row.caught else " (MISSED)")
    also = ", ".join(f"`{id}`" for id in row.also) or "-"
    what = FAULTS[row.fault].description
    cells = (f"`{row.fault}`", what, expected.user_sees, part, turned, row.evidence, also)
    return f"| {' | '.join(map(cell, cells))} |\n"


def healthy_enough(healthy: Sequence[Healthy]) -> bool:
    """Nothing but PASS, and at most one INVALID."""
    counted = _counted(healthy)
    return counted["PASS"] + counted["INVALID"] == len(healthy) and counted["INVALID"] <= INVALID_AT_MOST


def _counted(healthy: Sequence[Healthy]) -> Counter[str]:
    return Counter(run.verdict for run in healthy)


class Kept:
    """Outcomes of earlier invocations, one file each, and beside it the run's series, spans and report."""

    def __init__(self) -> None:
        self.folder = Settings().runs_dir / "proof" / "faults"
        self.folder.mkdir(parents=True, exist_ok=True)

    def keep(self, name: str, outcome: Row | Healthy, run_dir: Path) -> None:
        """The outcome, and of the run what it takes to judge it again."""
        (self.folder / f"{name}.json").write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        kept = self.folder / name
        shutil.rmtree(kept, ignore_errors=True)
        if (run_dir / "report.json").exists():
            shutil.copytree(run_dir / "metrics", kept / "metrics")
            shutil.copy(run_dir / "report.json", kept)

    def rows(self) -> list[Row]:
        """In the table's order; those that were not run yet are missing."""
        found = (self._read(fault) for fault in EXPECTED)
        return [Row(**{**row, "also": tuple(row["also"])}) for row in found if row]

    def healthy(self) -> list[Healthy]:
        found = (self._read(f"{HEALTHY}-{number}") for number in range(1, HEALTHY_RUNS + 1))
        return [Healthy(**run) for run in found if run]

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, a line a run; 1 when a fault was missed or a healthy run was not left in peace."""
    names = asked_for(arguments, (HEALTHY, *EXPECTED), __doc__)
    kept, good = Kept(), list[bool]()
    with tempfile.TemporaryDirectory(prefix="suite-faults-") as made:
        folder = Path(made)
        with one_stack(folder):
            for number in range(1, HEALTHY_RUNS + 1) if not names or HEALTHY in names else ():
                run = healthy_run(folder, number)
                kept.keep(f"{HEALTHY}-{number}", run, folder / "runs" / "latest")
                good.append(run.verdict in ("PASS", "INVALID"))
                print(f"healthy {number}: {run.verdict} {run.why}", flush=True)
            for fault in (fault for fault in EXPECTED if not names or fault in names):
                row = with_fault(folder, fault)
                kept.keep(fault, row, folder / "runs" / "latest")
                good.append(row.caught)
                _say(row)
                shutil.rmtree(folder / "runs")
    rows, healthy = kept.rows(), kept.healthy()
    if len(rows) == len(EXPECTED):
        PAGE.write_text(page(rows, healthy), encoding="utf-8")
    good.append(healthy_enough(healthy))
    return 0 if all(good) else 1


def _say(row: Row) -> None:
    turns = EXPECTED[row.fault].turns
    print(
        f"{'ok  ' if row.caught else 'MISS'} {row.fault}: {row.verdict}, {turns} {row.turned}: {row.evidence}"
        f" (also {', '.join(row.also) or 'nothing'}), {row.seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
