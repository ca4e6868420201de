"""What is measured for Kafka's rows, each once however many rows ask for it, all on one broker that starts at need."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from bots.plan import BotResult
from targets.load import EngineName
from targets.shape import MOST_PER_S
from tests.bench.kafka_clients import BARE_CONFLUENT, DESIGN_BOT, PRODUCER_PERFORMANCE, Ask
from tests.bench.kafka_restarts import restarted
from tests.bench.kafka_site import Figures, Site
from tests.kafka_broker import running_kafka

WARM_UP_MESSAGES = 500_000
"""So many, and the broker's code is compiled: who comes first is not the slowest for that."""
DEFAULT_S = 30
DESIGN_BOT_S = 10
PACED_PER_S = 10_000
PACED_S = 20
PACED_ROUNDS = 2
FAST_PER_S = 100_000
FAST_S = 10
UNPACED_S = 2
UNPACED_MESSAGES = MOST_PER_S * UNPACED_S
"""Asked for within 2 s, which no client can: as fast as it goes."""
UNPACED_ROUNDS = 3


@dataclass(frozen=True)
class Held:
    """The default engine at one rate, and the processor seconds of the broker meanwhile."""

    result: BotResult
    broker_cpu_s: float

    def __str__(self) -> str:
        result, count = self.result, os.cpu_count() or 1
        wall_s = (result.ended - result.started).total_seconds()
        share = (result.cpu_s + self.broker_cpu_s) / (wall_s * count)
        return (
            f"{result.processes} processes took {result.cpu_s:.1f} s of processor time and the broker"
            f" {self.broker_cpu_s:.1f} s in {wall_s:.1f} s on {count} processors ({share:.0%}); p99 of the lateness"
            f" {result.lateness.p99_ms} ms; {result.acked} of {result.sent} acknowledged"
        )


@dataclass(frozen=True)
class Round:
    """The confluent engine and ProducerPerformance, one after the other; `bare`: the loop, where it took part."""

    bot: BotResult
    producer_performance: Figures
    bare: Figures | None = None


class KafkaBench:
    """The measurements; a context manager, which ends the broker."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._opened = folder, ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    def default_engine(self, rate_per_s: int) -> Held:
        """The default engine for `DEFAULT_S`."""
        return self._default_10000 if rate_per_s == PACED_PER_S else self._held(rate_per_s)

    def design_bot(self, rate_per_s: int) -> Figures:
        """The design's bot for `DESIGN_BOT_S`."""
        return self._design_10000 if rate_per_s == PACED_PER_S else self._designed(rate_per_s)

    def producer_performance(self) -> Figures:
        """ProducerPerformance, unpaced, anew at each call."""
        return self._site.yardstick(PRODUCER_PERFORMANCE, Ask(UNPACED_MESSAGES))

    def fast(self) -> BotResult:
        """The confluent engine at `FAST_PER_S`."""
        return self._site.bot("confluent", FAST_PER_S, FAST_S)

    @cached_property
    def paced(self) -> Sequence[Round]:
        """At `PACED_PER_S` for `PACED_S`, in turn."""
        ask = Ask(PACED_PER_S * PACED_S, PACED_PER_S)
        return [
            Round(self._site.bot("confluent", PACED_PER_S, PACED_S), self._site.yardstick(PRODUCER_PERFORMANCE, ask))
            for _ in range(PACED_ROUNDS)
        ]

    @cached_property
    def unpaced(self) -> Sequence[Round]:
        """As fast as each goes, in turn; the bot with its account."""
        return [
            Round(
                self._site.bot("confluent", MOST_PER_S, UNPACED_S, verify=True),
                self.producer_performance(),
                self._site.yardstick(BARE_CONFLUENT, Ask(UNPACED_MESSAGES)),
            )
            for _ in range(UNPACED_ROUNDS)
        ]

    @cached_property
    def restarts(self) -> Mapping[EngineName, BotResult]:
        """Each engine's account over the broker's restarts."""
        return restarted(self._site)

    @cached_property
    def record_bytes(self) -> int:
        """The mean record, which all clients but the design's bot send."""
        return self._site.record_bytes

    @cached_property
    def _site(self) -> Site:
        self._folder.mkdir(parents=True)
        broker_folder = self._folder / "broker"
        broker_folder.mkdir()
        site = Site(
            self._opened.enter_context(running_kafka(broker_folder, offsets_topic_num_partitions="8")), self._folder
        )
        site.yardstick(PRODUCER_PERFORMANCE, Ask(WARM_UP_MESSAGES))
        return site

    @cached_property
    def _default_10000(self) -> Held:
        return self._held(PACED_PER_S)

    @cached_property
    def _design_10000(self) -> Figures:
        return self._designed(PACED_PER_S)

    def _held(self, rate_per_s: int) -> Held:
        before_s = self._site.broker_cpu_s()
        result = self._site.bot("kafka-python", rate_per_s, DEFAULT_S)
        return Held(result, self._site.broker_cpu_s() - before_s)

    def _designed(self, rate_per_s: int) -> Figures:
        return self._site.yardstick(DESIGN_BOT, Ask(rate_per_s * DESIGN_BOT_S, rate_per_s))


def middle(figures: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    told = [each.p99_ms for each in figures if each.p99_ms is not None]
    return Figures(
        rate_per_s=median(each.rate_per_s for each in figures),
        cpu_s_per_million=median(each.cpu_s_per_million for each in figures),
        p99_ms=median(told) if told else None,
    )
