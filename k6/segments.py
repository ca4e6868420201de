"""A long scenario in several k6 processes, one after the other without a gap: the memory of one grows with its time.

What k6 keeps of its metrics it keeps until its end (k6 #3955, #4670), which is gigabytes in the morning; so a load with
`segment_s` is cut. Each segment has its moment by the clock. Its k6 is started LEAD_S before, makes its VUs, signs in
and waits in setup() (lib/segment.js); nobody has to be told anything at the seam. `k6.merge` makes one result of all.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

from core.rundir import utc_now
from k6.model import Progress, ScenarioRequest, ScenarioResult, Seam, Segment
from k6.plan import planned_s
from k6.runner import run_scenario
from targets.load import Load

log = logging.getLogger("k6")

LEAD_S = 20.0
"""A k6 on a busy machine needs some seconds from its start to the end of its setup()."""
_STEADY = {"a": "steady_s", "b": "duration_s", "d": "steady_s"}
"""Where each scenario may be cut; C and E are bursts."""


@dataclass(frozen=True)
class Segmented:
    """What came of each segment that was begun, and of the seams between them."""

    parts: tuple[ScenarioResult, ...]
    seams: tuple[Seam, ...]


def loads_of(scenario: str, load: Load) -> tuple[Load, ...]:
    """The load of each segment in order; it alone where nothing is to be cut.

    The first has the ramp up, the last the ramp down, and an equal part of the steady time is in each.
    """
    if scenario not in _STEADY or load.segment_s is None:
        return (load,)
    steady_s: float = getattr(getattr(load, scenario), _STEADY[scenario])
    number = max(1, math.ceil(steady_s / load.segment_s))
    return tuple(_part(scenario, load, index, number, steady_s / number) for index in range(number))


def run_segments(
    request: ScenarioRequest,
    on_progress: Callable[[Progress], None],
    stop: threading.Event,
    lead_s: float = LEAD_S,
) -> Segmented:
    """`run_scenario` for each segment in its turn; those after one that did not end by itself are not begun."""
    requests = _requests(request, utc_now() + timedelta(seconds=lead_s))
    whole = _Whole(requests, on_progress)
    running: list[Future[ScenarioResult]] = []
    with ThreadPoolExecutor(len(requests), thread_name_prefix="k6-segment") as pool:
        for each in requests:
            assert each.segment is not None
            if not _reached(each.segment.starts_at - timedelta(seconds=lead_s), running, stop):
                break
            log.info("segment %d of %d: its k6 starts", each.segment.number, each.segment.of)
            running.append(pool.submit(run_scenario, each, partial(whole.say, each.segment), stop))
    parts = tuple(future.result() for future in running)
    return Segmented(parts, tuple(_seam(*pair, each) for pair, each in zip(pairwise(parts), requests, strict=False)))


def _part(scenario: str, load: Load, index: int, number: int, length_s: float) -> Load:
    own = getattr(load, scenario)
    changes: dict[str, float] = {_STEADY[scenario]: length_s}
    if scenario != "b":
        changes |= {"ramp_up_s": 0.0} if index else {}
        changes |= {"ramp_down_s": 0.0} if index < number - 1 else {}
    if scenario == "d" and index:
        changes["start_rate_per_s"] = own.rate_per_s
    return load.model_copy(update={scenario: own.model_copy(update=changes)})


def _requests(request: ScenarioRequest, starts_at: datetime) -> list[ScenarioRequest]:
    loads = loads_of(request.scenario, request.load)
    found = []
    for number, load in enumerate(loads, start=1):
        ends_at = starts_at + timedelta(seconds=planned_s(request.scenario, load, request.profile))
        segment = Segment(number, len(loads), starts_at, ends_at)
        folder = request.out_dir / f"segment-{number:02d}"
        found.append(replace(request, load=load, segment=segment, out_dir=folder))
        starts_at = ends_at
    return found


def _seam(before: ScenarioResult, after: ScenarioResult, request: ScenarioRequest) -> Seam:
    """Measured, not planned: from when the schedule of the one before was over to the begin of the next load."""
    planned = timedelta(seconds=planned_s(request.scenario, request.load, request.profile))
    return Seam(at=after.started, gap_s=(after.started - before.started - planned).total_seconds())


def _reached(moment: datetime, running: Sequence[Future[ScenarioResult]], stop: threading.Event) -> bool:
    """Wait for the moment; False when the run was stopped, or a segment went wrong, before it came."""
    while (left_s := (moment - utc_now()).total_seconds()) > 0:
        if stop.wait(min(left_s, 0.5)) or any(_went_wrong(future) for future in running):
            return False
    return not stop.is_set()


def _went_wrong(future: Future[ScenarioResult]) -> bool:
    return future.done() and (future.exception() is not None or future.result().error is not None)


class _Whole:
    """The segments' progress as that of the whole scenario; only the one whose turn it is speaks."""

    def __init__(self, requests: Sequence[ScenarioRequest], on_progress: Callable[[Progress], None]) -> None:
        segments = [each.segment for each in requests if each.segment is not None]
        self._begins, self._ends = segments[0].starts_at, segments[-1].ends_at
        self._newest: dict[int, Progress] = {}  # by the segment's number
        self._on_progress = on_progress

    def say(self, segment: Segment, progress: Progress) -> None:
        self._newest[segment.number] = progress
        now = utc_now()
        if not segment.starts_at <= now < segment.ends_at:
            return
        requests = sum(each.requests for each in self._newest.values())
        failed = sum(each.requests * each.failed_ratio for each in self._newest.values())
        whole = replace(
            progress,
            elapsed_s=(now - self._begins).total_seconds(),
            left_s=max(0.0, (self._ends - now).total_seconds()),
            requests=requests,
            failed_ratio=failed / requests if requests else 0.0,
        )
        self._on_progress(whole)
