"""The sender's books: what counts, when, and what happens when the broker says no or nothing."""

from __future__ import annotations

import random
from threading import Event

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from kafka.future import Future
from prometheus_client import CollectorRegistry

from bots.ledger import Ledger
from bots.metrics import BotMetrics
from bots.plan import BotPlan
from bots.sender import SETTLE_S, SILENCE_S, Sender
from targets.load import BotStep
from targets.model import load_profile

EVENTS = load_profile("portal").events


class World:
    """A clock, and a broker that answers `answer_s` after each send, with `error` where it is given; None: never."""

    def __init__(self, answer_s: float | None = 0.003, error: type[Exception] | None = None) -> None:
        self.now_s, self.answer_s, self.error = 0.0, answer_s, error
        self.on_send: Exception | None = None
        self.under_way: list[tuple[float, Future]] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.under_way and self.under_way[0][0] <= end_s:
            self.now_s, future = self.under_way.pop(0)
            future.failure(self.error) if self.error else future.success(None)
        self.now_s = end_s

    def send(self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> Future:
        if self.on_send is not None:
            raise self.on_send
        future = Future()
        if self.answer_s is not None:
            self.under_way.append((self.now_s + self.answer_s, future))
        return future


def sender_in(world: World, *steps: tuple[float, float]) -> tuple[Sender, CollectorRegistry]:
    plan = BotPlan(
        run_id="r1",
        bootstrap_servers="127.0.0.1:1",
        events=EVENTS,
        steps=tuple(BotStep(rate_per_s=rate, duration_s=duration) for rate, duration in steps),
    )
    metrics = BotMetrics(EVENTS.topic)
    return Sender(plan, world, metrics, world.clock, random.Random(1)), metrics.registry


def value(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name, {"topic": EVENTS.topic})


def nothing() -> None:
    """No ticking needed."""


class TestSender:
    def test_counts_a_message_only_after_the_broker_acknowledges(self) -> None:
        world = World(answer_s=60)
        sender, registry = sender_in(world, (10, 1))
        sender.run(Event(), world.sleep, nothing)
        assert (sender.ledger.sent, sender.ledger.acked, sender.ledger.pending) == (10, 0, 10)
        assert value(registry, "kafka_bot_messages_sent_total") == 0
        assert value(registry, "kafka_bot_messages_offered_total") == 10
        world.sleep(61)
        assert (sender.ledger.acked, sender.ledger.pending) == (10, 0)
        assert value(registry, "kafka_bot_messages_sent_total") == 10

    def test_measures_from_the_send_and_from_the_intended_send(self) -> None:
        # 10 msg/s for 0.3 s. Work of 0.25 s after the first send makes the second 0.15 s late and the third 0.05 s.
        world = World(answer_s=0.01)
        sender, registry = sender_in(world, (10, 0.3))
        real_send, busy_s = world.send, [0.25, 0.0, 0.0]

        def slow_send(topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> Future:
            future = real_send(topic, value, key, headers)
            world.now_s += busy_s.pop(0)
            return future

        world.send = slow_send  # type: ignore[method-assign]
        sender.run(Event(), world.sleep, nothing)
        world.sleep(1)
        assert sender.lateness.summary().max_ms == pytest.approx(150)
        assert sender.ledger.acked == 3
        from_send, from_intended = sender.from_send.summary(), sender.from_intended.summary()
        assert from_intended.max_ms is not None
        assert from_send.p50_ms == pytest.approx(10, rel=0.02)
        assert from_intended.max_ms >= 160 - 0.001
        # Prometheus' sums differ by what the sends were late: 0.15 s + 0.05 s.
        intended_s = value(registry, "kafka_bot_intended_duration_seconds_sum") or 0.0
        assert intended_s - (value(registry, "kafka_bot_send_duration_seconds_sum") or 0.0) == pytest.approx(0.2)

    def test_says_each_step_s_own_rate(self) -> None:
        world = World()
        sender, _ = sender_in(world, (10, 2), (100, 1))
        sender.run(Event(), world.sleep, nothing)
        sender.settle(world.sleep, nothing)
        first, second = sender.step_results()
        assert [first.acked, first.sending_s, first.rate_per_s] == pytest.approx([20, 2, 10])
        assert [second.acked, second.sending_s, second.rate_per_s] == pytest.approx([100, 1, 100])

    def test_books_a_refused_message_with_its_reason(self) -> None:
        world = World(error=MessageSizeTooLargeError)
        sender, registry = sender_in(world, (10, 1))
        sender.run(Event(), world.sleep, nothing)
        sender.settle(world.sleep, nothing)
        assert dict(sender.ledger.failures) == {"larger than the topic's max.message.bytes (raise it)": 10}
        assert value(registry, "kafka_bot_send_errors_total") == 10
        assert value(registry, "kafka_bot_messages_sent_total") == 0

    def test_books_what_was_never_answered_as_failed(self) -> None:
        world = World(answer_s=None)
        sender, registry = sender_in(world, (10, 1))
        sender.run(Event(), world.sleep, nothing)
        sender.settle(world.sleep, nothing)
        assert world.now_s == pytest.approx(0.9 + SETTLE_S, abs=0.1)  # last send at 0.9 s
        sender.give_up_pending()
        assert (sender.ledger.sent, sender.ledger.failed, sender.ledger.pending) == (10, 10, 0)
        assert value(registry, "kafka_bot_send_errors_total") == 10

    def test_stops_at_once_when_it_is_told_to(self) -> None:
        world, stop = World(), Event()
        sender, _ = sender_in(world, (10, 60))
        problem = sender.run(stop, world.sleep, lambda: stop.set() if world.now_s >= 1.95 else None)
        assert problem is None
        assert sender.ledger.sent == 20
        assert world.now_s < 2.2

    def test_ends_the_load_when_the_client_has_no_room_any_more(self) -> None:
        world = World()
        world.on_send = KafkaTimeoutError("no metadata")
        sender, _ = sender_in(world, (10, 60))
        problem = sender.run(Event(), world.sleep, nothing)
        assert problem is not None
        assert problem.what.startswith("the broker takes no more messages: no room")
        assert "Is the broker alive" in problem.cure
        assert (sender.ledger.sent, sender.ledger.failed) == (1, 1)

    @pytest.mark.parametrize(
        "world",
        [
            pytest.param(World(answer_s=None), id="no answers"),
            pytest.param(World(error=UnknownTopicOrPartitionError), id="refusals only"),
        ],
    )
    def test_ends_the_load_when_nothing_is_acknowledged_for_long(self, world: World) -> None:
        sender, _ = sender_in(world, (10, 600))
        problem = sender.run(Event(), world.sleep, nothing)
        assert problem is not None
        assert world.now_s == pytest.approx(SILENCE_S, abs=0.5)

    def test_a_low_rate_is_no_silence(self) -> None:
        world = World()
        sender, _ = sender_in(world, (0.01, 300))  # one message in 100 s
        assert sender.run(Event(), world.sleep, nothing) is None
        assert sender.ledger.sent == 3


class TestLedger:
    def test_settles_a_message_once(self) -> None:
        ledger = Ledger(1)
        ledger.send(0, 0.0)
        assert ledger.acknowledge(0, 1.0)
        assert not ledger.fail(0, "late news")
        assert not ledger.acknowledge(0, 2.0)
        assert (ledger.sent, ledger.acked, ledger.failed) == (1, 1, 0)

    def test_does_not_settle_what_was_not_sent(self) -> None:
        assert not Ledger(1).acknowledge(0, 1.0)
