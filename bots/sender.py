"""Sends the schedule's messages and books what the broker answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event
from typing import Protocol

from kafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafka.future import Future

from bots.events import EventFactory
from bots.ledger import Ledger, State
from bots.measures import LatencyHistogram
from bots.metrics import BotMetrics
from bots.plan import BotPlan, Problem, StepResult
from bots.schedule import Slot, message_count, paced, slots

SILENCE_S = 30.0
"""Sending goes on this long without an acknowledgement, so that a broker may restart; then the load is over."""
SETTLE_S = 30.0
"""How long the last messages may take to be acknowledged."""


class Client(Protocol):
    """What the sender needs of a KafkaProducer."""

    def send(self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> Future:
        """Queue a record; the future is settled by the broker's answer."""
        ...


class Sender:
    """One producer's load; `ledger` and the histograms are its books."""

    def __init__(
        self, plan: BotPlan, client: Client, metrics: BotMetrics, clock: Callable[[], float], rng: random.Random
    ) -> None:
        self._plan, self._client, self._metrics, self._clock = plan, client, metrics, clock
        self._factory = EventFactory(plan, rng)
        self._counts = [message_count(step) for step in plan.steps]
        self._last_sent_s = [0.0 for _ in plan.steps]
        self._start_s = 0.0
        self._stalled: Problem | None = None
        self.ledger = Ledger(sum(self._counts))
        self.from_intended, self.from_send, self.lateness = (LatencyHistogram() for _ in range(3))
        self.late_s = 0.0

    def run(self, stop: Event, sleep: Callable[[float], object], tick: Callable[[], object]) -> Problem | None:
        """Send all messages when they are due; ends early on `stop`, or returns what makes going on pointless."""

        def proceed() -> bool:
            tick()
            self._stalled = self._stalled or self._silence()
            return not (stop.is_set() or self._stalled)

        self._start_s = self._clock()
        for slot in paced(slots(self._plan.steps), self._start_s, self._clock, sleep, proceed):
            self._send(slot)
        return self._stalled

    def settle(self, sleep: Callable[[float], object], tick: Callable[[], object]) -> None:
        """Wait, bounded, until the broker has answered for every message."""
        bound_s = self._clock() + SETTLE_S
        while self.ledger.pending and not self._stalled and self._clock() < bound_s:
            tick()
            sleep(0.01)

    def give_up_pending(self) -> None:
        """Book what was never answered as failed; after the client was closed."""
        self._metrics.errors.inc(self.ledger.fail_pending("never answered by the broker"))

    def step_results(self) -> tuple[StepResult, ...]:
        """Each step as it went."""
        results, first, start_s = [], 0, self._start_s
        for step, count, last_sent_s in zip(self._plan.steps, self._counts, self._last_sent_s, strict=True):
            states = self.ledger.states[first : first + count]
            acked = states.count(State.ACKED)
            sending_s = max(0.0, last_sent_s - start_s) + 1 / step.rate_per_s
            results.append(
                StepResult(
                    asked_rate_per_s=step.rate_per_s,
                    asked_duration_s=step.duration_s,
                    scheduled=count,
                    sent=count - states.count(State.NOT_SENT),
                    acked=acked,
                    sending_s=round(sending_s, 4),
                    rate_per_s=round(acked / sending_s, 3),
                )
            )
            first, start_s = first + count, start_s + step.duration_s
        return tuple(results)

    def _send(self, slot: Slot) -> None:
        message = self._factory.message(slot.sequence)
        intended_s, sent_s = self._start_s + slot.due_s, self._clock()
        self.late_s = sent_s - intended_s
        self.lateness.record(self.late_s)
        self._last_sent_s[slot.step] = sent_s
        self._metrics.target_rate.set(self._plan.steps[slot.step].rate_per_s)
        self._metrics.offered.inc()
        self.ledger.send(slot.sequence, sent_s)
        try:
            future = self._client.send(self._plan.events.topic, message.value, message.key, message.headers)
        except KafkaTimeoutError:
            self._fail(slot.sequence, "no room in the client or no such topic any more")
            self._stalled = self._gone()
        else:
            future.add_callback(self._acknowledged, slot.sequence, intended_s, sent_s)
            future.add_errback(self._refused, slot.sequence)

    def _acknowledged(self, sequence: int, intended_s: float, sent_s: float, _: object) -> None:
        now_s = self._clock()
        if self.ledger.acknowledge(sequence, now_s):
            self._metrics.sent.inc()
            self._metrics.from_intended.observe(now_s - intended_s)
            self._metrics.from_send.observe(now_s - sent_s)
            self.from_intended.record(now_s - intended_s)
            self.from_send.record(now_s - sent_s)

    def _refused(self, sequence: int, error: BaseException) -> None:
        self._fail(sequence, reason(error))

    def _fail(self, sequence: int, why: str) -> None:
        if self.ledger.fail(sequence, why):
            self._metrics.errors.inc()

    def _silence(self) -> Problem | None:
        return self._gone() if self.ledger.silent_s(self._clock()) > SILENCE_S else None

    def _gone(self) -> Problem:
        topic = self._plan.events.topic
        first = next(iter(self.ledger.failures), None)
        return Problem(
            what="the broker takes no more messages" + (f": {first}" if first else ""),
            where=f"topic '{topic}' at {self._plan.bootstrap_servers}",
            cure=f"Is the broker alive, does '{topic}' still exist, may messages be this large? See the broker's log.",
        )


def reason(error: BaseException) -> str:
    """Why a message failed, in words where the client's own are poor."""
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return "larger than the topic's max.message.bytes (raise it)"
    if isinstance(error, KafkaTimeoutError | RequestTimedOutError):
        return "not acknowledged in time"
    if isinstance(error, UnknownTopicOrPartitionError):
        return "the topic does not exist any more"
    return type(error).__name__
