"""A day of series into a DataFrame: our collecting beside prometheus-api-client, each in a process of its own."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.settings import ROOT
from infra.embedded.programs import ProgramId, ensure
from tests.prometheus_process import make_blocks, prometheus_at

SERIES = 100
STEP_S = 5
STEPS = 17_281
"""24 h at 5 s, both ends."""
REPETITIONS = 3
METRIC = "bench_requests"


@dataclass(frozen=True)
class Cost:
    """Medians of several processes: seconds from question to frame, and the memory it took beyond imports."""

    seconds: float
    mebibytes: float


def collecting_cost(folder: Path) -> Mapping[str, Cost]:
    """`ours` and `theirs`, in turn, on one Prometheus."""
    started = math.floor(time.time() - 90_000) // 60 * 60
    installed = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    make_blocks(installed, folder, _open_metrics(started))
    found: dict[str, list[Cost]] = {"ours": [], "theirs": []}
    with prometheus_at(installed, folder) as url:
        for _ in range(REPETITIONS):
            for whose, costs in found.items():
                command = [sys.executable, "-m", "tests.bench.collecting", whose, url, str(started)]
                said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
                costs.append(Cost(**json.loads(said.splitlines()[-1])))
    return {whose: _median(costs) for whose, costs in found.items()}


def _median(costs: list[Cost]) -> Cost:
    middle = len(costs) // 2
    return Cost(
        sorted(cost.seconds for cost in costs)[middle],
        sorted(cost.mebibytes for cost in costs)[middle],
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


def _theirs(url: str, started: int) -> int:
    from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

    moments = [datetime.fromtimestamp(at, UTC) for at in (started, started + (STEPS - 1) * STEP_S)]
    client = PrometheusConnect(url=url)
    return _measured(lambda: len(MetricRangeDataFrame(client.get_metric_range_data(METRIC, {}, *moments))))


def _measured(collecting: Callable[[], int]) -> int:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    samples = collecting()
    seconds = time.monotonic() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert abs(samples / (SERIES * STEPS) - 1) < 0.01, f"{samples} samples in the frame"
    print(json.dumps({"seconds": seconds, "mebibytes": grown}))
    return 0


if __name__ == "__main__":
    sys.exit({"ours": _ours, "theirs": _theirs}[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
