"""`python -m tests.bench [ROW-PREFIX ...]`: each row measured beside its yardstick in the same run.

Without a prefix all rows (architecture.md, "Numbers to respect"); `generator scenario` leaves the stack's out, `kafka`
is the bot's alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from core.checks import SCENARIOS
from core.ports import WHOLE_STACK
from core.settings import Settings
from infra.embedded.catalogue import open_backend
from k6.plan import herd_starts_s
from targets.load import load_load
from targets.model import load_profile
from tests.bench.collecting import FAMILIES, SERIES, STEPS, collecting_cost
from tests.bench.drawing import drawing_cost
from tests.bench.generator import generator_cost, wrapper_s
from tests.bench.kafka_bench import KafkaBench
from tests.bench.kafka_rows import kafka_measures
from tests.bench.prefect_cost import prefect_rows
from tests.bench.row import Measure, Row
from tests.proof.suite_process import SHORT_LOAD, SuiteProcess

WARM_START_AT_MOST_S = 40.0
OWN_COST_AT_MOST_S = 45.0
WRAPPER_AT_MOST_S = 2.0
GENERATOR_AT_LEAST = 0.8
COLLECT_FASTER = 5.0
COLLECT_MEMORY = 0.5
COLLECT_MANY_AT_MOST_MIB = 1024.0
DRAWN_AT_MOST_S = 5.0


def main(prefixes: Sequence[str] = ()) -> int:
    """Measure, print, write; 1 when a row misses what it wants, 2 when no row has such a name."""
    with tempfile.TemporaryDirectory(prefix="suite-bench-") as folder, KafkaBench(Path(folder) / "kafka") as kafka:
        measures = _measures(Path(folder), kafka)
        chosen = {name: measure for name, measure in measures.items() if _is_asked_for(name, prefixes)}
        if not chosen:
            print(f"no row begins with {' or '.join(prefixes)}; rows: {', '.join(measures)}", file=sys.stderr)
            return 2
        rows = [row for measure in dict.fromkeys(chosen.values()) for row in measure()]
    rows = [row for row in rows if _is_asked_for(row.id, prefixes)]
    Console().print(_table(rows))
    runs = Settings().runs_dir
    runs.mkdir(exist_ok=True)
    (runs / "bench.json").write_text(json.dumps([row.as_json() for row in rows], indent=2), encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


def _table(rows: Sequence[Row]) -> Table:
    table = Table(Column("row", no_wrap=True), "value", "beside", "ratio", "want", "ok", box=None)
    for row in rows:
        beside = f"{row.beside}: {row.beside_value:.1f} {row.unit}"
        ok = "yes" if row.ok else "NO"
        table.add_row(row.id, f"{row.value:.1f} {row.unit}", beside, f"{row.ratio:.2f}", row.want, ok)
    return table


def _measures(folder: Path, kafka: KafkaBench) -> Mapping[str, Measure]:
    """Row id -> what measures it."""
    stack, collecting = partial(_stack_rows, folder), partial(_collecting_rows, folder / "collect")
    return {
        **{f"generator-cost-{letter}": partial(_generator_rows, letter, folder) for letter in SCENARIOS},
        "scenario-wrapper": partial(_wrapper_rows, folder),
        "collect-day": collecting,
        "collect-day-memory": collecting,
        "collect-2000-memory": collecting,
        "report-drawn": partial(_drawing_rows, folder / "drawn"),
        "prefect-per-phase": partial(prefect_rows, folder / "prefect"),
        **kafka_measures(kafka),
        "stack-warm-start": stack,
        "suite-own-cost": stack,
    }


def _is_asked_for(name: str, prefixes: Sequence[str]) -> bool:
    return not prefixes or any(name.startswith(prefix) for prefix in prefixes)


def _generator_rows(letter: str, folder: Path) -> Iterator[Row]:
    """The scenario's loop beside bare requests, by wall time; beside it, on the console, two witnesses."""
    cost = generator_cost(letter, folder)
    ratio = cost.scenario.per_s / cost.bare.per_s
    print(
        f"generator-cost-{letter}: {ratio:.2f} of bare requests; by k6's processor time"
        f" {cost.scenario.per_cpu_s / cost.bare.per_cpu_s:.2f}; the design's own checks:"
        f" {cost.checked.per_s / cost.bare.per_s:.2f}",
        flush=True,
    )
    yield Row(
        f"generator-cost-{letter}",
        value=cost.scenario.per_s,
        unit="req/s",
        beside="bare requests that keep the body",
        beside_value=cost.bare.per_s,
        want=f">= {GENERATOR_AT_LEAST} x",
        ok=ratio >= GENERATOR_AT_LEAST,
    )


def _wrapper_rows(folder: Path) -> Iterator[Row]:
    around_s, load_s = wrapper_s(folder)
    want = f"<= {WRAPPER_AT_MOST_S:.0f} s"
    yield Row("scenario-wrapper", around_s, "s", "the load itself", load_s, want, around_s <= WRAPPER_AT_MOST_S)


def _collecting_rows(folder: Path) -> Iterator[Row]:
    folder.mkdir()
    cost = collecting_cost(folder)
    ours, theirs, beside = cost["ours"], cost["theirs"], "prometheus-api-client"
    quick, small = theirs.seconds / ours.seconds, ours.mebibytes / theirs.mebibytes
    print(
        f"collect-day: by the processes' own processor time {theirs.cpu_s / ours.cpu_s:.1f} x faster"
        f" ({ours.cpu_s:.2f} and {theirs.cpu_s:.2f} s)",
        flush=True,
    )
    yield Row(
        "collect-day",
        ours.seconds,
        "s",
        beside,
        theirs.seconds,
        f">= {COLLECT_FASTER:g} x faster",
        quick >= COLLECT_FASTER,
    )
    yield Row(
        "collect-day-memory",
        ours.mebibytes,
        "MiB",
        beside,
        theirs.mebibytes,
        f"<= {COLLECT_MEMORY} x",
        small <= COLLECT_MEMORY,
    )
    many = cost["many"].mebibytes
    yield Row(
        "collect-2000-memory",
        many,
        "MiB",
        "times and values as plain numbers",
        16 * FAMILIES * SERIES * STEPS / 2**20,
        f"<= {COLLECT_MANY_AT_MOST_MIB:.0f} MiB",
        many <= COLLECT_MANY_AT_MOST_MIB,
    )


def _drawing_rows(folder: Path) -> Iterator[Row]:
    folder.mkdir()
    cost = drawing_cost(folder)
    want = f"<= {DRAWN_AT_MOST_S:.0f} s"
    beside = "start of the process alone"
    yield Row("report-drawn", cost.drawn_s, "s", beside, cost.start_s, want, cost.drawn_s <= DRAWN_AT_MOST_S)


def _stack_rows(folder: Path) -> Iterator[Row]:
    first, warm = _stack_start_s(folder), _stack_start_s(folder)
    want = f"<= {WARM_START_AT_MOST_S:.0f} s"
    yield Row("stack-warm-start", warm, "s", "first start", first, want, warm <= WARM_START_AT_MOST_S)
    began = time.monotonic()
    ended = SuiteProcess(folder).end()
    wall_s = time.monotonic() - began
    assert ended.report is not None, ended.output
    bot_s = sum(step.duration_s for step in load_load(str(SHORT_LOAD)).bot)
    # E's load begins with its herd; the wait for the cache's expiry belongs to it
    load_s = sum(_seconds(row) for row in ended.report["scenarios"]) + herd_starts_s(load_profile("portal")) + bot_s
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
    sys.exit(main(sys.argv[1:]))
