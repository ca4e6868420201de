"""The open-loop schedule, on a clock that only moves when somebody sleeps or works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, zip_longest

import pytest

from bots.schedule import AT_ONCE, SLICE_S, Slot, message_count, paced, share_counts, slots, span_s
from targets.shape import BotStep, parse_shape


class Clock:
    """Seconds that pass by sleeping and working."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += max(seconds, 1e-9)  # no sleep takes no time; less would be lost in the sum's rounding


def send_times(steps: Sequence[BotStep], work_s: Callable[[Slot], float]) -> list[float]:
    """Seconds since the start at which each message was sent, when sending message n takes `work_s(n)`."""
    clock, times = Clock(), []
    start_s = clock()
    for slot in paced(slots(steps), start_s, clock, clock.sleep, lambda: True):
        times.append(clock() - start_s)
        clock.now_s += work_s(slot)
    return times


def constant(rate_per_s: float, duration_s: float) -> list[BotStep]:
    return [BotStep(rate_per_s=rate_per_s, duration_s=duration_s)]


def messages_until(step: BotStep, moment_s: float, pieces: int = 500) -> float:
    """The integral of a ramp's rate from its start, in small pieces."""
    slope, width_s = (step.last_rate_per_s - step.rate_per_s) / step.duration_s, moment_s / pieces
    return sum((step.rate_per_s + slope * (piece + 0.5) * width_s) * width_s for piece in range(pieces))


class TestSlots:
    @pytest.mark.parametrize(
        ("rate_per_s", "duration_s", "messages"),
        [
            pytest.param(100, 30, 3000, id="the design's 100 msg/s for 30 s"),
            pytest.param(1000, 60, 60_000, id="the design's spike"),
            pytest.param(0.5, 3, 2, id="less than one a second: at 0 s and 2 s"),
            pytest.param(3, 0.7, 3, id="0, 1/3 and 2/3 s lie before 0.7 s"),
            pytest.param(0.1, 1, 1, id="a step sends at least at its start"),
            pytest.param(10, 0, 0, id="no time, no message"),
            pytest.param(0.1 + 0.2, 10, 3, id="a rounding error adds no message: 0.30000000000000004 * 10"),
        ],
    )
    def test_a_step_holds_rate_times_duration_messages(
        self, rate_per_s: float, duration_s: float, messages: int
    ) -> None:
        step = BotStep(rate_per_s=rate_per_s, duration_s=duration_s)
        assert message_count(step) == messages
        assert len(list(slots([step]))) == messages

    def test_the_next_step_begins_where_the_last_one_s_time_ends(self) -> None:
        steps = parse_shape("2 for 1s, 4 for 0.5s")
        assert list(slots(steps)) == [Slot(0, 0, 0.0), Slot(1, 0, 0.5), Slot(2, 1, 1.0), Slot(3, 1, 1.25)]

    def test_a_spike_stands_between_its_neighbours(self) -> None:
        due_s = [slot.due_s for slot in slots(parse_shape("10 for 1s, 100 for 500ms, 10 for 1s"))]
        windows = [sum(start_s <= moment_s < end_s for moment_s in due_s) for start_s, end_s in ((0, 1), (1, 1.5))]
        assert windows == [10, 50]
        assert due_s[60:] == pytest.approx([1.5 + n / 10 for n in range(10)])


class TestRamp:
    @pytest.mark.parametrize(
        ("text", "messages"),
        [
            pytest.param("10 to 90 for 2s", 100, id="rising: (10 + 90) / 2 * 2"),
            pytest.param("90 to 10 for 2s", 100, id="falling"),
            pytest.param("100 to 1 for 3s", 152, id="almost to nothing: 151.5, and the first is at 0 s"),
            pytest.param("0.001 to 40 for 3s", 61, id="from almost nothing: 60.0015"),
            pytest.param("50 to 50 for 1s", 50, id="level"),
        ],
    )
    def test_message_n_is_due_where_the_integral_of_the_rate_is_n(self, text: str, messages: int) -> None:
        (step,) = parse_shape(text)
        due_s = [slot.due_s for slot in slots([step])]
        assert len(due_s) == message_count(step) == messages
        assert [messages_until(step, moment_s) for moment_s in due_s] == pytest.approx(range(messages), abs=1e-6)
        assert due_s == sorted(due_s)
        assert due_s[-1] < step.duration_s

    def test_a_hardly_rising_ramp_is_as_good_as_constant(self) -> None:
        (step,) = parse_shape("1000 to 1000.0000001 for 20s")
        assert max(abs(slot.due_s - slot.sequence / 1000) for slot in slots([step])) < 1e-6

    def test_goes_on_from_one_ramp_to_the_next(self) -> None:
        due_s = [slot.due_s for slot in slots(parse_shape("10 to 90 for 2s, 90 to 10 for 2s"))]
        assert due_s[100] == 2.0
        # The second half is the first one backwards: its last message is due where 1 message is left.
        assert due_s[100:] == pytest.approx([4 - moment_s for moment_s in reversed([*due_s[1:100], 2.0])])


class TestSpan:
    @pytest.mark.parametrize(
        ("text", "messages", "span"),
        [
            pytest.param("100 for 30s", 3000, (29.99, 30), id="a whole step is as long as it was asked"),
            pytest.param("100 for 30s", 1000, (9.99, 10), id="a part of it is as long as its messages"),
            pytest.param("0.5 for 3s", 2, (2, 4), id="the last message stands for its whole interval"),
            # one message is left x s before the end, where x + 9.9 x² / 2 = 1: x = 0.3597
            pytest.param("100 to 1 for 10s", 505, (9.6403, 10), id="also where the rate falls to almost nothing"),
            pytest.param("1 to 100 for 10s", 505, (9.99, 10), id="and where it rises"),
        ],
    )
    def test_is_due_of_the_last_and_of_the_next(self, text: str, messages: int, span: tuple[float, float]) -> None:
        assert span_s(parse_shape(text)[0], messages) == pytest.approx(span, abs=1e-3)

    def test_of_a_step_without_time_is_one_interval(self) -> None:
        assert span_s(BotStep(rate_per_s=10, duration_s=0), 1) == (0, 0.1)


class TestShares:
    STEPS = parse_shape("7 for 1s, 3 to 20 for 1s, 0.5 for 1s, 40 for 0.5s")  # 7, 12, 1 and 20 messages

    @pytest.mark.parametrize("producers", range(1, 6))
    def test_are_together_the_whole_schedule_and_apart_from_each_other(self, producers: int) -> None:
        whole = [(slot.step, slot.due_s) for slot in slots(self.STEPS)]
        assert len(whole) == 40
        shares = [list(slots(self.STEPS, producer, producers)) for producer in range(producers)]
        in_turn = [slot for turn in zip_longest(*shares) for slot in turn if slot is not None]
        assert [(slot.step, slot.due_s) for slot in in_turn] == whole

    @pytest.mark.parametrize("producers", range(1, 6))
    def test_are_each_numbered_in_order_from_0(self, producers: int) -> None:
        for producer in range(producers):
            share = list(slots(self.STEPS, producer, producers))
            assert [slot.sequence for slot in share] == list(range(len(share)))
            assert [slot.due_s for slot in share] == sorted(slot.due_s for slot in share)
            counts = share_counts(self.STEPS, producer, producers)
            assert counts == [sum(slot.step == step for slot in share) for step in range(len(self.STEPS))]

    def test_differ_by_one_message_at_most(self) -> None:
        counts = [sum(share_counts(self.STEPS, producer, 3)) for producer in range(3)]
        assert counts == [14, 13, 13]


class TestPacing:
    def test_sends_at_the_intended_times_however_long_each_send_takes(self) -> None:
        # The design's loop sleeps `interval - time of the send` and so drifts by its own cost (corrections.md 9).
        times = send_times(constant(100, 1), work_s=lambda slot: 0.007)
        assert times == pytest.approx([n / 100 for n in range(100)])

    def test_follows_a_ramp(self) -> None:
        ramp = parse_shape("10 to 90 for 2s")
        assert send_times(ramp, work_s=lambda slot: 0.0001) == pytest.approx(
            [slot.due_s for slot in slots(ramp)], abs=0.0001
        )

    def test_catches_up_after_a_stall_without_moving_the_schedule(self) -> None:
        # 10 msg/s; the second send (at 0.1 s) takes 0.45 s: those due at 0.2 .. 0.5 go at once at 0.55 s.
        times = send_times(constant(10, 1), work_s=lambda slot: 0.45 if slot.sequence == 1 else 0)
        assert times == pytest.approx([0, 0.1, 0.55, 0.55, 0.55, 0.55, 0.6, 0.7, 0.8, 0.9])

    def test_sends_every_message_even_when_it_cannot_keep_the_rate(self) -> None:
        # 10 messages that take 0.2 s each: the last goes 9 * 0.2 s after the first.
        times = send_times(constant(10, 1), work_s=lambda slot: 0.2)
        assert len(times) == 10
        assert times[-1] == pytest.approx(1.8)

    def test_asks_whether_to_go_on_also_while_it_catches_up(self) -> None:
        clock, asked = Clock(), [0]
        sent = 0

        def proceed() -> bool:
            asked.append(sent)
            return True

        for _ in paced(slots(constant(1000, 1)), clock() - 1, clock, clock.sleep, proceed):  # all are due
            sent += 1
        assert sent == 1000
        assert clock.sleeps == []
        assert max(later - earlier for earlier, later in pairwise(asked)) == AT_ONCE

    def test_ends_amid_messages_that_are_due(self) -> None:
        clock, answers = Clock(), iter([True, True, False])
        sent = list(paced(slots(constant(1000, 1)), clock() - 1, clock, clock.sleep, lambda: next(answers)))
        assert len(sent) == 2 * AT_ONCE

    def test_ends_within_a_slice_of_being_told_to(self) -> None:
        clock = Clock()
        start_s = clock()
        sent = list(paced(slots(constant(0.1, 60)), start_s, clock, clock.sleep, lambda: clock() < start_s + 5))
        assert len(sent) == 1  # the next is due at 10 s
        assert clock() - start_s <= 5 + SLICE_S
        assert max(clock.sleeps) <= SLICE_S
