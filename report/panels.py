"""The dashboards' answers as the sampler left them in `metrics/panels.json`, read for drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.errors import SetupError
from report.catalogue import metric_names
from report.prometheus import Line


class PanelSeries(BaseModel):
    """One line of a panel: times in epoch seconds; a value that was not finite is null."""

    legend: str
    times: tuple[float, ...]
    values: tuple[float | None, ...]
    unit: str | None = None

    @property
    def bound_s(self) -> float | None:
        """The upper bound that a histogram's row is called by, in seconds; None for any other legend."""
        try:
            return float(self.legend)
        except ValueError:
            return None

    def line(self) -> Line:
        times = np.rint(np.array(self.times, dtype=np.float64) * 1000).astype(np.int64)
        return Line({"legend": self.legend}, times, np.array(self.values, dtype=np.float64))


class PanelGrid(BaseModel):
    """Place and width on the dashboard's page, in its 24 columns; where none was kept, a third of it."""

    x: int = 0
    w: int = 8


class PanelThreshold(BaseModel):
    """From `above` on, in the panel's unit, a value shows in `colour`."""

    above: float
    colour: str


class PanelAnswer(BaseModel):
    """One panel over the load's window."""

    id: str
    dashboard: str
    title: str
    unit: str
    kind: str
    description: str
    verdict: str
    reason: str = ""
    grid: PanelGrid = PanelGrid()
    queries: tuple[str, ...] = ()
    thresholds: tuple[PanelThreshold, ...] = ()
    series: tuple[PanelSeries, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that it reads, each once."""
        return tuple(dict.fromkeys(name for query in self.queries for name in metric_names(query)))

    @property
    def of_buckets(self) -> bool:
        """True for the heatmap of a histogram, whose rows are called by their bounds."""
        return self.kind == "heatmap" and all(series.bound_s is not None for series in self.series)


_PANELS = TypeAdapter(tuple[PanelAnswer, ...])


def read_panels(run_dir: Path) -> tuple[PanelAnswer, ...]:
    """Every panel's answer; SetupError when the sampler left none or what it left cannot be read."""
    path = run_dir / "metrics" / "panels.json"
    try:
        return _PANELS.validate_json(path.read_bytes())
    except FileNotFoundError as error:
        cure = "Run the load and dashboards phases."
        raise SetupError("the dashboards' panels were not asked in this run", where=path.name, cure=cure) from error
    except (OSError, ValidationError) as error:
        cure = "Run the load and dashboards phases again."
        raise SetupError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}", where="metrics", cure=cure
        ) from error
