"""Phase 2: Zipkin on Elasticsearch."""

from __future__ import annotations

if __name__ == "__main__":  # first: what is imported below takes seconds, and --help needs none of it
    from core.words import Phase
    from flows.cli import main

    main(Phase.TRACING)

from core.ports import ServiceId
from core.words import Phase
from flows.phase import phase_flow
from tasks.run import Run
from tasks.stack import require_whole_stack
from tasks.tracing import zipkin_es_index


@phase_flow(Phase.TRACING)
def tracing(run: Run) -> None:
    """Start Zipkin on Elasticsearch; a real request's trace is read back and its index exists."""
    if why := run.lacks(ServiceId.ZIPKIN):
        return run.skip(Phase.TRACING, why)
    require_whole_stack(run)
    run.observe("zipkin-es-index", lambda: zipkin_es_index(run))
