"""What the bot needs of a Kafka client; kafka-python-ng and confluent-kafka each give it (bots/engine_*.py)."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from bots.broker import Broker, Offsets
from bots.events import Message
from bots.plan import BotPlan
from core.errors import SetupError, VerificationError
from targets.load import EngineName

MAX_BLOCK_S = 5
"""How long a send may wait for room or metadata; the schedule stands still meanwhile."""
ACK_S = 20
"""A message that was not acknowledged within it is given up by the client."""
GRAIN_S = 0.001
"""The shortest wait: waking for each of 10,000 messages a second would cost more than sending them."""
LINGER_MS = 5
"""How long a client waits for further messages before it sends a batch (Kafka 4's own default)."""
SILENCE_S = 30.0
"""How long reading the log back may stand still."""
TOO_LARGE = "larger than the topic's max.message.bytes (raise it)"
LATE = "not acknowledged in time"
GONE = "the topic does not exist any more"
PER_PROCESS_PER_S: dict[EngineName, float] = {"kafka-python": 3_000, "confluent": 1_000_000}
"""What one process is asked for at most: below what it can on a slow core, so that it is not late."""
_MODULES: dict[EngineName, str] = {"kafka-python": "bots.engine_kafka_python", "confluent": "bots.engine_confluent"}

Settled = Callable[[int, float, float, str | None], object]
"""Called with a message's sequence, intended send, send (both in the sender's clock) and why it failed, if it did."""


class NoRoom(Exception):
    """The client took no message for `MAX_BLOCK_S`: its buffer is full, or the topic is gone."""


class Engine(Protocol):
    """One Kafka client that sends; used by one thread."""

    def send(self, message: Message, sequence: int, intended_s: float, sent_s: float) -> None:
        """Queue a message; it is settled later, or at once where the client refuses it. NoRoom when it cannot."""

    def wait(self, seconds: float) -> None:
        """Sleep at most so long; answers that come meanwhile settle their messages."""

    def serve(self) -> None:
        """Settle what was answered already, without waiting."""

    def close(self) -> None:
        """End the client, also when messages were never answered."""


class LogRecord(NamedTuple):
    """A record read back."""

    partition: int
    offset: int
    key: bytes | None
    mark: bytes | None


class EngineModule(Protocol):
    """What each engine's module holds."""

    def open_engine(self, broker: Broker, plan: BotPlan, settled: Settled) -> Engine: ...

    def read_log(self, broker: Broker, topic: str, start: Offsets, end: Offsets) -> Iterator[LogRecord]: ...


def engine_module(name: EngineName) -> EngineModule:
    """The engine's module; SetupError where its client is not installed."""
    try:
        module: EngineModule = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        raise SetupError(
            f"engine '{name}' needs the package {error.name}, which is not installed",
            where="--engine",
            cure="pip install -r bots/requirements.txt",
        ) from error
    return module


def unreadable(broker: Broker, topic: str, why: object) -> VerificationError:
    """For an engine whose `read_log` gets no further."""
    return VerificationError(
        f"the log of '{topic}' cannot be read back: {why}",
        where=", ".join(broker.bootstrap_servers),
        cure="Look into the broker's log.",
    )


def process_count(plan: BotPlan) -> int:
    """How many processes share the schedule: as many as its highest rate needs, and not more than processors."""
    if plan.processes is not None:
        return plan.processes
    peak_per_s = max(max(step.rate_per_s, step.last_rate_per_s) for step in plan.steps)
    return max(1, min(math.ceil(peak_per_s / PER_PROCESS_PER_S[plan.engine]), os.cpu_count() or 1))
