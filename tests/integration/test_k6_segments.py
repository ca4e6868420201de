"""A scenario in several k6 processes: one load without a gap, one result, and the seams are left out of judgement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from infra.embedded.programs import ProgramId, ensure
from k6.merge import LATENCY, merged
from k6.model import Progress, ScenarioResult
from k6.plan import SEAM_S
from k6.segments import Segmented, loads_of, run_segments
from report.prometheus import Prometheus
from tasks.histograms import MergedHistograms
from tests.integration.test_k6_runner import SHORT, Portal, Runner, k6, portal, runner, serving
from tests.prometheus_process import prometheus_at

__all__ = ["k6", "portal", "runner"]

RATE_PER_S, SEGMENTS, SEGMENT_S = 50, 3, 13.0
LOAD = SHORT.model_copy(
    update={
        "segment_s": SEGMENT_S,
        "b": SHORT.b.model_copy(
            update={
                "rate_per_s": RATE_PER_S,
                "duration_s": SEGMENTS * SEGMENT_S,
                "pre_allocated_vus": 50,
                "max_vus": 50,
            }
        ),
        "a": SHORT.a.model_copy(update={"vus": 12, "ramp_up_s": 1, "steady_s": 2 * SEGMENT_S, "ramp_down_s": 1}),
    }
)
SEAM_REQUESTS = 2 * (SEGMENTS - 1) * SEAM_S * RATE_PER_S


@dataclass(frozen=True)
class Ran:
    """One segmented scenario, its result, and when the server was asked for the load's routes."""

    segmented: Segmented
    result: ScenarioResult
    came_s: list[float]
    progress: list[Progress]

    @property
    def longest_gap_s(self) -> float:
        return max(after - before for before, after in pairwise(sorted(self.came_s)))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    installed = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    with prometheus_at(installed, tmp_path_factory.mktemp("prometheus")) as url:
        yield url


def put(scenario: str, k6: Runner, portal: Portal, url: str, run_id: str) -> Ran:
    request = k6.request(scenario, load=LOAD, run_id=run_id, remote_write_url=f"{url}/api/v1/write")
    segmented = run_segments(request, k6.progress.append, k6.stop, lead_s=6.0)
    with Prometheus(url) as prometheus:
        histograms = MergedHistograms(prometheus, run_id, segmented.parts)
        result = merged(segmented.parts, histograms, segmented.seams)
    first, last = result.started.timestamp(), result.ended.timestamp()
    ends = segmented.parts[-1].started.timestamp() + SEGMENT_S
    came_s = [at for at, _ in portal.came_s if first <= at <= min(last, ends)]
    return Ran(segmented, result, came_s, k6.progress)


@pytest.fixture(scope="module")
def blog_read(prometheus: str, tmp_path_factory: pytest.TempPathFactory, k6: object) -> Iterator[tuple[Ran, Portal]]:
    with serving() as portal:
        portal.delay_s = 0.02
        runner = Runner(k6, tmp_path_factory.mktemp("b"), portal.url)  # type: ignore[arg-type]
        yield put("b", runner, portal, prometheus, "run-b"), portal


class TestSegmentsOfAnOpenModel:
    def test_cost_no_gap_above_a_second_as_the_server_sees_it(self, blog_read: tuple[Ran, Portal]) -> None:
        ran, _ = blog_read
        assert len(ran.segmented.parts) == SEGMENTS
        assert ran.longest_gap_s < 1.0
        assert max(abs(seam.gap_s) for seam in ran.result.seams) < 1.0
        assert len(ran.result.seams) == SEGMENTS - 1

    def test_are_one_result_that_counts_every_request(self, blog_read: tuple[Ran, Portal]) -> None:
        ran, portal = blog_read
        # each setup() logs in and reads three pages and the empty fourth
        assert ran.result.requests == portal.total() - 5 * SEGMENTS
        assert ran.result.outcomes == {"200": ran.result.requests}
        due = ran.result.iterations + ran.result.dropped_iterations
        assert due == pytest.approx(RATE_PER_S * SEGMENTS * SEGMENT_S, abs=SEGMENTS)
        assert ran.result.error is None

    def test_leave_the_seams_out_of_the_judgement(self, blog_read: tuple[Ran, Portal]) -> None:
        ran, _ = blog_read
        judged = sum(row.samples for part in ran.segmented.parts for row in part.thresholds if row.metric == LATENCY)
        assert judged == pytest.approx(ran.result.requests - SEAM_REQUESTS, abs=0.03 * ran.result.requests)

    def test_have_the_percentiles_of_all_segments_together(self, blog_read: tuple[Ran, Portal]) -> None:
        ran, _ = blog_read
        medians = [part.p50_ms for part in ran.segmented.parts if part.p50_ms is not None]
        assert ran.result.p50_ms is not None
        # 20 ms of the server's own, and the histogram's resolution of 10 %
        assert 0.9 * min(medians) <= ran.result.p50_ms <= 1.1 * max(medians)
        assert ran.result.p95_from_intended_ms is not None

    def test_tell_their_progress_as_one(self, blog_read: tuple[Ran, Portal]) -> None:
        ran, _ = blog_read
        elapsed = [progress.elapsed_s for progress in ran.progress]
        assert elapsed == sorted(elapsed)
        assert elapsed[-1] > 2 * SEGMENT_S
        requests = [progress.requests for progress in ran.progress]
        assert requests == sorted(requests)
        assert requests[-1] > 2 * RATE_PER_S * SEGMENT_S


class TestSegmentsOfAClosedModel:
    def test_hand_the_users_over_without_a_gap(
        self, runner: Runner, portal: Portal, prometheus: str, tmp_path: Path
    ) -> None:
        ran = put("a", runner, portal, prometheus, "run-a")
        assert len(ran.segmented.parts) == len(loads_of("a", LOAD)) == 2
        assert ran.longest_gap_s < 1.0
        assert ran.result.error is None
        assert ran.result.counters["orders_created"] == portal.answers["create_order", 200]


class TestStopping:
    def test_ends_the_segment_that_runs_and_begins_no_other(self, runner: Runner, portal: Portal) -> None:
        def stop_soon(progress: Progress) -> None:
            runner.stop.set()

        segmented = run_segments(runner.request("b", load=LOAD), stop_soon, runner.stop, lead_s=3.0)
        assert [part.ended_by_itself for part in segmented.parts] == [False]
        assert segmented.parts[0].error is not None
        assert "the run was stopped" in segmented.parts[0].error["what"]
