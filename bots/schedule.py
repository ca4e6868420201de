"""An open-loop schedule: intended send times follow from the steps alone; a late sender catches up, never drifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from targets.shape import BotStep

SLICE_S = 0.2
"""The longest sleep in one piece: after a stop the pacing ends within it."""
AT_ONCE = 64
"""Messages that are due go out together up to this many; then `proceed` is asked again."""
_ROUNDING = 1e-9


class Slot(NamedTuple):
    """One intended message."""

    sequence: int
    step: int
    due_s: float  # since the schedule's start


def message_count(step: BotStep) -> int:
    """Messages due in a step: the first at its start, each further one where rate x time has grown by 1."""
    return math.ceil(step.mean_rate_per_s * step.duration_s - _ROUNDING)


def share_counts(steps: Sequence[BotStep], producer: int = 0, producers: int = 1) -> list[int]:
    """How many messages of each step are this producer's, where producers take them in turn."""
    counts, first = [], 0
    for step in steps:
        count = message_count(step)
        counts.append(len(_share(first, count, producer, producers)))
        first += count
    return counts


def slots(steps: Sequence[BotStep], producer: int = 0, producers: int = 1) -> Iterator[Slot]:
    """This producer's messages in their order, numbered from 0; together the producers hold the whole schedule."""
    sequence, first, start_s = 0, 0, 0.0
    for index, step in enumerate(steps):
        count, due_s = message_count(step), _due(step)
        for number in _share(first, count, producer, producers):
            yield Slot(sequence, index, start_s + due_s(number))
            sequence += 1
        first += count
        start_s += step.duration_s


def span_s(step: BotStep, messages: int) -> tuple[float, float]:
    """When the last of a step's first `messages` (> 0) messages is due since its start, and when the next would be."""
    due_s = _due(step)
    count = max(1, message_count(step))
    return due_s(messages - 1), due_s(messages) if messages < count else count / step.mean_rate_per_s


def paced(
    schedule: Iterator[Slot],
    start_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    proceed: Callable[[], bool],
) -> Iterator[Slot]:
    """Yield each slot when it is due, late ones at once.

    `proceed` is asked around each wait and every `AT_ONCE` messages; a no ends the schedule.
    """
    known_s, since_asked = -math.inf, 0
    for slot in schedule:
        if slot.due_s > known_s or since_asked >= AT_ONCE:
            if not proceed():
                return
            since_asked = 0
            while (known_s := clock() - start_s) < slot.due_s:
                sleep(min(slot.due_s - known_s, SLICE_S))
                if not proceed():
                    return
        since_asked += 1
        yield slot


def _share(first: int, count: int, producer: int, producers: int) -> range:
    """Numbers within a step, whose first message is number `first` of the whole schedule, that are this producer's."""
    return range((producer - first) % producers, count, producers)


def _due(step: BotStep) -> Callable[[int], float]:
    """Number within the step -> seconds since its start; on a ramp where the integral of the rate is that number."""
    rate, slope = step.rate_per_s, 0.0
    if step.duration_s:
        slope = (step.last_rate_per_s - rate) / step.duration_s
    if not slope:
        return lambda number: number / rate
    return lambda number: 2 * number / (rate + math.sqrt(rate * rate + 2 * slope * number))
