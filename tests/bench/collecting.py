"""A day of series into a DataFrame: our collecting beside prometheus-api-client, each in a process of its own.

And a day of 2,000 series into a run directory: the same 100 of a real Prometheus, asked for under 20 names.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.settings import ROOT
from infra.embedded.programs import ProgramId, ensure
from tests.prometheus_process import make_blocks, prometheus_at

SERIES = 100
STEP_S = 5
STEPS = 17_281
"""24 h at 5 s, both ends."""
FAMILIES = 20
"""Asked for one after another: 2,000 series."""
REPETITIONS = 3
METRIC = "bench_requests"


@dataclass(frozen=True)
class Cost:
    """Medians of several processes: seconds from question to frame, and the memory it took beyond imports.

    `cpu_s` is the process' own processor time meanwhile: a witness that neighbours do not move.
    """

    seconds: float
    mebibytes: float
    cpu_s: float


def collecting_cost(folder: Path) -> Mapping[str, Cost]:
    """`ours` and `theirs` in turn on one Prometheus, and `many` once: a process' whole memory, imports included."""
    started = math.floor(time.time() - 90_000) // 60 * 60
    installed = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    make_blocks(installed, folder, _open_metrics(started))
    found: dict[str, list[Cost]] = {"ours": [], "theirs": []}
    with prometheus_at(installed, folder) as url:
        for _ in range(REPETITIONS):
            for whose, costs in found.items():
                costs.append(_in_a_process(whose, url, started))
        many = _in_a_process("many", url, started)
    return {"many": many, **{whose: _median(costs) for whose, costs in found.items()}}


def _in_a_process(whose: str, url: str, started: int) -> Cost:
    command = [sys.executable, "-m", "tests.bench.collecting", whose, url, str(started)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return Cost(**json.loads(said.splitlines()[-1]))


def _median(costs: list[Cost]) -> Cost:
    middle = len(costs) // 2
    return Cost(
        sorted(cost.seconds for cost in costs)[middle],
        sorted(cost.mebibytes for cost in costs)[middle],
        sorted(cost.cpu_s for cost in costs)[middle],
    )


def _open_metrics(started: int) -> str:
    lines = [f"# TYPE {METRIC} gauge"]
    lines += [
        f'{METRIC}{{service="service-{number}",instance="127.0.0.1:80"}} {(step * (number + 1)) % 977 / 7:.4f} '
        f"{started + step * STEP_S}"
        for number in range(SERIES)
        for step in range(STEPS)
    ]
    return "\n".join([*lines, "# EOF", ""])


def _ours(url: str, started: int) -> int:
    from report.catalogue import SeriesSpec
    from report.collect import collect
    from report.prometheus import Window

    window = Window.from_epoch(started, started + (STEPS - 1) * STEP_S)
    spec = SeriesSpec(METRIC, "bench", METRIC, "count", METRIC, METRIC)
    return _measured(lambda: len(collect(url, window, STEP_S, [spec], "bench").frame("bench")))


def _many(url: str, started: int) -> int:
    from report.catalogue import SeriesSpec
    from report.collect import collect
    from report.prometheus import Window

    window = Window.from_epoch(started, started + (STEPS - 1) * STEP_S)
    specs = [SeriesSpec(f"{METRIC}_{n}", f"bench{n % 4}", METRIC, "count", METRIC, METRIC) for n in range(FAMILIES)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = collect(url, window, STEP_S, specs, "bench", Path(folder))
    seconds = time.monotonic() - began
    samples = sum(row.samples for row in found.rows)
    assert samples == FAMILIES * SERIES * STEPS, f"{samples} samples collected"
    _say(Cost(seconds, _peak_mib(), time.process_time()))
    return 0


def _theirs(url: str, started: int) -> int:
    from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

    moments = [datetime.fromtimestamp(at, UTC) for at in (started, started + (STEPS - 1) * STEP_S)]
    client = PrometheusConnect(url=url)
    return _measured(lambda: len(MetricRangeDataFrame(client.get_metric_range_data(METRIC, {}, *moments))))


def _peak_mib() -> float:
    """The most memory that this process held since its program began; ru_maxrss would count its parent's as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _measured(collecting: Callable[[], int]) -> int:
    before, began, cpu_began = _peak_mib(), time.monotonic(), time.process_time()
    samples = collecting()
    seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu_began
    grown = _peak_mib() - before
    assert abs(samples / (SERIES * STEPS) - 1) < 0.01, f"{samples} samples in the frame"
    _say(Cost(seconds, grown, cpu_s))
    return 0


def _say(cost: Cost) -> None:
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    sys.exit({"ours": _ours, "theirs": _theirs, "many": _many}[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
