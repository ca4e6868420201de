"""What the bot is asked to do and what it answers, as typed documents that cross a process boundary as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from core.errors import SuiteError
from core.ports import DEFAULT_PORTS, LOOPBACK, ServiceId
from core.reach import THIS_MACHINE
from core.rundir import short_mark
from targets.load import EngineName
from targets.model import Events
from targets.shape import BotStep

LATE_MS = 100
"""A bot that is later than this says so."""


class Document(BaseModel):
    """A part of a plan or of a result."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BotPlan(Document):
    """One run of the bot."""

    run_id: str = Field(min_length=1)
    bootstrap_servers: str = Field(description="host:port[,host:port]")
    allow: tuple[str, ...] = Field(default=THIS_MACHINE, description="all that may be reached, as in the profile")
    events: Events
    steps: tuple[BotStep, ...] = Field(min_length=1)
    engine: EngineName = "kafka-python"
    processes: int | None = Field(default=None, ge=1, le=64, description="None: as many as the rate needs")
    retries: int = Field(default=3, ge=0, le=100, description="how often a client repeats a message by itself")
    silence_s: float = Field(
        default=30, gt=0, description="sending goes on this long without an acknowledgement: a broker may restart"
    )
    metrics_address: str = LOOPBACK
    metrics_port: int = Field(default=DEFAULT_PORTS[ServiceId.KAFKA_BOT], ge=0, le=65_535, description="0: a free one")
    scrape_interval_s: float = Field(default=5, ge=0, description="how often Prometheus asks; bounds the lingering")
    verify: bool = Field(default=True, description="read the log back, watch lag and dead letters, wait for the drain")
    drain_timeout_s: float = Field(default=300, ge=0, description="platform.md 8: recovery < 5 min")

    @property
    def mark(self) -> str:
        """The run as it stands in order numbers and user ids."""
        return short_mark(self.run_id)

    @property
    def duration_s(self) -> float:
        """Length of the schedule."""
        return sum(step.duration_s for step in self.steps)


class Problem(Document):
    """What stopped the bot: the row of report.json's `errors`."""

    what: str
    where: str = ""
    cure: str = ""

    @classmethod
    def of(cls, error: SuiteError) -> Problem:
        return cls(**error.as_row())

    def __str__(self) -> str:
        return str(SuiteError(self.what, where=self.where, cure=self.cure))


class Progress(Document):
    """Where the bot is, about once a second."""

    doing: str = Field(description="sending, reading back, draining or lingering")
    elapsed_s: float
    sent: int
    acked: int
    failed: int
    rate_per_s: float = Field(description="acknowledged messages a second, over the last seconds")
    late_ms: float = Field(description="how late the last message was sent")
    lag_records: int | None = None

    def __str__(self) -> str:
        rate = f", {self.rate_per_s:.1f} msg/s" if self.doing == "sending" else ""
        late = f", {self.late_ms / 1000:.1f} s late" if self.doing == "sending" and self.late_ms > LATE_MS else ""
        lag = "" if self.lag_records is None else f", lag {self.lag_records}"
        return f"{self.doing}: {self.sent} sent, {self.acked} acknowledged, {self.failed} failed{rate}{late}{lag}"


def quiet(progress: Progress) -> None:
    """Progress that nobody asked for."""


class Line(Document):
    """What the bot's process says on a line of its own."""

    progress: Progress | None = None
    problem: Problem | None = None


class Buckets(Document):
    """A histogram on its way between processes; bots/measures.py knows the buckets' bounds."""

    counts: Mapping[int, int]
    max_s: float
    sum_s: float


class Latency(Document):
    """Percentiles in ms, at most 2 % above the true value; None where nothing was measured."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class StepResult(Document):
    """One step of the schedule as it went."""

    asked: str = Field(description="as a shape: `100 for 30s`")
    asked_rate_per_s: float = Field(description="on a ramp its mean")
    asked_duration_s: float
    scheduled: int
    sent: int
    acked: int
    sending_s: float = Field(description="from the step's intended start until the message after its last is due")
    rate_per_s: float = Field(description="acked / sending_s")


class Accounting(Document):
    """The topic's log compared with what the bot knows: acked ⊆ log ⊆ sent (corrections.md 9)."""

    read: int = Field(description="records read back, foreign ones included")
    offset_growth: int = Field(description="how far the topic's offsets moved")
    in_log: int = Field(description="different messages of this run in the log")
    lost: int = Field(description="acknowledged, but not in the log")
    duplicates: int = Field(description="copies beyond the first")
    unacknowledged_in_log: int = Field(description="sent and in the log, but never acknowledged")
    never_sent: int = Field(description="in the log under this run's name, but never sent")
    order_breaks: int = Field(
        default=0, description="messages of a key that stand behind a later one of the same producer"
    )
    lost_messages: tuple[str, ...] = Field(default=(), description="`producer/sequence` of the first few")


class LagSample(Document):
    at_s: float = Field(description="since the watch began")
    lag_records: int


class Drain(Document):
    """The consumer group beside and after the load; lag None: the group never committed an offset of the topic."""

    group: str
    peak_lag_records: int | None
    last_lag_records: int | None
    drain_s: float = Field(description="from the last acknowledgement to lag 0, or to giving up")
    dead_letters: int = Field(description="growth of the dead-letter topic")
    unanswered: int = Field(description="samples the broker did not answer")
    series: tuple[LagSample, ...]


class BotResult(Document):
    """What the bot did; sent = acked + failed."""

    run_id: str
    topic: str
    engine: EngineName
    processes: int
    started: datetime
    ended: datetime
    steps: tuple[StepResult, ...]
    sent: int
    acked: int
    failed: int
    failures: Mapping[str, int] = Field(description="reason -> messages")
    from_intended: Latency = Field(description="from the intended send to the broker's acknowledgement")
    from_send: Latency = Field(description="from the send to the broker's acknowledgement")
    lateness: Latency = Field(description="from the intended to the real send")
    cpu_s: float = Field(description="processor time of the sending processes, from the first send to the last answer")
    interrupted: bool = Field(default=False, description="stopped by a person or a flow before its end")
    stopped_by: Problem | None = Field(default=None, description="what ended the load before its time")
    accounting: Accounting | None = None
    drain: Drain | None = None
    verification_problem: Problem | None = Field(default=None, description="why accounting or drain is missing")
