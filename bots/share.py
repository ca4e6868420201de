"""One process's share of a run, as documents that cross a process boundary as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from bots.plan import BotPlan, Buckets, Document, Problem


class SharePlan(Document):
    """The producer's every `producers`-th message of the schedule."""

    plan: BotPlan
    producer: int = Field(ge=0)
    producers: int = Field(ge=1)
    states_file: Path = Field(description="takes the ledger's states at the end, a byte a message")


class ShareState(Document):
    """Where a producer is, a few times a second."""

    sent: int
    acked: int
    failed: int
    late_s: float


class ShareStep(Document):
    """A producer's part of one step."""

    sent: int
    acked: int
    last_sent_s: float = Field(description="since the schedule's start")


class ShareResult(Document):
    """What a producer did."""

    sent: int
    acked: int
    failures: Mapping[str, int]
    steps: tuple[ShareStep, ...]
    from_intended: Buckets
    from_send: Buckets
    lateness: Buckets
    cpu_s: float
    stopped_by: Problem | None = None


class ShareLine(Document):
    """What a producer's process says on a line of its own; `ready` comes first."""

    ready: bool = False
    state: ShareState | None = None
    result: ShareResult | None = None
    problem: Problem | None = None
