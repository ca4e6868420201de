"""Sends one producer's share of the schedule and books what the broker answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bots.engine import Engine, NoRoom, Settled
from bots.events import EventFactory
from bots.ledger import Ledger, State
from bots.measures import LatencyHistogram
from bots.plan import BotPlan, Problem
from bots.schedule import paced, share_counts, slots
from bots.share import ShareResult, ShareStep

SETTLE_S = 30.0
"""How long the last messages may take to be acknowledged."""
OVERRUN_S = 60.0
"""How long after the schedule's end late messages are still sent."""
SETTLE_SLICE_S = 0.01


@dataclass
class Books:
    """What a producer knows of its messages."""

    ledger: Ledger
    clock: Callable[[], float] = time.monotonic
    from_intended: LatencyHistogram = field(default_factory=LatencyHistogram)
    from_send: LatencyHistogram = field(default_factory=LatencyHistogram)
    lateness: LatencyHistogram = field(default_factory=LatencyHistogram)

    def settle(self, sequence: int, intended_s: float, sent_s: float, why: str | None) -> None:
        """The client's answer for one message: acknowledged, or failed and `why`."""
        if why is not None:
            self.ledger.fail(sequence, why)
            return
        now_s = self.clock()
        if self.ledger.acknowledge(sequence, now_s):
            self.from_intended.record(now_s - intended_s)
            self.from_send.record(now_s - sent_s)


class Sender:
    """One producer's load on an engine that settles through `books.settle`."""

    def __init__(
        self,
        plan: BotPlan,
        factory: EventFactory,
        producer: int = 0,
        producers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan, self._factory, self._clock = plan, factory, clock
        self._producer, self._producers = producer, producers
        self._counts = share_counts(plan.steps, producer, producers)
        self._last_sent_s = [0.0 for _ in plan.steps]
        self._stalled: Problem | None = None
        self.books = Books(Ledger(sum(self._counts)), clock)
        self.late_s = 0.0

    @property
    def settled(self) -> Settled:
        """For the engine."""
        return self.books.settle

    def run(self, engine: Engine, start_s: float, proceed: Callable[[], bool]) -> None:
        """Send all messages when they are due, counted from `start_s`; ends early when `proceed` says no."""
        over_s = start_s + self._plan.duration_s + OVERRUN_S
        ledger, clock, late = self.books.ledger, self._clock, self.books.lateness

        def go_on() -> bool:
            engine.serve()
            now_s = clock()
            if ledger.silent_s(now_s) > self._plan.silence_s:
                self._stalled = self._gone()
            elif now_s > over_s:
                self._stalled = self._too_slow()
            return proceed() and self._stalled is None

        for sequence, step, due_s in paced(
            slots(self._plan.steps, self._producer, self._producers), start_s, clock, engine.wait, go_on
        ):
            message, intended_s = self._factory.message(sequence), start_s + due_s
            sent_s = clock()
            self.late_s = sent_s - intended_s
            late.record(self.late_s)
            self._last_sent_s[step] = sent_s - start_s
            ledger.send(sequence, sent_s)
            try:
                engine.send(message, sequence, intended_s, sent_s)
            except NoRoom:
                ledger.fail(sequence, "no room in the client or no such topic any more")
                self._stalled = self._gone()
                return

    def settle(self, engine: Engine, tick: Callable[[], object]) -> None:
        """Wait, bounded, until the broker has answered for every message; end the client; give up on the rest."""
        ledger, bound_s = self.books.ledger, self._clock() + SETTLE_S
        while ledger.pending and not self._stalled and self._clock() < bound_s:
            engine.wait(SETTLE_SLICE_S)
            tick()
        engine.close()
        ledger.fail_pending("never answered by the broker")

    def result(self, cpu_s: float) -> ShareResult:
        """The share as it went."""
        ledger = self.books.ledger
        return ShareResult(
            sent=ledger.sent,
            acked=ledger.acked,
            failures=dict(ledger.failures),
            steps=self._steps(),
            from_intended=self.books.from_intended.buckets(),
            from_send=self.books.from_send.buckets(),
            lateness=self.books.lateness.buckets(),
            cpu_s=cpu_s,
            stopped_by=self._stalled,
        )

    def _steps(self) -> tuple[ShareStep, ...]:
        steps, first = [], 0
        for count, last_sent_s in zip(self._counts, self._last_sent_s, strict=True):
            states = self.books.ledger.states[first : first + count]
            sent, acked = count - states.count(State.NOT_SENT), states.count(State.ACKED)
            steps.append(ShareStep(sent=sent, acked=acked, last_sent_s=last_sent_s))
            first += count
        return tuple(steps)

    def _gone(self) -> Problem:
        topic = self._plan.events.topic
        first = next(iter(self.books.ledger.failures), None)
        return Problem(
            what="the broker takes no more messages" + (f": {first}" if first else ""),
            where=f"topic '{topic}' at {self._plan.bootstrap_servers}",
            cure=f"Is the broker alive, does '{topic}' still exist, has its disk room? See the broker's log.",
        )

    def _too_slow(self) -> Problem:
        unsent = len(self.books.ledger.states) - self.books.ledger.sent
        return Problem(
            what=f"{OVERRUN_S:.0f} s after the schedule's end producer {self._producer} has {unsent} messages to send",
            where=f"engine {self._plan.engine}, {self._producers} processes",
            cure="This rate is more than bot and broker can here: ask for less, or for --engine confluent.",
        )
