"""The yardsticks beside the bot: ProducerPerformance, the design's bot and a bare confluent-kafka loop.

Each is a process of its own; here are their commands, and what their last words say.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from core.settings import ROOT, process_environment
from infra.embedded.programs import ProgramId, ensure
from infra.embedded.tools import java

JAVA_OPTIONS = (
    "-Xmx512M", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)  # fmt: skip
"""As in Kafka's own script for it, kafka-producer-perf-test.sh."""
ENGLISH = ("-Duser.language=en", "-Duser.country=US")
"""Its figures with a point, whatever the machine's language."""
TAIL_CHARACTERS = 2000

_TOTAL = re.compile(r"^(\d+) records sent, ([\d.]+) records/sec .* ms 50th, .* (\d+) ms 99th, ", re.MULTILINE)
_DONE = re.compile(r"^Done: (\d+) messages in \d+s \(([\d.]+) msg/s\)", re.MULTILINE)


class Place(NamedTuple):
    """Where a client sends, and how large its messages are."""

    address: str
    topic: str
    record_bytes: int


class Ask(NamedTuple):
    """What a client is asked for; `rate_per_s` None: as fast as it goes."""

    messages: int
    rate_per_s: int | None = None


ONE = Ask(1, 1)
"""Next to nothing: what it costs is the client's start."""


class Told(NamedTuple):
    """What a client says at its end; `p99_ms` from its send to the acknowledgement, None where it does not say."""

    messages: int
    rate_per_s: float
    p99_ms: float | None = None


@dataclass(frozen=True)
class Yardstick:
    """A client as a command, and how its output is read."""

    name: str
    command: Callable[[Place, Ask], Sequence[str]]
    told: Callable[[str], Told]


class Ended(NamedTuple):
    """A process that ended well: all that it said, and its processor seconds."""

    said: str
    cpu_s: float


def run_client(command: Sequence[str], log_file: Path) -> Ended:
    """Run a client to its end, its output in `log_file`; AssertionError with the last of it when it fails."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=process_environment(), stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    said = log_file.read_text(encoding="utf-8", errors="replace")
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}: {said[-TAIL_CHARACTERS:]}"
    return Ended(said, usage.ru_utime + usage.ru_stime)


def read_producer_performance(said: str) -> Told:
    """The line of totals, which is the only one with percentiles."""
    messages, rate, p99 = _only(_TOTAL, said)
    return Told(int(messages), float(rate), float(p99))


def read_design_bot(said: str) -> Told:
    """Its own count, which is of messages that were queued."""
    messages, rate = _only(_DONE, said)
    return Told(int(messages), float(rate))


def read_bare_confluent(said: str) -> Told:
    answer = json.loads(said.splitlines()[-1])
    return Told(answer["acked"], answer["acked"] / answer["seconds"])


def _only(pattern: re.Pattern[str], said: str) -> Sequence[str]:
    found = pattern.search(said)
    assert found is not None, f"no figures in: {said[-TAIL_CHARACTERS:]}"
    return found.groups()


def _producer_performance(place: Place, ask: Ask) -> Sequence[str]:
    libraries = ensure((ProgramId.KAFKA,))[ProgramId.KAFKA].path
    return (
        str(java()), *JAVA_OPTIONS, *ENGLISH, "-cp", f"{libraries}/*", "org.apache.kafka.tools.ProducerPerformance",
        "--topic", place.topic, "--num-records", str(ask.messages), "--record-size", str(place.record_bytes),
        "--throughput", str(ask.rate_per_s or -1),
        "--producer-props", f"bootstrap.servers={place.address}", "acks=all",
    )  # fmt: skip


def _design_bot(place: Place, ask: Ask) -> Sequence[str]:
    assert ask.rate_per_s is not None, "the design's bot has no unpaced mode"
    return (
        sys.executable, "-m", "tests.bench.design_bot", "--bootstrap-servers", place.address, "--topic", place.topic,
        "--rate", str(ask.rate_per_s), "--duration", str(ask.messages // ask.rate_per_s), "--metrics-port", "0",
    )  # fmt: skip


def _bare_confluent(place: Place, ask: Ask) -> Sequence[str]:
    return (
        sys.executable, "-m", "tests.bench.bare_confluent", "--bootstrap-servers", place.address,
        "--topic", place.topic, "--num-records", str(ask.messages), "--record-size", str(place.record_bytes),
    )  # fmt: skip


PRODUCER_PERFORMANCE = Yardstick("ProducerPerformance", _producer_performance, read_producer_performance)
DESIGN_BOT = Yardstick("the design's bot", _design_bot, read_design_bot)
BARE_CONFLUENT = Yardstick("a bare confluent-kafka loop", _bare_confluent, read_bare_confluent)
