"""report.json as types: the one source from which HTML, JUnit and Markdown are drawn (architecture.md).

Times are UTC ISO 8601 with milliseconds. A number that is not finite is null: JSON knows no NaN.
Version 1 of the schema only grows; `docs/report-schema.json` is generated from here (`python -m report.schema`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from core.checks import Check
from core.errors import SetupError, SuiteError
from core.rundir import iso
from core.words import Phase, Verdict


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
Moment = Annotated[
    AwareDatetime,
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Row(BaseModel):
    """A part of the report; values do not change once they are written."""

    model_config = ConfigDict(frozen=True)


class ErrorRow(Row):
    """A failure as a person needs it."""

    where: str
    what: str
    cure: str

    @classmethod
    def of(cls, error: SuiteError) -> ErrorRow:
        return cls(**error.as_row())


class PhaseRow(Row):
    id: Phase
    verdict: Verdict = Field(description="the worst of the phase's checks")
    started: Moment | None = None
    ended: Moment | None = None
    note: str = ""


class ThresholdRow(Row):
    """One k6 threshold; `samples` 0 means that nothing was measured, so nothing is claimed (corrections.md 4)."""

    metric: str
    expression: str
    ok: bool
    samples: int


class SeamRow(Row):
    """Where one k6 took over from another; between the two moments requests are counted and not judged."""

    started: Moment
    ended: Moment
    gap_s: float = Field(description="without load; negative where both put theirs")


class ScenarioRow(Row):
    """One k6 script's totals, from k6's own summary; latencies are of expected answers."""

    id: str = Field(description="letter")
    name: str
    verdict: Verdict | None = Field(default=None, description="of its thresholds")
    requests: int = 0
    rate: Number = Field(default=None, description="requests a second")
    p50_ms: Number = None
    p95_ms: Number = None
    p99_ms: Number = None
    p95_from_intended_ms: Number = Field(
        default=None, description="from the moment that the schedule meant; null in a closed model"
    )
    p99_from_intended_ms: Number = None
    error_rate: Number = Field(default=None, description="share of requests that failed, 0 to 1")
    dropped_iterations: int = 0
    iterations: int = 0
    outcomes: Mapping[str, int] = Field(default_factory=dict, description="status -> answers")
    started: Moment | None = None
    ended: Moment | None = None
    thresholds: tuple[ThresholdRow, ...] = ()
    counters: Mapping[str, float] = Field(default_factory=dict)
    error: ErrorRow | None = None
    seams: tuple[SeamRow, ...] = Field(default=(), description="of a long scenario that ran in several k6")


Stage = Literal["warm-up", "steady", "spike", "drain", "seam"]


class StageRow(Row):
    """What one part of the load did between two moments; without length where it never came to that."""

    part: str = Field(description="a scenario's letter, or `bot`")
    stage: Stage
    started: Moment
    ended: Moment


class SpanRow(Row):
    """A piece of a window."""

    started: Moment
    ended: Moment


class WindowRow(Row):
    """The part of the run that a gate looks at."""

    name: str
    started: Moment | None = None
    ended: Moment | None = None
    parts: tuple[str, ...] = Field(default=(), description="scenarios' letters, or `bot`")
    spans: tuple[SpanRow, ...] = Field(default=(), description="the window's pieces")


class GateRow(Row):
    """An objective over a collected series in a window of the load."""

    id: str
    verdict: Verdict
    series: str
    reduction: str
    window: WindowRow
    observed: str
    want: str
    severity: Literal["fail", "warn"] = Field(description="warn: shown, without a say in the run's verdict")
    claim: str = Field(default="", description="the objective in a sentence, with where it comes from")
    line: str = Field(default="", description="the worst line of the series, which is the one judged")
    value: Number = Field(default=None, description="its figure, in `unit`")
    bound: Number = Field(default=None, description="in `unit`")
    unit: str = ""


class Bottleneck(Row):
    """The first saturated resource; `component` is null where it was not looked for, "none" where there is none."""

    component: str | None = None
    since: Moment | None = None
    confidence: float = Field(default=0, ge=0, le=1)
    evidence: str = Field(description="what the collected series show, as a sentence")
    kind: str = Field(default="", description="limiter, cpu, database, pool, call, consumer or memory")
    part: str = Field(default="", description="a scenario's letter, `bot` or `whole load`")
    advice: str = Field(default="", description="what to do about it")
    spans: str = Field(default="", description="where a request's time went, by its spans")
    also: tuple[str, ...] = Field(default=(), description="what else was saturated, later or less")


class SeriesRow(Row):
    """What came of collecting one series."""

    id: str
    group: str
    title: str
    unit: str
    definition: str
    promql: str
    state: Literal["data", "empty", "missing", "failed"] = Field(
        description="empty: the metric exists, without a sample here; missing: no such metric; failed: not readable"
    )
    note: str = Field(description="why there is no data")
    lines: int = 0
    samples: int = 0
    metrics: tuple[str, ...] = Field(default=(), description="names of the metrics that the query reads")
    measures: Literal["", "latency", "service time"] = Field(
        default="", description="of a duration: seen by the client, or inside the server"
    )


class RunKey(Row):
    """What two runs must share before their figures may be compared; digests are the first 12 hex digits of SHA-256."""

    target: str
    profile: str = Field(description="digest of the target's profile without its addresses")
    versions: Mapping[str, str] = Field(description="program or part of the target -> version")
    load: str
    load_numbers: str = Field(description="digest of the load's numbers")
    scenarios: str = Field(description="letters")
    phases: str
    scripts: str = Field(description="digest of the k6 scripts")
    backend: str
    machine: str = Field(description="architecture, processor, number of processors, memory")
    suite: str = Field(description="version of the suite")


Change = Literal["worse", "better", "same", "unknown"]


class ShiftRow(Row):
    """One figure against comparable runs before it; a change of 0.1 is 10 % more."""

    figure: str = Field(description="<scenario or service>/<measure>")
    title: str
    unit: str
    change: Change
    before: Number = Field(default=None, description="geometric mean of the earlier runs")
    after: Number = Field(default=None, description="geometric mean of the newest runs")
    relative: Number = Field(default=None, description="relative change")
    low: Number = Field(default=None, description="lower end of the change's interval")
    high: Number = None
    confidence: Number = Field(default=None, description="of the interval, 0 to 1")
    runs: int = Field(default=0, description="newest runs that the change is about")
    runs_before: int = Field(default=0, description="passing runs that it is compared with")
    note: str = ""


class Regression(Row):
    """A figure that became worse and has not come back."""

    shift: ShiftRow
    since: str = Field(description="first run at the new level")
    announced: bool = Field(description="said to somebody, by this run or by an earlier one")
    news: bool = Field(description="said by this run for the first time")
    acknowledged: str = Field(default="", description="who knows of it until when and why; empty: nobody")


class RegressionGroup(Row):
    """Regressions of one scenario or service: one headline, the others beneath it."""

    about: str
    headline: Regression
    beneath: tuple[Regression, ...] = ()
    news: bool


class Comparison(Row):
    """This run against the passing runs before it that share its key."""

    baseline: tuple[str, ...] = Field(default=(), description="run ids, oldest first")
    shifts: tuple[ShiftRow, ...] = ()
    regressions: tuple[RegressionGroup, ...] = ()
    notes: tuple[str, ...] = Field(default=(), description="why nothing could be compared, what could not be read")


class SoakRow(Row):
    """The trend of one line in one steady window."""

    window: WindowRow
    series: str
    name: str = Field(description="the line's labels, such as the service")
    title: str
    unit: str
    trend: Literal["grows", "fills", "unclear", "level", "falls", "no data"] = Field(
        description="grows: still growing at the end; fills: grew and came to rest; unclear: cannot be told apart yet"
    )
    per_hour: Number = None
    low: Number = Field(default=None, description="lower end of the slope's 95 % interval, per hour")
    high: Number = None
    per_1000_requests: Number = None
    at_end: Number = Field(default=None, description="level at the end of the window")
    limit: Number = None
    hours_left: Number = Field(default=None, description="until the limit at this slope; null where none is known")
    hours_left_at_least: Number = Field(default=None, description="at the upper end of the slope's interval")
    notes: tuple[str, ...] = Field(default=(), description="restarts and gaps")


class Report(Row):
    """All that a run says about itself."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    run_id: str
    verdict: Verdict
    exit_code: int
    target: str
    backend: str
    load: str
    started: Moment
    ended: Moment
    phases: tuple[PhaseRow, ...]
    errors: tuple[ErrorRow, ...]
    checks: tuple[Check, ...]
    scenarios: tuple[ScenarioRow, ...]
    gates: tuple[GateRow, ...]
    stages: tuple[StageRow, ...] = Field(default=(), description="what each part of the load did when")
    parts_asked: tuple[str, ...] | None = Field(default=None, description="scenarios' letters, `bot`; null: not known")
    ledger: Mapping[str, Any]
    bottleneck: Bottleneck
    versions: Mapping[str, str]
    series: tuple[SeriesRow, ...] = ()
    key: RunKey | None = Field(default=None, description="null in reports of earlier versions")
    figures: Mapping[str, float] = Field(default_factory=dict, description="what later runs are compared with")
    comparison: Comparison | None = None
    soak: tuple[SoakRow, ...] = ()

    @property
    def duration_s(self) -> float:
        return (self.ended - self.started).total_seconds()

    def check(self, id: str) -> Check:
        return next(check for check in self.checks if check.id == id)


def to_json(report: Report) -> bytes:
    """report.json's bytes; evidence of any type becomes text rather than an error, NaN and infinities become null."""
    return orjson.dumps(report.model_dump(mode="json", fallback=str), option=orjson.OPT_INDENT_2) + b"\n"


def read_report(path: Path) -> Report:
    """The report at `path`; SetupError when there is none or it is not one."""
    cure = "Give a run directory that holds a report.json, such as runs/latest."
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SetupError(f"the report cannot be read: {error.strerror}", where=str(path), cure=cure) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"not a report of schema 1: {place} {first['msg']}", where=str(path), cure=cure) from error
