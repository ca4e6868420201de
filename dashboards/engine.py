"""The panel engine: asks a panel's queries as Grafana would, says what came back, and why nothing did.

Where there is no Grafana (embedded backend) this is how a dashboard is judged and drawn; where there is one, it says
what the dashboards must show (architecture.md, "Grafana").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import VerificationError
from dashboards.missing import never_fed, why_missing
from dashboards.model import Panel, Target
from dashboards.prometheus import Labels, Prometheus, RawSeries
from dashboards.variables import SCRAPE_S, choose, fill
from targets.model import Metrics

MOVED = 0.001
"""A series moved when its greatest and least value differ by more than this share; the jitter of scrapes is less."""

Ask = Callable[[str], tuple[RawSeries, ...]]
Value = float | None


class State(StrEnum):
    """What a panel showed, from worst to best."""

    EMPTY = "empty"  # no series
    NAN_ONLY = "nan-only"  # series, but no number
    CONSTANT = "constant"
    LIVE = "live"  # moved

    @property
    def has_data(self) -> bool:
        return self in (State.CONSTANT, State.LIVE)


@dataclass(frozen=True)
class Series:
    """One line of a panel. times: unix seconds; values: None where there is no finite number."""

    legend: str
    labels: Labels
    times: tuple[float, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True)
class TargetAnswer:
    """What one query of a panel answered; `error` is why it could not be asked."""

    expr: str
    series: tuple[Series, ...]
    error: str = ""

    @property
    def state(self) -> State:
        return best(state(series.values) for series in self.series)


@dataclass(frozen=True)
class PanelAnswer:
    """What a panel answered, a query at a time."""

    panel: Panel
    targets: tuple[TargetAnswer, ...]

    @property
    def state(self) -> State:
        return panel_state(target.state for target in self.targets)

    @property
    def error(self) -> str:
        return next((target.error for target in self.targets if target.error), "")


class Engine:
    """Asks panels of one Prometheus, with the variables' values filled in (`dashboards.variables.choose`)."""

    def __init__(self, prometheus: Prometheus, values: Mapping[str, str], scrape_s: float = SCRAPE_S) -> None:
        self.prometheus = prometheus
        self._values = dict(values)
        self._scrape_s = scrape_s

    @classmethod
    def of(cls, prometheus_url: str, metrics: Metrics, run_id: str | None = None) -> Engine:
        """The engine for one run: its `run_id`, and All for every other variable."""
        return cls(Prometheus(prometheus_url), choose(metrics, run_id=run_id))

    def ask(self, panel: Panel, start: float, end: float, step_s: float) -> PanelAnswer:
        """Every query of `panel` over `start` … `end` (unix seconds), a point each `step_s`."""
        return self._answer(panel, step_s, lambda expr: self.prometheus.range(expr, start, end, step_s))

    def ask_now(self, panel: Panel, at: float) -> PanelAnswer:
        """Every query of `panel` at unix time `at`: one point a series."""
        return self._answer(panel, self._scrape_s, lambda expr: self.prometheus.instant(expr, at))

    def missing(self, target: Target, at: float) -> str:
        """Why `target` has no data at unix time `at`: the metric or label that is missing, and who would give it."""
        try:
            return why_missing(self.prometheus, self._filled(target, self._scrape_s), at)
        except VerificationError as error:
            return error.what

    def never_fed(self, target: Target, at: float) -> Mapping[str, str]:
        """Metric that `target` needs and no load will bring, at unix time `at` -> why; VerificationError if refused."""
        return never_fed(self.prometheus, self._filled(target, self._scrape_s), at)

    def _answer(self, panel: Panel, step_s: float, ask: Ask) -> PanelAnswer:
        return PanelAnswer(panel, tuple(self._ask(target, step_s, ask) for target in panel.targets))

    def _ask(self, target: Target, step_s: float, ask: Ask) -> TargetAnswer:
        expr = self._filled(target, step_s)
        try:
            return TargetAnswer(expr, tuple(_drawn(raw, target.legend) for raw in ask(expr)))
        except VerificationError as error:
            return TargetAnswer(expr, (), error.what)

    def _filled(self, target: Target, step_s: float) -> str:
        return fill(target.expr, self._values, step_s, self._scrape_s)


def state(values: Iterable[Value]) -> State:
    """The state of one line."""
    numbers = [value for value in values if value is not None]
    return state_between(min(numbers), max(numbers)) if numbers else State.NAN_ONLY


def state_between(least: float, greatest: float) -> State:
    """The state of a line between these values: LIVE when it moved by more than MOVED of its greatest magnitude."""
    moved = greatest - least > MOVED * max(abs(greatest), abs(least))
    return State.LIVE if moved else State.CONSTANT


def best(states: Iterable[State]) -> State:
    """The state of a query: that of its best line, EMPTY without lines."""
    return max(states, key=_rank, default=State.EMPTY)


def panel_state(states: Iterable[State]) -> State:
    """The state of a panel: its best query's, but without data as soon as one of its queries has none."""
    found = list(states)
    without = [each for each in found if not each.has_data]
    return min(without, key=_rank) if without else best(found)


def _rank(each: State) -> int:
    return list(State).index(each)


def _drawn(raw: RawSeries, legend: str) -> Series:
    values = tuple(value if math.isfinite(value) else None for _, value in raw.points)
    return Series(_legend(raw.labels, legend), raw.labels, tuple(at for at, _ in raw.points), values)


def _legend(labels: Labels, template: str) -> str:
    """The legend as Grafana writes it; a histogram's row is called by its upper bound."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), template) or labels.get("le", "")
