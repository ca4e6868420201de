"""The sampler: a thread beside the load that asks every panel's queries and keeps what a viewer would have seen.

It carries on whether Prometheus is there or not: an answer that did not come is kept as such.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from dashboards.engine import Engine, PanelAnswer, State, TargetAnswer, Value, best, panel_state, state_between
from dashboards.model import Panel

log = logging.getLogger("dashboards")

EVERY_S = 5.0
"""As often as Grafana refreshes the dashboards and Prometheus scrapes."""


@dataclass(frozen=True)
class Observation:
    """One look at one panel. at: unix seconds; series: lines with a number."""

    at: float
    panel: str
    series: int
    error: str


@dataclass
class _Line:
    """Extremes of one line over all looks."""

    least: float | None = None
    greatest: float | None = None

    def see(self, values: Iterable[Value]) -> None:
        for value in values:
            if value is not None:
                self.least = value if self.least is None else min(self.least, value)
                self.greatest = value if self.greatest is None else max(self.greatest, value)

    @property
    def state(self) -> State:
        if self.least is None or self.greatest is None:
            return State.NAN_ONLY
        return state_between(self.least, self.greatest)


@dataclass
class _Seen:
    """All looks at one query: its lines by their labels."""

    lines: dict[frozenset[tuple[str, str]], _Line] = field(default_factory=dict)

    def see(self, answer: TargetAnswer) -> None:
        for series in answer.series:
            self.lines.setdefault(frozenset(series.labels.items()), _Line()).see(series.values)

    @property
    def state(self) -> State:
        return best(line.state for line in self.lines.values())


@dataclass(frozen=True)
class PanelSamples:
    """What one panel showed under load. looks: how often it was asked; answered: how often it could be."""

    panel: Panel
    state: State
    looks: int
    answered: int
    cause: str  # why it has no data; "" where it has
    error: str  # the last reason why it could not be asked


@dataclass(frozen=True)
class Samples:
    """What every panel showed, and each look as a plain record for the report."""

    panels: tuple[PanelSamples, ...]
    observations: tuple[Observation, ...]


class Sampler:
    """`with Sampler(engine, panels) as sampler: <load>`, then `sampler.samples()`.

    The last look is taken when the load has ended, so that a load of a second is seen too. A look keeps one record a
    panel: give a soak of 24 h an `every_s` of 60 (40,000 records).
    """

    def __init__(
        self,
        engine: Engine,
        panels: Sequence[Panel],
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._panels = tuple(panels)
        self._every_s = every_s
        self._clock = clock
        self._seen = {panel.id: [_Seen() for _ in panel.targets] for panel in self._panels}
        self._observations: list[Observation] = []
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")
        self._looking: Future[None] | None = None

    def __enter__(self) -> Self:
        self._looking = self._thread.submit(self._keep_looking)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.shutdown()
        if self._looking is not None and error is None:
            self._looking.result()

    def look(self) -> None:
        """Ask every panel once, now."""
        at = self._clock()
        answers = [self._engine.ask_now(panel, at) for panel in self._panels]
        for answer in answers:
            self._keep(at, answer)
        failed = Counter(target.error for answer in answers for target in answer.targets if target.error)
        for reason, queries in failed.most_common(1):
            log.warning("%d queries of the dashboards were not answered: %s", queries, reason)

    def samples(self) -> Samples:
        """What the panels showed until now; asks Prometheus why a panel has no data."""
        return Samples(tuple(self._judged(panel) for panel in self._panels), tuple(self._observations))

    def _keep_looking(self) -> None:
        log.info("asking %d panels every %g s", len(self._panels), self._every_s)
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.look()
            due = max(due + self._every_s, time.monotonic())
        self.look()

    def _keep(self, at: float, answer: PanelAnswer) -> None:
        for seen, target in zip(self._seen[answer.panel.id], answer.targets, strict=True):
            seen.see(target)
        numbers = sum(value is not None for target in answer.targets for each in target.series for value in each.values)
        self._observations.append(Observation(at, answer.panel.id, numbers, answer.error))

    def _judged(self, panel: Panel) -> PanelSamples:
        looks = [each for each in self._observations if each.panel == panel.id]
        errors = [each.error for each in looks if each.error]
        states = [seen.state for seen in self._seen[panel.id]]
        return PanelSamples(
            panel=panel,
            state=panel_state(states),
            looks=len(looks),
            answered=len(looks) - len(errors),
            cause=self._cause(panel, states),
            error=errors[-1] if errors else "",
        )

    def _cause(self, panel: Panel, states: Sequence[State]) -> str:
        at = self._clock()
        silent = [target for target, state in zip(panel.targets, states, strict=True) if not state.has_data]
        return "; ".join(dict.fromkeys(self._engine.missing(target, at) for target in silent))
