"""One series of nights: did its newest runs become worse, and since when?

The newest one, three and seven runs are each compared with the passing runs before them: a collapse is seen at once, a
small shift as soon as it is sure. The chance of a false alarm is shared out over these windows and over all series of
the night. Otava must see the change as well (`change_points`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report.change_points import last_rise
from report.shift import MIN_BASELINE, MIN_EFFECT, Shift, shift

BASELINE_RUNS = 60
"""Earlier passing runs at most: more tell the spread better, fewer forget sooner. Measured in docs/history-proof.md."""
NIGHT_ALPHA = 0.012
"""Error shared out over the night's series and windows, for each side. The least changes below and Otava leave fewer
false alarms than that: docs/history-proof.md counts them."""


@dataclass(frozen=True)
class Window:
    """The newest `runs`: their part of NIGHT_ALPHA, and the least relative change that they may announce."""

    runs: int
    part: float
    least: float


WINDOWS = (Window(1, 0.05, 0.5), Window(3, 0.85, MIN_EFFECT), Window(7, 0.1, MIN_EFFECT))
"""One run alone has to be a collapse: a neighbour on the machine can spoil a night."""
LONGEST = max(window.runs for window in WINDOWS)
BACK = MIN_EFFECT / 2
"""A regression has ended when its newest three runs lie within this of the level before it."""
RUNS_TO_BE_BACK = 3
RECENT = 2 * LONGEST
"""A change point further back than this many runs is not what tonight's windows saw."""


@dataclass(frozen=True)
class Night:
    """One run's value of a series; `up` when it was known to be worse then."""

    run_id: str
    value: float
    passed: bool
    up: bool = False

    @property
    def good(self) -> bool:
        """May be compared with."""
        return self.passed and not self.up


@dataclass(frozen=True)
class Rise:
    """A series that became worse; `since` is the first run of the new level."""

    shift: Shift
    since: str


@dataclass(frozen=True)
class Look:
    """What one window saw."""

    window: Window
    shift: Shift

    def is_worse(self, least: float) -> bool:
        return self.shift.is_worse(least, self.window.least)

    def is_better(self, least: float) -> bool:
        return self.shift.is_better(least, self.window.least)


def looks(nights: Sequence[Night], series: int) -> tuple[Look, ...]:
    """Every window that has enough good nights before it, the shortest first; `series` are asked tonight.

    A window that reaches back into a regression that has ended says nothing about tonight.
    """
    found = (_look(nights, window, NIGHT_ALPHA * window.part / max(series, 1)) for window in WINDOWS)
    return tuple(look for look in found if look is not None)


def rise(nights: Sequence[Night], seen: Sequence[Look], least: float) -> Rise | None:
    """Did the newest of these nights become worse? `seen` is what `looks` found."""
    worse = [look.shift for look in seen if look.is_worse(least)]
    if not worse:
        return None
    looked_at = nights[-(BASELINE_RUNS + LONGEST) :]
    began = last_rise([night.value for night in looked_at])
    if began is None or began < len(looked_at) - RECENT:
        return None
    return Rise(max(worse, key=lambda found: found.low), looked_at[began].run_id)


def still_up(nights: Sequence[Night], since: str, series: int) -> Shift | None:
    """The newest runs since `since` against the good runs before it; None when they are back, or nothing is left."""
    began = next((index for index, night in enumerate(nights) if night.run_id == since), None)
    if began is None:
        return None
    before = _baseline(nights[:began])
    newest = [night.value for night in nights[began:]][-RUNS_TO_BE_BACK:]
    if len(before) < MIN_BASELINE:
        return None
    found = shift(before, newest, NIGHT_ALPHA / max(series, 1))
    return found if found.relative >= BACK else None


def _look(nights: Sequence[Night], window: Window, alpha: float) -> Look | None:
    before, newest = _baseline(nights[: -window.runs]), nights[-window.runs :]
    if len(before) < MIN_BASELINE or any(night.up for night in newest):
        return None
    return Look(window, shift(before, [night.value for night in newest], alpha))


def _baseline(nights: Sequence[Night]) -> list[float]:
    return [night.value for night in nights if night.good][-BASELINE_RUNS:]
