"""Before any load: which panels will have no data, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dashboards.engine import Engine, State
from dashboards.missing import K6, fed_only_by
from dashboards.model import Panel
from targets.model import Metrics

BY_THE_LOAD = (K6, "kafka_bot_")
"""Metrics that are there only once the load runs."""


@dataclass
class Empty:
    """What one cause takes: metrics that have no series, and titles of the panels that they leave without data."""

    metrics: dict[str, None] = field(default_factory=dict)
    panels: dict[str, None] = field(default_factory=dict)


def empty_panels(
    engine: Engine, panels: Collection[Panel], metrics: Metrics, absent: Collection[str], at: float
) -> Mapping[str, Empty]:
    """Cause -> what it takes; VerificationError when Prometheus is silent or refuses.

    A query whose series are there and only have nothing to say yet is no cause. `absent`: prefixes of metrics that
    nobody is expected to give.
    """
    causes: dict[str, Empty] = {}
    for panel in panels:
        if fed_only_by(panel, metrics, (*BY_THE_LOAD, *absent)):
            continue
        for target, answer in zip(panel.targets, engine.ask_now(panel, at).targets, strict=True):
            if answer.state is State.EMPTY:
                for metric, why in engine.never_fed(target, at).items():
                    taken = causes.setdefault(why, Empty())
                    taken.metrics[metric] = taken.panels[panel.title] = None
    return causes
