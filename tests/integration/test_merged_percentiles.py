"""Percentiles over four generators: from the sum of their native histograms, beside all of their samples."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.checks import SCENARIOS
from infra.embedded.programs import ProgramId, ensure
from k6.command import k6_arguments
from k6.model import ScenarioResult
from report.collect import collect
from report.histograms import histogram_series, threshold_histograms
from report.model import ScenarioRow, ThresholdRow
from report.native import Bucket, bounds, merged
from report.prometheus import Window
from tests.integration.test_k6_runner import SHORT, Portal, Runner, k6, portal, runner
from tests.prometheus_process import prometheus_at
from tests.several_generators import shares_of, together

__all__ = ["k6", "portal", "runner"]

GENERATORS = 4
LATENCY = "http_req_duration{expected_response:true,part:load}"
DELAYS_S = [0.01] * 60 + [0.03] * 30 + [0.12] * 8 + [0.4] * 2
"""Of each hundred answers: so p50 is 10 ms, p95 120 ms and p99 400 ms, and what the way takes; none lies at a step."""
LOAD = SHORT.model_copy(
    update={
        "b": SHORT.b.model_copy(update={"rate_per_s": 200, "duration_s": 5, "pre_allocated_vus": 40, "max_vus": 80})
    }
)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    with prometheus_at(ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS], tmp_path) as url:
        yield url


def with_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each k6 also writes every sample to a file."""

    def arguments(*given: object, **named: object) -> list[str]:
        *words, script = k6_arguments(*given, **named)  # type: ignore[arg-type]
        return [*words, f"--out=csv={given[0].out_dir}/samples.csv", script]  # type: ignore[attr-defined]

    monkeypatch.setattr("k6.runner.k6_arguments", arguments)


def durations_ms(folder: Path) -> list[float]:
    """The load's expected answers in one generator's file."""
    with (folder / "samples.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric_name"] == "http_req_duration"]
    return [
        float(row["metric_value"])
        for row in rows
        if row["expected_response"] == "true" and "part=load" in row["extra_tags"]
    ]


def histograms(prometheus: str, results: list[ScenarioResult]) -> list[list[Bucket]]:
    """The buckets of each generator, as the report has them."""
    began, ended = min(r.started for r in results), max(r.ended for r in results)
    window = Window(began - timedelta(seconds=5), ended + timedelta(seconds=5))
    # as coarse as in a run of minutes: the last samples lie between two points of the grid
    collected = collect(prometheus, window, 5.0, histogram_series("run-1"), "run-1", ends=[ended])
    row = ThresholdRow(metric=LATENCY, expression="p(95)<200", ok=True, samples=1)
    scenario = ScenarioRow(id="b", name=SCENARIOS["b"], thresholds=(row,))
    return threshold_histograms(collected, [scenario])["b", LATENCY]


class TestFourGenerators:
    def test_have_the_percentiles_of_all_their_samples_within_a_bucket(
        self, runner: Runner, portal: Portal, prometheus: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_samples(monkeypatch)
        portal.delays_s = itertools.cycle(DELAYS_S)
        request = runner.request("b", load=LOAD, remote_write_url=f"{prometheus}/api/v1/write")
        requests = shares_of(request, GENERATORS)
        for share in requests:
            share.out_dir.mkdir(parents=True)
        results = together(requests)
        samples = np.array([ms for share in requests for ms in durations_ms(share.out_dir)])
        found = histograms(prometheus, results)
        assert len(found) == GENERATORS
        assert sum(bucket.count for own in found for bucket in own) == len(samples) == sum(r.requests for r in results)
        for share in (0.5, 0.95, 0.99):
            between = bounds(merged(found), share)
            assert between is not None
            low, high = (1000 * second for second in between)
            assert low <= np.quantile(samples, share) <= high
            assert high / low < 1.25  # two neighbours of a tenth each, where the rank lies between two values
        assert np.quantile(samples, 0.5) >= 10
        assert np.quantile(samples, 0.95) >= 120
        assert np.quantile(samples, 0.99) >= 400
