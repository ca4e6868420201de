"""Both dashboards of a target."""

from __future__ import annotations

from dashboards.bottleneck_detection import bottleneck_detection
from dashboards.load_test_overview import load_test_overview
from dashboards.model import Dashboard, Panel
from targets.model import Metrics


def dashboards(metrics: Metrics) -> tuple[Dashboard, ...]:
    """Load Test Overview and Bottleneck Detection, with the target's labels."""
    return load_test_overview(metrics), bottleneck_detection(metrics)


def all_panels(metrics: Metrics) -> tuple[Panel, ...]:
    """The 28 panels of both, in reading order."""
    return tuple(panel for dashboard in dashboards(metrics) for panel in dashboard.panels)
