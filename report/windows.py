"""The windows of a load: whole, without its warm-up, steady, spike, drain, from the stages that each part went through.

A part is a scenario (its letter) or the Kafka bot. What a ramp rises is warm-up, what it falls is drain; B has no ramp
and is steady throughout; C and E are spikes throughout. The bot's steps above its first rate are its spike, and it
drains from its last message until its consumers have caught up. A stage that the part did not reach has no length.
Where one k6 took over from another there is a seam, which no window but the whole has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from core.words import Verdict
from report.model import ScenarioRow, SeamRow, Stage, StageRow
from targets.load import Load
from targets.shape import BotStep

Part = Literal["a", "b", "c", "d", "e", "bot"]
WindowName = Literal["whole", "after-warm-up", "steady", "spike", "drain"]
BOT: Part = "bot"
SCENARIO_PARTS: tuple[Part, ...] = ("a", "b", "c", "d", "e")
DRAIN_AT_LEAST_S = 0.1
"""What the bot can tell apart: consumers that had caught up at its first look took at most this long."""
_STAGES: Mapping[WindowName, tuple[Stage, ...]] = {
    "whole": ("warm-up", "steady", "spike", "drain"),
    "after-warm-up": ("steady", "spike", "drain"),
    "steady": ("steady",),
    "spike": ("spike",),
    "drain": ("drain",),
}


@dataclass(frozen=True)
class Span:
    """From one moment to another, both included."""

    started: datetime
    ended: datetime

    @property
    def length_s(self) -> float:
        return (self.ended - self.started).total_seconds()


@dataclass(frozen=True)
class PartsRun:
    """Which parts of the load were asked for, and when those that ran did what."""

    asked: Collection[str]
    scenarios: Sequence[ScenarioRow]
    stages: Sequence[StageRow] | None  # None: the report of an earlier version, which does not say

    def window(self, name: WindowName, parts: Sequence[Part]) -> tuple[Span, ...]:
        """The window's pieces in order of time, apart from each other; () where there is none.

        `whole` is one piece from the first start to the last end of the parts, with what lies between them.
        """
        if name == "whole":
            return self._whole(parts)
        rows = [row for row in self.stages or () if row.part in parts and row.stage in _STAGES[name]]
        return _joined(Span(row.started, row.ended) for row in rows if row.started < row.ended)

    def why_none(self, name: WindowName, parts: Sequence[Part]) -> tuple[Verdict, str]:
        """What a gate says whose window has no piece: SKIPPED where it was never meant to have one."""
        asked = [part for part in parts if part in self.asked]
        if not asked:
            return Verdict.SKIPPED, f"{_named(parts)} not asked for" if self.asked else "no load was asked for"
        if self.stages is None:
            return Verdict.NO_DATA, "the report does not say when the stages of its load were"
        if not self._whole(asked):
            return Verdict.NO_DATA, f"{_named(asked)} not run"
        if any(row.part in asked and row.stage in _STAGES[name] for row in self.stages):
            return Verdict.NO_DATA, f"{_listed(asked)} ended before window {name}"
        return Verdict.SKIPPED, f"this load has no window {name} in {_listed(asked)}"

    def _whole(self, parts: Sequence[Part]) -> tuple[Span, ...]:
        ran = [row for row in self.scenarios if row.id in parts]
        of_bot = [row for row in self.stages or () if row.part == BOT and BOT in parts]
        starts = [row.started for row in ran if row.started] + [row.started for row in of_bot]
        ends = [row.ended for row in ran if row.ended] + [row.ended for row in of_bot]
        return (Span(min(starts), max(ends)),) if starts and ends else ()


def scenario_stages(row: ScenarioRow, load: Load) -> tuple[StageRow, ...]:
    """The stages of one scenario that began, as the load plans them, cut at its real end; () for one that did not.

    A falling ramp lasts until the end, with the iterations that were still under way.
    """
    if row.started is None or row.ended is None:
        return ()
    rows, begin = [], row.started
    for stage, length_s in _planned(row, load):
        end = row.ended if stage in ("drain", "spike") else min(begin + timedelta(seconds=length_s), row.ended)
        rows.append(StageRow(part=row.id, stage=stage, started=begin, ended=max(begin, end)))
        begin = max(begin, end)
    return tuple(piece for stage_row in rows for piece in _apart(stage_row, row.seams))


def bot_stages(
    steps: Sequence[BotStep], started: datetime, ended: datetime, drain_s: float | None
) -> tuple[StageRow, ...]:
    """The bot's steps, cut where it really ended, and its drain of `drain_s` seconds after that; None: not watched."""
    rows: list[StageRow] = []
    begin = started
    for step in steps:
        stage: Stage = "spike" if step.last_rate_per_s > steps[0].rate_per_s else "steady"
        end = max(begin, min(begin + timedelta(seconds=step.duration_s), ended))
        rows.append(StageRow(part=BOT, stage=stage, started=begin, ended=end))
        begin = end
    if drain_s is not None:
        drained = ended + timedelta(seconds=max(drain_s, DRAIN_AT_LEAST_S))
        rows.append(StageRow(part=BOT, stage="drain", started=ended, ended=drained))
    return tuple(rows)


def parts_of(stages: Iterable[StageRow]) -> dict[str, Span]:
    """From the first stage to the last of each part that took any time."""
    found: dict[str, Span] = {}
    for row in stages:
        whole = Span(row.started, row.ended)
        before = found.get(row.part, whole)
        found[row.part] = Span(min(before.started, whole.started), max(before.ended, whole.ended))
    return {part: span for part, span in found.items() if span.length_s > 0}


def _apart(whole: StageRow, seams: Sequence[SeamRow]) -> Iterator[StageRow]:
    """A stage with its seams as stages of their own, which are in no window but the whole."""
    begin = whole.started
    for seam in seams:
        first, last = max(begin, seam.started), min(seam.ended, whole.ended)
        if first < last:
            yield whole.model_copy(update={"started": begin, "ended": first})
            yield StageRow(part=whole.part, stage="seam", started=first, ended=last)
            begin = last
    yield whole.model_copy(update={"started": begin})


def _planned(row: ScenarioRow, load: Load) -> list[tuple[Stage, float]]:
    """(stage, seconds) in order; a stage of no length is not planned."""
    if row.id in ("c", "e"):
        return [("spike", 0.0)]
    if row.id == "b":
        return [("steady", load.b.duration_s)]
    ramp = load.a if row.id == "a" else load.d
    stages: list[tuple[Stage, float]] = [
        ("warm-up", ramp.ramp_up_s),
        ("steady", ramp.steady_s),
        ("drain", ramp.ramp_down_s),
    ]
    return [(stage, length_s) for stage, length_s in stages if length_s]


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.started):
        if joined and span.started <= joined[-1].ended:
            joined[-1] = Span(joined[-1].started, max(joined[-1].ended, span.ended))
        else:
            joined.append(span)
    return tuple(joined)


def _named(parts: Sequence[Part]) -> str:
    """'scenario A was', 'scenarios A, B were', 'the Kafka bot was': the subject of a sentence and its verb."""
    return f"{_listed(parts)} {'was' if len(parts) == 1 else 'were'}"


def _listed(parts: Sequence[Part]) -> str:
    letters = ", ".join(part.upper() for part in parts if part != BOT).replace("A, B, C, D, E", "A to E")
    scenarios = f"scenario{'s' if len(letters) > 1 else ''} {letters}" if letters else ""
    return " and ".join(part for part in (scenarios, "the Kafka bot" if BOT in parts else "") if part)
