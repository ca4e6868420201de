"""`python -m tests.bench`: each row measured beside its yardstick in the same run (architecture.md, "Numbers")."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from core.settings import Settings
from infra.embedded.catalogue import open_backend
from targets.load import load_load
from tasks.stack import WHOLE_STACK
from tests.proof.suite_process import SHORT_LOAD, SuiteProcess

WARM_START_AT_MOST_S = 40.0
OWN_COST_AT_MOST_S = 45.0


@dataclass(frozen=True)
class Row:
    """One figure beside its yardstick; `want` is a bound on `value`."""

    id: str
    value: float
    unit: str
    beside: str
    beside_value: float
    want: str
    ok: bool

    @property
    def ratio(self) -> float:
        return self.value / self.beside_value

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": round(self.ratio, 3)}


def main() -> int:
    """Measure, print, write; 1 when a row misses what it wants."""
    with tempfile.TemporaryDirectory(prefix="suite-bench-") as folder:
        rows = list(_rows(Path(folder)))
    table = Table("row", "value", "beside", "ratio", "want", "ok", box=None)
    for row in rows:
        beside = f"{row.beside}: {row.beside_value:.1f} {row.unit}"
        ok = "yes" if row.ok else "NO"
        table.add_row(row.id, f"{row.value:.1f} {row.unit}", beside, f"{row.ratio:.2f}", row.want, ok)
    Console().print(table)
    runs = Settings().runs_dir
    runs.mkdir(exist_ok=True)
    (runs / "bench.json").write_text(json.dumps([row.as_json() for row in rows], indent=2), encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


def _rows(folder: Path) -> Iterator[Row]:
    first, warm = _stack_start_s(folder), _stack_start_s(folder)
    want = f"<= {WARM_START_AT_MOST_S:.0f} s"
    yield Row("stack-warm-start", warm, "s", "first start", first, want, warm <= WARM_START_AT_MOST_S)
    began = time.monotonic()
    ended = SuiteProcess(folder).end()
    wall_s = time.monotonic() - began
    assert ended.report is not None, ended.output
    load_s = sum(_seconds(row) for row in ended.report["scenarios"]) + sum(
        step.duration_s for step in load_load(str(SHORT_LOAD)).bot
    )
    own_s = wall_s - load_s - warm
    want = f"<= {OWN_COST_AT_MOST_S:.0f} s"
    yield Row("suite-own-cost", own_s, "s", "the load itself", load_s, want, own_s <= OWN_COST_AT_MOST_S)


def _stack_start_s(folder: Path) -> float:
    """Seconds until the whole stack is ready, then stopped again."""
    began = time.monotonic()
    with open_backend(any_ports=True, state_dir=folder / "stack") as backend:
        backend.start(WHOLE_STACK)
        backend.wait_ready(WHOLE_STACK)
        return time.monotonic() - began


def _seconds(scenario: dict[str, Any]) -> float:
    started, ended = (datetime.fromisoformat(scenario[name]) for name in ("started", "ended"))
    return (ended - started).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
