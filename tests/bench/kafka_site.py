"""One broker for all of Kafka's rows: each client's run is on a scratch topic of its own, deleted after it."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event
from uuid import uuid4

from kafka.admin import KafkaAdminClient, NewTopic

from bots.broker import Broker
from bots.events import ORDERS, EventFactory, Message
from bots.plan import BotPlan, BotResult, Progress, quiet
from bots.runner import run_bot_process
from core.waiting import wait_for
from infra.embedded.procfs import PROC, TICKS_PER_S
from targets.load import EngineName
from targets.model import Events, load_profile
from targets.shape import BotStep
from tests.bench.kafka_clients import ONE, Ask, Ended, Place, Told, Yardstick, run_client
from tests.kafka_broker import Kafka

PARTITIONS = 3
DELETED_AFTER_MS = 1000
"""A deleted topic's files stay for a minute by default; at 100,000 messages a second that fills the disk."""
KNOWN_S = 10.0
KEPT_UP_MS = 1000
"""With a p99 from intended send up to this, the answers kept up with the schedule: no queue hides behind the rate."""


@dataclass(frozen=True)
class Figures:
    """What a client made: messages a second, its processor seconds per million of them, p99 in ms where it is told.

    The bot's p99 is from the intended send to the acknowledgement, ProducerPerformance's from the send.
    """

    rate_per_s: float
    cpu_s_per_million: float
    p99_ms: float | None = None

    @classmethod
    def of_bot(cls, result: BotResult) -> Figures:
        """Processor seconds are its sending processes'; AssertionError when nothing was acknowledged."""
        assert result.acked, result.stopped_by
        return cls(acked_per_s(result), result.cpu_s / result.acked * 1e6, result.from_intended.p99_ms)


def acked_per_s(result: BotResult) -> float:
    """Acknowledged messages a second of a run of one step.

    Over the time of sending where the answers kept up with it; else until the last answer, taken late: no answer comes
    later after the schedule's end than the longest took from its intended send.
    """
    step, latency = result.steps[0], result.from_intended
    if latency.p99_ms is None or latency.max_ms is None:
        return 0.0
    if latency.p99_ms <= KEPT_UP_MS:
        return step.rate_per_s
    return result.acked / (step.asked_duration_s + latency.max_ms / 1000)


def record_bytes(message: Message) -> int:
    """Value, key and headers."""
    return len(message.key) + len(message.value) + sum(len(name) + len(value) for name, value in message.headers)


def mean_record_bytes(plan: BotPlan) -> int:
    """The bot's mean record, rounded."""
    factory = EventFactory(plan, random.Random(plan.run_id))
    return round(statistics.mean(record_bytes(factory.message(sequence)) for sequence in range(ORDERS)))


def plan_for(
    address: str, topic: str, engine: EngineName, step: BotStep, verify: bool = False, events: Events | None = None
) -> BotPlan:
    """A run that waits neither for Prometheus nor for a consumer."""
    events = events or load_profile("portal").events
    return BotPlan(
        run_id=f"bench-{uuid4().hex[:8]}",
        bootstrap_servers=address,
        events=events.model_copy(update={"topic": topic, "dead_letter_topic": f"{topic}.DLT"}),
        steps=(step,),
        engine=engine,
        metrics_port=0,
        scrape_interval_s=0,
        drain_timeout_s=0,
        verify=verify,
    )


class Site:
    """A running broker, and a folder for logs."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka, self._folder = kafka, folder
        self._start_cpu_s: dict[str, float] = {}

    @cached_property
    def record_bytes(self) -> int:
        return mean_record_bytes(plan_for(self.kafka.address, "any", "confluent", BotStep(rate_per_s=1, duration_s=1)))

    def bot(
        self,
        engine: EngineName,
        rate_per_s: float,
        duration_s: float,
        verify: bool = False,
        stop: Event | None = None,
        on_progress: Callable[[Progress], object] = quiet,
    ) -> BotResult:
        """One run of the bot, in processes of its own."""
        step = BotStep(rate_per_s=rate_per_s, duration_s=duration_s)
        with self._scratch_topic() as topic:
            plan = plan_for(self.kafka.address, topic, engine, step, verify)
            return run_bot_process(plan, self._folder / topic, stop or Event(), on_progress)

    def yardstick(self, client: Yardstick, ask: Ask) -> Figures:
        """One run of another client, and once a client the run that shows what its start costs."""
        if client.name not in self._start_cpu_s:
            self._start_cpu_s[client.name] = self._run(client, ONE)[1].cpu_s
        told, ended = self._run(client, ask)
        cpu_s = ended.cpu_s - self._start_cpu_s[client.name]
        return Figures(told.rate_per_s, cpu_s / told.messages * 1e6, told.p99_ms)

    def broker_cpu_s(self) -> float:
        """Processor seconds of the broker since it was started."""
        fields = (PROC / str(self.kafka.pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def _run(self, client: Yardstick, ask: Ask) -> tuple[Told, Ended]:
        with self._scratch_topic() as topic:
            place = Place(self.kafka.address, topic, self.record_bytes)
            ended = run_client(client.command(place, ask), self._folder / f"{topic}.log")
        return client.told(ended.said), ended

    @contextmanager
    def _scratch_topic(self) -> Iterator[str]:
        name = f"bench-{uuid4().hex[:8]}"
        configs = {"file.delete.delay.ms": str(DELETED_AFTER_MS)}
        with _admin(self.kafka.address) as admin:
            admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=configs)])
        with Broker(self.kafka.address) as broker:
            known = wait_for(lambda: len(broker.partitions(name)), lambda count: count == PARTITIONS, KNOWN_S, 0.1)
        assert known == PARTITIONS, f"the broker knows {known} of {PARTITIONS} partitions of {name} after {KNOWN_S} s"
        try:
            yield name
        finally:
            with _admin(self.kafka.address) as admin:
                admin.delete_topics([name])


@contextmanager
def _admin(address: str) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        yield admin
    finally:
        admin.close()
