"""What goes into one scenario's run and what comes out: request, progress, result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from targets.load import Load
from targets.model import Profile


@dataclass(frozen=True)
class K6Program:
    """The k6 binary and what its environment needs besides."""

    path: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """One of several k6 that put a scenario on the target one after the other, and when its load is (UTC)."""

    number: int  # from 1
    of: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class ScenarioRequest:
    """One scenario to run, `profile` already at its endpoints."""

    scenario: str  # letter, a to e
    profile: Profile
    load: Load
    run_id: str
    run_mark: str  # stands in the orders that the run makes
    coupon_id: str  # C: its limited coupon
    product_id: str  # E: the product that the herd wants; "": the first one that the target lists
    k6: K6Program
    out_dir: Path
    remote_write_url: str | None  # None: no series are written
    generator: int = 1  # which of `generators` this one is, from 1
    generators: int = 1
    tokens: tuple[str, ...] = ()  # C: of the pool's users in their order; empty: the script logs them in
    segment: Segment | None = None  # None: one k6 puts all of it


@dataclass(frozen=True)
class Progress:
    """What k6 says of itself while it runs."""

    scenario: str
    elapsed_s: float
    left_s: float
    vus: int
    requests: int
    rate_per_s: float
    failed_ratio: float
    refused: int = 0  # by the target's limiter (429): requests that failed, but no sign of an ill target

    @property
    def ill_ratio(self) -> float:
        """Share of requests that failed otherwise than by the limiter."""
        return max(0.0, self.failed_ratio - self.refused / max(1, self.requests))

    def __str__(self) -> str:
        return (
            f"{self.scenario}: {self.elapsed_s:.0f} s, {self.left_s:.0f} s left, {self.vus} VUs, "
            f"{self.requests} requests, {self.rate_per_s:.0f}/s, {self.failed_ratio:.1%} failed"
        )


class Frozen(BaseModel):
    """A part of the result: it travels into report.json."""

    model_config = ConfigDict(frozen=True)


class Threshold(Frozen):
    """One k6 threshold and the number of samples it was judged on."""

    metric: str
    expression: str
    ok: bool
    samples: int
    value: float | None = Field(default=None, description="the share that was judged, where it is one")


class Seam(Frozen):
    """Where one segment's load ended and the next one's began."""

    at: datetime = Field(description="begin of the next one's load; UTC")
    gap_s: float = Field(description="without load; negative where both put theirs")


class GeneratorFigures(Frozen):
    """What tells whether k6 itself kept up."""

    offered_iterations: float | None = Field(description="iterations the load asks for; None in a closed model")
    max_vus: int | None = Field(description="VUs that the load allows; None in a closed model")
    allocated_vus: int = Field(description="VUs that k6 had made by the end")
    mean_iteration_s: float | None
    run_delay_ratio: float | None = Field(
        description="time k6's threads were ready but had no processor, by wall time and processors; None: unknown"
    )
    steal_ratio: float | None = Field(
        default=None, description="share of all processors' time that the hypervisor took; None: unknown"
    )


class ScenarioResult(Frozen):
    """One scenario's run, read from k6's own summary; requests of setup() are in no figure."""

    scenario: str = Field(description="letter")
    exit_code: int
    ended_by_itself: bool = Field(description="exit 0 or 99, neither stopped nor hung")
    never_began: bool = Field(default=False, description="k6 gave up before the load: its setup() failed, for example")
    started: datetime = Field(description="begin of the load, after setup(); UTC")
    ended: datetime = Field(description="end of the load; UTC")
    requests: int
    rate_per_s: float
    p50_ms: float | None = Field(description="of expected answers; None without any")
    p95_ms: float | None
    p99_ms: float | None
    p95_from_intended_ms: float | None = Field(
        default=None, description="from when the schedule wanted the iteration to start; None in a closed model"
    )
    p99_from_intended_ms: float | None = None
    error_rate: float | None = Field(description="share of requests not answered as expected; None without any")
    iterations: int
    dropped_iterations: int
    wrong_answers: int = Field(description="answers with a good status and a body that is not right")
    outcomes: Mapping[str, int] = Field(description="status -> requests; '0' had no answer, 'other' is any rare status")
    counters: Mapping[str, int] = Field(description="the script's own counters, such as orders_created")
    receipts: tuple[str, ...] = Field(
        default=(), description="ids that the script says the target issued: C's coupons, in the order of their answers"
    )
    thresholds: tuple[Threshold, ...]
    generator: GeneratorFigures
    seams: tuple[Seam, ...] = Field(default=(), description="between the segments of a long scenario")
    log: Path
    web_dashboard: Path | None = Field(description="k6's own HTML report; None for runs too short for one")
    complaints: tuple[str, ...] = Field(description="distinct errors in k6's log, first ones first")
    error: dict[str, str] | None = Field(description="row for report.json's errors when k6 did not end by itself")
    parts: tuple[ScenarioResult, ...] = Field(default=(), description="of each generator, where there are several")
    lost_generators: tuple[str, ...] = Field(default=(), description="which did not come back, a sentence each")

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Begin and end of the load (UTC)."""
        return self.started, self.ended
