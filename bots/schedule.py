"""An open-loop schedule: intended send times follow from the steps alone; a late sender catches up, never drifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from targets.load import BotStep

SLICE_S = 0.2
"""The longest sleep in one piece: after a stop the pacing ends within it."""
_ROUNDING = 1e-9


class Slot(NamedTuple):
    """One intended message."""

    sequence: int
    step: int
    due_s: float  # since the schedule's start


def message_count(step: BotStep) -> int:
    """Messages due in a step: sends at 0, 1/rate, 2/rate, … before its end."""
    return math.ceil(step.rate_per_s * step.duration_s - _ROUNDING)


def slots(steps: Sequence[BotStep]) -> Iterator[Slot]:
    """Every message of the schedule, in its order."""
    sequence, start_s = 0, 0.0
    for index, step in enumerate(steps):
        for number in range(message_count(step)):
            yield Slot(sequence, index, start_s + number / step.rate_per_s)
            sequence += 1
        start_s += step.duration_s


def paced(
    schedule: Iterator[Slot],
    start_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    proceed: Callable[[], bool],
) -> Iterator[Slot]:
    """Yield each slot when it is due, late ones at once; ends early when `proceed`, asked before each wait, says no."""
    for slot in schedule:
        if not proceed():
            return
        while (wait_s := start_s + slot.due_s - clock()) > 0:
            sleep(min(wait_s, SLICE_S))
            if not proceed():
                return
        yield slot
