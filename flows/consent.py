"""A production target takes load only when somebody typed its name for this very run; what was stored is no consent."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

MADE_BY_ITSELF = ("SCHEDULE", "AUTOMATION")
"""How Prefect calls those who make a flow run without a person."""


def given_now(i_mean: str | None) -> str | None:
    """`i_mean`, unless it comes out of a schedule, an automation or the deployment itself."""
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if i_mean is None or flow_run is None or flow_run.deployment_id is None:
        return i_mean
    return None if _by_itself(flow_run) or _is_stored(flow_run.deployment_id) else i_mean


def _by_itself(flow_run: FlowRun) -> bool:
    maker = flow_run.created_by.type if flow_run.created_by else None
    return bool(flow_run.auto_scheduled) or maker in MADE_BY_ITSELF


def _is_stored(deployment_id: UUID) -> bool:
    with get_client(sync_client=True) as client:
        return client.read_deployment(deployment_id).parameters.get("i_mean") is not None
