"""Phase 1: exporters and Prometheus."""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from core.words import Phase
    from flows.cli import main

    main(Phase.EXPORTERS)

from core.ports import EXPORTERS, PORTAL, STORES, ServiceId
from core.words import Phase
from flows.phase import phase_flow
from tasks.exporters import exporter_metrics, prometheus_targets
from tasks.run import Run
from tasks.stack import require_services


@phase_flow(Phase.EXPORTERS)
def exporters(run: Run) -> None:
    """Start what is missing, make the exporter's database user; every exporter answers, every target is UP."""
    require_services(run, (*STORES, *PORTAL, ServiceId.PROMETHEUS, *EXPORTERS))
    run.observe("exporter-metrics", lambda: exporter_metrics(run))
    run.observe("prometheus-targets", lambda: prometheus_targets(run))
