"""docs/faults.md: each fault of the reference portal is switched on and must be caught; healthy runs must not be.

python -m tests.proof.faults [FAULT ... | healthy]     # the page is written when all of it was run
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.ports import WHOLE_STACK
from core.settings import ROOT
from infra.embedded.catalogue import open_backend
from infra.portal_faults import FAULTS
from tests.proof.suite_process import Ended, SuiteProcess
from tests.proof.table import cell, made_on

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

    @property
    def caught(self) -> bool:
        return self.verdict == "FAIL" and self.turned == "FAIL"


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
        return Row(fault, "none", "none", ended.output[-500:], (), time.monotonic() - began)
    row = ended.row(expected.turns)
    return Row(
        fault=fault,
        verdict=ended.report["verdict"],
        turned=row["verdict"],
        evidence=row["observed"],
        also=tuple(id for id in _failed(ended) if id != expected.turns),
        seconds=time.monotonic() - began,
    )


def healthy_run(folder: Path) -> tuple[str, str]:
    """(verdict, what is not PASS) of one whole run without a fault."""
    ended = SuiteProcess(folder, load="smoke").end()
    if ended.report is None:
        return "none", ended.output[-500:]
    rows = (*ended.report["checks"], *ended.report["gates"])
    return ended.report["verdict"], "; ".join(
        f"{row['id']} {row['verdict']}: {row['observed']}" for row in rows if row["verdict"] not in ("PASS", "SKIPPED")
    )


def _failed(ended: Ended) -> list[str]:
    assert ended.report is not None
    rows = (*ended.report["checks"], *ended.report["gates"])
    return [row["id"] for row in rows if row["verdict"] == "FAIL" and not row["id"].startswith("k6-")]


def page(rows: Sequence[Row], healthy: Sequence[tuple[str, str]]) -> str:
    """Both tables as Markdown, with date and machine."""
    caught = sum(row.caught for row in rows)
    head = (
        "# Faults\n\n"
        "The reference portal has faults that are switched on by name (`--fault NAME`); each is run under the `smoke`\n"
        "load with the part of the suite that fits it. The name reaches the portal only: neither judge nor report\n"
        f"know it. Made by `make proof` on {made_on()}.\n\n"
        f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    )
    counted = Counter(verdict for verdict, _ in healthy)
    summed = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
    after = (
        f"\n{caught} of {len(rows)} caught.\n\n## Healthy\n\n"
        f"{len(healthy)} whole runs without a fault: {summed}.\n\n"
        "| run | verdict | what was not PASS |\n|---|---|---|\n"
    )
    runs = [f"| {n} | {verdict} | {cell(why) or '-'} |\n" for n, (verdict, why) in enumerate(healthy, 1)]
    return head + "".join(map(_line, rows)) + after + "".join(runs)


def _line(row: Row) -> str:
    expected = EXPECTED[row.fault]
    part = f"scenario {expected.part.upper()}" if len(expected.part) == 1 else f"phase {expected.part}"
    turned = f"`{expected.turns}` {row.turned}" + ("" if row.caught else " (MISSED)")
    also = ", ".join(f"`{id}`" for id in row.also) or "-"
    what = FAULTS[row.fault].description
    cells = (f"`{row.fault}`", what, expected.user_sees, part, turned, row.evidence, also)
    return f"| {' | '.join(map(cell, cells))} |\n"


def healthy_enough(healthy: Sequence[tuple[str, str]]) -> bool:
    """No FAIL, nor anything but PASS and at most one INVALID."""
    counted = Counter(verdict for verdict, _ in healthy)
    return counted["PASS"] + counted["INVALID"] == len(healthy) and counted["INVALID"] <= INVALID_AT_MOST


def main(names: Sequence[str]) -> int:
    """Run what is asked for, a line a run; 1 when a fault was missed or a healthy run was not left in peace."""
    rows, healthy = list[Row](), list[tuple[str, str]]()
    with tempfile.TemporaryDirectory(prefix="suite-faults-") as made:
        folder = Path(made)
        with one_stack(folder):
            for number in range(HEALTHY_RUNS if not names or HEALTHY in names else 0):
                healthy.append(healthy_run(folder))
                print(f"healthy {number + 1}: {': '.join(part for part in healthy[-1] if part)}", flush=True)
            for fault in (fault for fault in EXPECTED if not names or fault in names):
                rows.append(with_fault(folder, fault))
                _say(rows[-1])
                shutil.rmtree(folder / "runs")
    if not names:
        PAGE.write_text(page(rows, healthy), encoding="utf-8")
    return 0 if all(row.caught for row in rows) and healthy_enough(healthy) else 1


def _say(row: Row) -> None:
    turns = EXPECTED[row.fault].turns
    print(
        f"{'ok  ' if row.caught else 'MISS'} {row.fault}: {row.verdict}, {turns} {row.turned}: {row.evidence}"
        f" (also {', '.join(row.also) or 'nothing'}), {row.seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
