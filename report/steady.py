"""The parts of a load in which nothing is meant to change: without ramps, and long enough for a trend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report.model import ScenarioRow
from targets.load import Load
from targets.shape import BotStep

LEAST_S = 600.0
"""A trend needs ten minutes."""
_CUT_SHORT = 0.98
"""A part that ended before this share of its time did not happen as meant."""


@dataclass(frozen=True)
class SteadyWindow:
    """A steady part; `requests_per_hour` 0 where nothing was counted."""

    name: str
    started: datetime
    ended: datetime
    requests_per_hour: float


def steady_windows(load: Load, scenarios: Sequence[ScenarioRow]) -> tuple[SteadyWindow, ...]:
    """One for each scenario that ran through its steady part of at least ten minutes."""
    parts = {"a": (load.a.ramp_up_s, load.a.steady_s), "b": (0.0, load.b.duration_s)}
    parts["d"] = (load.d.ramp_up_s, load.d.steady_s)
    return tuple(_of_scenarios(parts, scenarios))


def bot_window(steps: Sequence[BotStep], started: datetime, ended: datetime) -> tuple[SteadyWindow, ...]:
    """The bot's longest step, where it held its rate for ten minutes; its messages are its requests."""
    longest = max(range(len(steps)), key=lambda index: steps[index].duration_s)
    begins = started + timedelta(seconds=sum(step.duration_s for step in steps[:longest]))
    step = steps[longest]
    if step.last_rate_per_s != step.rate_per_s:
        return ()
    return tuple(_window("kafka bot", begins, step.duration_s, ended, step.rate_per_s))


def _of_scenarios(parts: dict[str, tuple[float, float]], scenarios: Sequence[ScenarioRow]) -> Iterator[SteadyWindow]:
    for row in scenarios:
        if row.id in parts and row.started and row.ended:
            ramp_s, steady_s = parts[row.id]
            begins = row.started + timedelta(seconds=ramp_s)
            yield from _window(f"scenario {row.id.upper()}", begins, steady_s, row.ended, row.rate or 0)


def _window(name: str, begins: datetime, length_s: float, ended: datetime, rate_per_s: float) -> Iterator[SteadyWindow]:
    ends = min(begins + timedelta(seconds=length_s), ended)
    if length_s >= LEAST_S and (ends - begins).total_seconds() >= _CUT_SHORT * length_s:
        yield SteadyWindow(name, begins, ends, rate_per_s * 3600)
