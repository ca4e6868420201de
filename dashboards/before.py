"""Before any load: which panels will have no data, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dashboards.engine import Engine, State
from dashboards.missing import K6, fed_only_by
from dashboards.model import Panel
from targets.model import Metrics

BY_THE_LOAD = (K6, "kafka_bot_")
"""Metrics that are there only once the load runs."""


def empty_panels(
    engine: Engine, panels: Collection[Panel], metrics: Metrics, absent: Collection[str], at: float
) -> Mapping[str, list[str]]:
    """Cause -> titles of the panels that it will leave without data; VerificationError when Prometheus is silent.

    A query whose series are there and only have nothing to say yet is no cause. `absent`: prefixes of metrics that
    nobody is expected to give.
    """
    causes: dict[str, list[str]] = {}
    for panel in panels:
        if fed_only_by(panel, metrics, (*BY_THE_LOAD, *absent)):
            continue
        for target, answer in zip(panel.targets, engine.ask_now(panel, at).targets, strict=True):
            if answer.state is not State.EMPTY:
                continue
            cause = answer.error or engine.never_fed(target, at)
            if cause and panel.title not in causes.setdefault(cause, []):
                causes[cause].append(panel.title)
    return causes
