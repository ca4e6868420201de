"""The sender's books: what counts, when, and what happens when the broker says no or nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from bots.bot import step_results
from bots.crew import merged_failures
from bots.engine import NoRoom
from bots.events import EventFactory, Message
from bots.ledger import Ledger, State
from bots.measures import LatencyHistogram
from bots.plan import BotPlan, Latency
from bots.schedule import AT_ONCE
from bots.sender import OVERRUN_S, SETTLE_S, Books, Sender
from bots.share import ShareResult
from targets.model import load_profile
from targets.shape import parse_shape

EVENTS = load_profile("portal").events
FIRST_PLAN = BotPlan(run_id="r1", bootstrap_servers="127.0.0.1:1", events=EVENTS, steps=parse_shape("1 for 1s"))
FACTORY = EventFactory(FIRST_PLAN, random.Random(1))


class World:
    """A clock, and an engine whose broker answers `answer_s` after each send, `why` it refuses; None: never.

    Time passes while the sender waits and while a send is busy; answers come in meanwhile.
    """

    def __init__(self, answer_s: float | None = 0.003, why: str | None = None) -> None:
        self.now_s, self.why = 0.0, why
        self.answer_s: Callable[[], float | None] = lambda: answer_s
        self.busy_s: Callable[[int], float] = lambda sequence: 0.0
        self.has_room: Callable[[int], bool] = lambda sequence: True
        self.sent: list[tuple[int, Message]] = []
        self.served = 0
        self.closed_at_s: float | None = None
        self._under_way: list[tuple[float, int, float, float]] = []
        self._books: Books | None = None

    def sender(self, shape: str, producer: int = 0, producers: int = 1) -> Sender:
        """A sender of this world."""
        plan = FIRST_PLAN.model_copy(update={"steps": parse_shape(shape)})
        sender = Sender(plan, FACTORY, producer, producers, self.clock)
        self._books = sender.books
        return sender

    def clock(self) -> float:
        return self.now_s

    def send(self, message: Message, sequence: int, intended_s: float, sent_s: float) -> None:
        room, answer_s = self.has_room(sequence), self.answer_s()
        if room and answer_s is not None:
            self._under_way.append((sent_s + answer_s, sequence, intended_s, sent_s))
        self.pass_by(self.busy_s(sequence))
        if not room:
            raise NoRoom
        self.sent.append((sequence, message))

    def wait(self, seconds: float) -> None:
        self.pass_by(max(seconds, 1e-9))

    def serve(self) -> None:
        self.served += 1

    def close(self) -> None:
        self.closed_at_s = self.now_s

    def pass_by(self, seconds: float) -> None:
        """Time passes, and what is due is answered."""
        end_s = self.now_s + seconds
        while self._under_way and self._under_way[0][0] <= end_s:
            answer_s, sequence, intended_s, sent_s = self._under_way.pop(0)
            self.now_s = max(self.now_s, answer_s)
            assert self._books is not None
            self._books.settle(sequence, intended_s, sent_s, self.why)
        self.now_s = end_s


def always() -> bool:
    return True


def summary(sender: Sender) -> tuple[Latency, Latency, Latency]:
    """From intended, from send, lateness."""
    books = sender.books
    return books.from_intended.summary(), books.from_send.summary(), books.lateness.summary()


class TestSender:
    def test_counts_a_message_only_after_the_broker_acknowledges(self) -> None:
        world = World(answer_s=60)
        sender = world.sender("10 for 1s")
        sender.run(world, 0.0, always)
        ledger = sender.books.ledger
        assert (ledger.sent, ledger.acked, ledger.pending) == (10, 0, 10)
        assert ledger.states == bytes([State.PENDING] * 10)
        world.pass_by(61)
        assert (ledger.sent, ledger.acked, ledger.pending) == (10, 10, 0)
        assert ledger.states == bytes([State.ACKED] * 10)

    def test_hands_each_message_to_the_engine_once_and_in_order(self) -> None:
        world = World()
        sender = world.sender("10 for 1s, 100 for 1s")
        sender.run(world, 0.0, always)
        assert [sequence for sequence, _ in world.sent] == list(range(110))
        assert len({message.key for _, message in world.sent}) == 110

    def test_measures_from_the_send_and_from_the_intended_send(self) -> None:
        # 10 msg/s for 0.3 s. Work of 0.25 s after the first send makes the second 0.15 s late and the third 0.05 s.
        world = World(answer_s=0.01)
        world.busy_s = lambda sequence: 0.25 if sequence == 0 else 0.0
        sender = world.sender("10 for 300ms")
        sender.run(world, 0.0, always)
        sender.settle(world, always)
        from_intended, from_send, lateness = summary(sender)
        assert sender.books.ledger.acked == 3
        assert lateness.max_ms == pytest.approx(150)
        assert from_intended.max_ms == pytest.approx(160)
        assert from_send.p50_ms == pytest.approx(10, rel=1 / 64)
        intended_s, sent_s = sender.books.from_intended.buckets().sum_s, sender.books.from_send.buckets().sum_s
        assert intended_s - sent_s == pytest.approx(0.15 + 0.05)

    def test_says_how_late_it_is_now(self) -> None:
        world = World()
        world.busy_s = lambda sequence: 0.3 if sequence == 8 else 0.0
        sender = world.sender("10 for 1s")
        sender.run(world, 0.0, always)
        assert sender.late_s == pytest.approx(0.2)  # the last is due at 0.9 s, the one before went from 0.8 to 1.1 s

    def test_lets_the_engine_take_answers_while_it_is_late(self) -> None:
        world = World()
        world.busy_s = lambda sequence: 0.01
        sender = world.sender("1000 for 1s")  # takes 10 s
        sender.run(world, 0.0, always)
        assert world.served >= 1000 // AT_ONCE

    def test_books_a_refused_message_with_its_reason(self) -> None:
        world = World(why="larger than the topic's max.message.bytes (raise it)")
        sender = world.sender("10 for 1s")
        sender.run(world, 0.0, always)
        sender.settle(world, always)
        result = sender.result(cpu_s=0.5)
        assert result.failures == {"larger than the topic's max.message.bytes (raise it)": 10}
        assert (result.sent, result.acked, result.stopped_by) == (10, 0, None)
        assert result.from_intended.counts == {}
        assert result.cpu_s == 0.5

    def test_stops_at_once_when_it_is_told_to(self) -> None:
        world = World()
        sender = world.sender("10 for 60s")
        sender.run(world, 0.0, lambda: world.now_s < 1.95)
        assert sender.books.ledger.sent == 20
        assert world.now_s < 2.2
        assert sender.result(0).stopped_by is None


class TestShares:
    def test_make_the_whole_step_with_its_own_rate(self) -> None:
        results = []
        for producer in range(3):
            world = World()
            sender = world.sender("10 for 2s, 100 for 1s", producer, producers=3)
            sender.run(world, 0.0, always)
            sender.settle(world, always)
            results.append(sender.result(0))
        plan = FIRST_PLAN.model_copy(update={"steps": parse_shape("10 for 2s, 100 for 1s")})
        first, second = step_results(plan, results)
        assert [result.sent for result in results] == [40, 40, 40]
        assert [first.acked, first.sending_s, first.rate_per_s] == pytest.approx([20, 2, 10])
        assert [second.acked, second.sending_s, second.rate_per_s] == pytest.approx([100, 1, 100])
        assert (first.asked, second.scheduled, second.sent) == ("10 for 2s", 100, 100)

    @pytest.mark.parametrize("shape", ["100 to 1 for 10s", "1 to 100 for 10s"])
    def test_hold_a_ramp_s_mean_rate_for_its_time(self, shape: str) -> None:
        (step,) = step_results(*done(shape))
        assert step.asked_rate_per_s == 50.5
        assert [step.sending_s, step.rate_per_s] == pytest.approx([10, 50.5], rel=1e-6)

    def test_of_a_slow_sender_take_longer(self) -> None:
        # Ten messages that take 0.2 s each: the last goes at 1.8 s and stands for 0.1 s.
        (step,) = step_results(*done("10 for 1s", busy_s=0.2))
        assert [step.sending_s, step.rate_per_s] == pytest.approx([1.9, 10 / 1.9], rel=1e-3)

    def test_of_an_interrupted_run_count_the_time_until_then(self) -> None:
        (step,) = step_results(*done("10 for 60s", until_s=1.95))
        assert (step.scheduled, step.sent) == (600, 20)
        assert [step.sending_s, step.rate_per_s] == pytest.approx([2, 10])

    def test_that_sent_nothing_have_no_rate(self) -> None:
        (step,) = step_results(*done("10 for 1s", until_s=0))
        assert (step.sent, step.rate_per_s) == (0, 0)

    def test_add_up_their_failures(self) -> None:
        _, (result,) = done("10 for 1s")
        one, other = (result.model_copy(update={"failures": each}) for each in ({"a": 2}, {"a": 1, "b": 4}))
        assert merged_failures([one, other]) == {"a": 3, "b": 4}


def done(shape: str, busy_s: float = 0.0, until_s: float = 1e6) -> tuple[BotPlan, list[ShareResult]]:
    """Plan and result of one producer that sends while the time is before `until_s`."""
    world = World()
    world.busy_s = lambda sequence: busy_s
    sender = world.sender(shape)
    sender.run(world, 0.0, lambda: world.now_s < until_s)
    sender.settle(world, always)
    return FIRST_PLAN.model_copy(update={"steps": parse_shape(shape)}), [sender.result(0)]


class TestSettling:
    def test_waits_for_the_last_answers_and_ends_the_client(self) -> None:
        world, ticks = World(answer_s=2), [0]
        sender = world.sender("10 for 1s")
        sender.run(world, 0.0, always)
        sender.settle(world, lambda: ticks.append(sender.books.ledger.acked))
        assert sender.books.ledger.acked == 10
        assert world.closed_at_s == pytest.approx(0.9 + 2, abs=0.02)  # the last is sent at 0.9 s
        assert ticks == sorted(ticks)
        assert ticks[-1] == 10

    def test_books_what_was_never_answered_as_failed(self) -> None:
        world = World(answer_s=None)
        sender = world.sender("10 for 1s")
        sender.run(world, 0.0, always)
        sender.settle(world, always)
        assert world.closed_at_s == pytest.approx(0.9 + SETTLE_S, abs=0.1)  # last send at 0.9 s
        ledger = sender.books.ledger
        assert (ledger.sent, ledger.failed, ledger.pending) == (10, 10, 0)
        assert sender.result(0).failures == {"never answered by the broker": 10}

    def test_does_not_wait_for_a_broker_that_is_gone(self) -> None:
        world = World(answer_s=None)
        sender = world.sender("10 for 600s")
        sender.run(world, 0.0, always)
        ended_s = world.now_s
        sender.settle(world, always)
        assert world.closed_at_s == ended_s
        assert sender.books.ledger.pending == 0


class TestTheEnd:
    def test_comes_at_once_when_the_client_has_no_room_any_more(self) -> None:
        world = World()
        world.busy_s = lambda sequence: 5.0  # a full client makes each send wait
        world.has_room = lambda sequence: sequence < 2
        sender = world.sender("10 for 60s")
        sender.run(world, 0.0, always)
        problem = sender.result(0).stopped_by
        assert problem is not None
        assert problem.what.startswith("the broker takes no more messages: no room")
        assert problem.where == f"topic '{EVENTS.topic}' at 127.0.0.1:1"
        assert "Is the broker alive" in problem.cure
        ledger = sender.books.ledger
        assert (ledger.sent, ledger.acked, ledger.failed) == (3, 2, 1)
        assert world.now_s == 15.0

    @pytest.mark.parametrize(
        ("answer_s", "why", "told"),
        [
            pytest.param(None, None, "the broker takes no more messages", id="no answers"),
            pytest.param(0.1, "no such topic", "the broker takes no more messages: no such topic", id="refusals only"),
        ],
    )
    def test_comes_when_nothing_is_acknowledged_for_long(
        self, answer_s: float | None, why: str | None, told: str
    ) -> None:
        world = World(answer_s, why)
        sender = world.sender("10 for 600s")
        sender.run(world, 0.0, always)
        problem = sender.result(0).stopped_by
        assert problem is not None
        assert problem.what == told
        assert world.now_s == pytest.approx(FIRST_PLAN.silence_s, abs=0.5)

    def test_comes_so_long_after_the_last_acknowledgement(self) -> None:
        world = World()
        world.answer_s = lambda: 0.003 if world.now_s < 100 else None
        sender = world.sender("10 for 600s")
        sender.run(world, 0.0, always)
        assert sender.result(0).stopped_by is not None
        assert world.now_s == pytest.approx(100 + FIRST_PLAN.silence_s, abs=0.5)

    def test_does_not_come_for_a_broker_that_is_back_in_time(self) -> None:
        world = World()
        # From 10 s to 35 s every answer waits for the broker's return.
        world.answer_s = lambda: 35 - world.now_s if 10 < world.now_s < 35 else 0.003
        sender = world.sender("10 for 60s")
        sender.run(world, 0.0, always)
        assert sender.result(0).stopped_by is None
        assert sender.books.ledger.sent == 600

    def test_does_not_come_for_a_low_rate(self) -> None:
        world = World()
        sender = world.sender("0.01 for 300s")  # one message in 100 s
        sender.run(world, 0.0, always)
        assert sender.result(0).stopped_by is None
        assert sender.books.ledger.sent == 3

    def test_comes_when_it_is_late_beyond_all_measure(self) -> None:
        # 1000 messages that take 0.5 s each would need 500 s; the schedule is 10 s.
        world = World()
        world.busy_s = lambda sequence: 0.5
        sender = world.sender("100 for 10s")
        sender.run(world, 0.0, always)
        problem, sent = sender.result(0).stopped_by, sender.books.ledger.sent
        assert problem is not None
        assert problem.what == f"60 s after the schedule's end producer 0 has {1000 - sent} messages to send"
        assert "ask for less" in problem.cure
        assert 10 + OVERRUN_S < world.now_s <= 10 + OVERRUN_S + AT_ONCE * 0.5 + 0.5


class TestBooks:
    def test_measure_a_message_once(self) -> None:
        world = World()
        books = Books(Ledger(1), world.clock)
        books.ledger.send(0, 0.0)
        world.now_s = 0.2
        for _ in range(3):
            books.settle(0, 0.0, 0.1, None)
        books.settle(0, 0.0, 0.1, "late news")
        assert LatencyHistogram.merged([books.from_send.buckets()]).summary().max_ms == pytest.approx(100)
        assert sum(books.from_intended.buckets().counts.values()) == 1
        assert (books.ledger.acked, books.ledger.failed) == (1, 0)

    def test_do_not_measure_a_message_that_failed_first(self) -> None:
        books = Books(Ledger(1), lambda: 0.2)
        books.ledger.send(0, 0.0)
        books.settle(0, 0.0, 0.1, "refused")
        books.settle(0, 0.0, 0.1, None)
        assert books.from_intended.buckets().counts == {}
        assert dict(books.ledger.failures) == {"refused": 1}


class TestLedger:
    def test_settles_a_message_once(self) -> None:
        ledger = Ledger(1)
        ledger.send(0, 0.0)
        assert ledger.acknowledge(0, 1.0)
        assert not ledger.fail(0, "late news")
        assert not ledger.acknowledge(0, 2.0)
        assert (ledger.sent, ledger.acked, ledger.failed) == (1, 1, 0)

    def test_does_not_settle_what_was_not_sent(self) -> None:
        ledger = Ledger(1)
        assert not ledger.acknowledge(0, 1.0)
        assert not ledger.fail(0, "refused")
        assert (ledger.sent, ledger.acked, ledger.failed, ledger.pending) == (0, 0, 0, 0)

    def test_gives_up_on_what_is_pending_only(self) -> None:
        ledger = Ledger(4)
        for sequence in range(3):
            ledger.send(sequence, 0.0)
        ledger.acknowledge(0, 0.1)
        ledger.fail(1, "refused")
        assert ledger.fail_pending("never answered") == 1
        assert ledger.states == bytes([State.ACKED, State.FAILED, State.FAILED, State.NOT_SENT])
        assert dict(ledger.failures) == {"refused": 1, "never answered": 1}

    def test_silence_begins_with_the_first_send_that_no_acknowledgement_follows(self) -> None:
        ledger = Ledger(3)
        assert ledger.silent_s(50.0) == 0
        ledger.send(0, 100.0)
        assert ledger.silent_s(107.0) == 7
        ledger.acknowledge(0, 108.0)
        assert ledger.silent_s(200.0) == 0
        ledger.send(1, 200.0)
        ledger.send(2, 201.0)
        assert ledger.silent_s(205.0) == 5
        ledger.acknowledge(1, 206.0)
        assert ledger.silent_s(209.0) == 3
