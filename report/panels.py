"""The dashboards' answers as the sampler left them in `metrics/panels.json`, read for drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.errors import SetupError
from report.prometheus import Line


class PanelSeries(BaseModel):
    """One line of a panel: times in epoch seconds; a value that was not finite is null."""

    legend: str
    times: tuple[float, ...]
    values: tuple[float | None, ...]
    unit: str | None = None

    def line(self) -> Line:
        times = np.rint(np.array(self.times, dtype=np.float64) * 1000).astype(np.int64)
        return Line({"legend": self.legend}, times, np.array(self.values, dtype=np.float64))


class PanelGrid(BaseModel):
    """Size on the dashboard's page, in its 24 columns."""

    w: int = 0


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
    series: tuple[PanelSeries, ...] = ()


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
