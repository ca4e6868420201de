"""Panels as frozen values: from them come Grafana's JSON, the engine's queries and the report's plots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

COLUMNS = 24
"""Width of Grafana's grid."""
ROW_HEIGHT = 8


class Kind(StrEnum):
    """How a panel draws."""

    STAT = "stat"
    GAUGE = "gauge"
    TIMESERIES = "timeseries"
    HEATMAP = "heatmap"


class Traffic(StrEnum):
    """What must happen on the target before a panel can have data."""

    REQUESTS = "requests"  # HTTP load, any scenario
    EVENTS = "events"  # events published to Kafka and consumed: orders, or the bot


@dataclass(frozen=True)
class Target:
    """One query of a panel. A `unit` of its own puts it on the right-hand axis.

    A heatmap's target without legend answers a native histogram: its buckets are the rows, in the panel's unit.
    """

    expr: str
    legend: str
    unit: str | None = None


@dataclass(frozen=True)
class Threshold:
    """From `above` on, in the panel's unit, the value shows in `colour`."""

    above: float
    colour: str


@dataclass(frozen=True)
class Grid:
    """Place on the page, in Grafana's 24 columns."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True)
class Panel:
    """One panel. `live`: it must move while its `needs` happen; otherwise it may be constant (evictions, time-outs).

    `traces_of` links it to Zipkin: the label of its series that names a service, or "" for traces of all services.
    """

    title: str
    description: str
    kind: Kind
    unit: str
    targets: tuple[Target, ...]
    live: bool = True
    needs: Traffic = Traffic.REQUESTS
    thresholds: tuple[Threshold, ...] = ()
    traces_of: str | None = None
    dashboard: str = ""
    number: int = 0
    grid: Grid = Grid(0, 0, COLUMNS, ROW_HEIGHT)

    @property
    def id(self) -> str:
        """`<dashboard uid>/<title in lower case, words joined by '-'>`: stable, and unique over both dashboards."""
        return f"{self.dashboard}/{re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')}"

    @property
    def of_buckets(self) -> bool:
        """True for the heatmap of a native histogram, false for one row a series."""
        return self.kind is Kind.HEATMAP and not self.targets[0].legend


@dataclass(frozen=True)
class Dashboard:
    """One page: its panels in reading order."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def page(uid: str, title: str, description: str, rows: Sequence[Sequence[Panel]]) -> Dashboard:
    """Lay `rows` out top to bottom, each row's panels equally wide, numbered from 1."""
    placed: list[Panel] = []
    for y, row in enumerate(rows):
        width = COLUMNS // len(row)
        for x, panel in enumerate(row):
            grid = Grid(x * width, y * ROW_HEIGHT, width, ROW_HEIGHT)
            placed.append(replace(panel, dashboard=uid, number=len(placed) + 1, grid=grid))
    return Dashboard(uid, title, description, tuple(placed))
