"""The open-loop schedule, on a clock that only moves when somebody sleeps or works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bots.schedule import SLICE_S, Slot, message_count, paced, slots
from targets.load import BotStep


class Clock:
    """Seconds that pass by sleeping and working."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds


def send_times(
    steps: list[BotStep], work_s: Callable[[Slot], float], proceed: Callable[[Clock], bool] = lambda clock: True
) -> list[float]:
    """Seconds since the start at which each message was sent, when sending message n takes `work_s(n)`."""
    clock, times = Clock(), []
    start_s = clock()
    for slot in paced(slots(steps), start_s, clock, clock.sleep, lambda: proceed(clock)):
        times.append(clock() - start_s)
        clock.now_s += work_s(slot)
    return times


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
        steps = [BotStep(rate_per_s=2, duration_s=1), BotStep(rate_per_s=4, duration_s=0.5)]
        assert list(slots(steps)) == [Slot(0, 0, 0.0), Slot(1, 0, 0.5), Slot(2, 1, 1.0), Slot(3, 1, 1.25)]


class TestPacing:
    def test_sends_at_the_intended_times_however_long_each_send_takes(self) -> None:
        # The design's loop sleeps `interval - time of the send` and so drifts by its own cost (corrections.md 9).
        times = send_times([BotStep(rate_per_s=100, duration_s=1)], work_s=lambda slot: 0.007)
        assert times == pytest.approx([n / 100 for n in range(100)])

    def test_catches_up_after_a_stall_without_moving_the_schedule(self) -> None:
        # 10 msg/s; the second send (at 0.1 s) takes 0.45 s: those due at 0.2 .. 0.5 go at once at 0.55 s.
        times = send_times(
            [BotStep(rate_per_s=10, duration_s=1)], work_s=lambda slot: 0.45 if slot.sequence == 1 else 0
        )
        assert times == pytest.approx([0, 0.1, 0.55, 0.55, 0.55, 0.55, 0.6, 0.7, 0.8, 0.9])

    def test_sends_every_message_even_when_it_cannot_keep_the_rate(self) -> None:
        # 10 messages that take 0.2 s each: the last goes 9 * 0.2 s after the first.
        times = send_times([BotStep(rate_per_s=10, duration_s=1)], work_s=lambda slot: 0.2)
        assert len(times) == 10
        assert times[-1] == pytest.approx(1.8)

    def test_ends_within_a_slice_of_being_told_to(self) -> None:
        clock = Clock()
        start_s = clock()
        sent = list(
            paced(
                slots([BotStep(rate_per_s=0.1, duration_s=60)]),
                start_s,
                clock,
                clock.sleep,
                lambda: clock() < start_s + 5,
            )
        )
        assert len(sent) == 1  # the next is due at 10 s
        assert clock() - start_s <= 5 + SLICE_S
        assert max(clock.sleeps) <= SLICE_S
