"""The house's panels: one function a kind, so that a dashboard module reads like its page."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.model import Kind, Panel, Target, Threshold, Traffic

GREEN, YELLOW, RED = "green", "yellow", "red"


def stat(
    title: str,
    description: str,
    unit: str,
    targets: Sequence[Target],
    *,
    thresholds: tuple[Threshold, ...],
    live: bool = True,
) -> Panel:
    """The newest value, in the colour of its threshold."""
    return Panel(title, description, Kind.STAT, unit, tuple(targets), live=live, thresholds=thresholds)


def gauge(title: str, description: str, unit: str, targets: Sequence[Target]) -> Panel:
    """The newest value on a dial."""
    return Panel(title, description, Kind.GAUGE, unit, tuple(targets))


def timeseries(
    title: str,
    description: str,
    unit: str,
    targets: Sequence[Target],
    *,
    live: bool = True,
    needs: Traffic = Traffic.REQUESTS,
    thresholds: tuple[Threshold, ...] = (),
    traces_of: str | None = None,
) -> Panel:
    """Lines over time, and a dashed line at each threshold."""
    return Panel(
        title,
        description,
        Kind.TIMESERIES,
        unit,
        tuple(targets),
        live=live,
        needs=needs,
        thresholds=thresholds,
        traces_of=traces_of,
    )


def heatmap(title: str, description: str, unit: str, target: Target) -> Panel:
    """Time on x; buckets of a native histogram, or one row a series, on y; the value as colour. Linked to Zipkin."""
    return Panel(title, description, Kind.HEATMAP, unit, (target,), traces_of="")


def warn_and_fail(warn: float, fail: float) -> tuple[Threshold, ...]:
    """Yellow from `warn`, red from `fail`."""
    return (Threshold(warn, YELLOW), Threshold(fail, RED))


def fail_from(fail: float) -> tuple[Threshold, ...]:
    """Red from `fail`."""
    return (Threshold(fail, RED),)
