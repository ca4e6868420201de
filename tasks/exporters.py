"""Phase 1's steps."""

from __future__ import annotations

from core.checks import Check
from infra.verify.exporters import exporter_metrics_check
from infra.verify.targets import prometheus_targets_check
from tasks.run import Run
from tasks.step import step


@step
def exporter_metrics(run: Run) -> Check:
    """Ask every exporter for the metrics of design section 2.4."""
    return exporter_metrics_check(run.endpoints)


@step
def prometheus_targets(run: Run) -> Check:
    """Ask Prometheus' API for the health of every scrape target."""
    ours = None if run.backend.prometheus_is_ours else run.profile.metrics.services
    return prometheus_targets_check(run.endpoints, ours=ours)
