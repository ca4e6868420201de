"""Phase 2's step."""

from __future__ import annotations

from core.checks import Check
from infra.verify.tracing import zipkin_es_index_check
from tasks.run import Run
from tasks.step import step


@step
def zipkin_es_index(run: Run) -> Check:
    """Make a traced request, read its trace back from Zipkin, find its index in Elasticsearch."""
    return zipkin_es_index_check(run.profile, run.endpoints)
