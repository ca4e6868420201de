"""Keeping a run's journal, and making a run of it again (`--resume`).

What a resumed run takes over is what cannot be had again: the results of loads, the books before them, the fixtures on
the target, and which loads had begun. Everything that can be looked at again is looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bots.plan import BotResult
from core.checks import Check
from core.errors import SuiteError
from core.request import Request
from core.rundir import utc_now
from dashboards.engine import State as PanelState
from dashboards.pages import all_panels
from dashboards.sampler import PanelSamples, Samples
from k6.model import ScenarioResult
from report.journal import Journal, write_journal
from targets.adapter import Fixtures
from targets.model import Profile
from tasks.clean import list_made
from tasks.report import facts_of
from tasks.run import Run


class SampledPanel(BaseModel):
    """`PanelSamples` with the panel's id in its place."""

    panel: str
    state: PanelState
    looks: int
    answered: int
    cause: str
    error: str


class RunState(BaseModel):
    """What `Journal.state` holds."""

    model_config = ConfigDict(frozen=True)

    request: Request = Field(description="without its faults and its consent: neither stands in a run directory")
    faults: int
    started: datetime
    flow_run: str | None
    checks: tuple[Check, ...]
    begun: Mapping[str, datetime]
    results: Mapping[str, ScenarioResult]
    bot: BotResult | None
    fixtures: Fixtures | None
    topic_ends: Mapping[str, int]
    origin_loads_before: float | None
    samples: tuple[SampledPanel, ...] | None
    ledger: Mapping[str, Any]


def keep_journal(run: Run, ended: bool = False) -> None:
    """Write down how the run stands; SetupError when the disk does not take it."""
    state = _state(run).model_dump(mode="json", fallback=str)
    journal = Journal(written=utc_now(), doing=doing(run), ended=ended, facts=facts_of(run), state=state)
    write_journal(journal, run.directory.path)


def doing(run: Run) -> str:
    """What the run is at: `phase load, scenario a`."""
    phase = next((record.phase for record in reversed(run.phases) if record.ended is None), None)
    where = f"phase {phase}" if phase else ("its end" if run.phases else "its beginning")
    parts = [part for part in run.begun if part not in run.scenario_results and not (part == "bot" and run.bot)]
    return ", ".join([where, *(f"scenario {part}" if part != "bot" else "the Kafka bot" for part in parts)])


def take_over(run: Run, journal: Journal) -> None:
    """Give a new run what the one that was cut off had."""
    state = RunState.model_validate(journal.state)
    run.started, run.cut_off = state.started, journal.written
    run.begun, run.earlier = dict(state.begun), {check.id: check for check in state.checks}
    run.scenario_results, run.bot = dict(state.results), state.bot
    run.fixtures, run.topic_ends = state.fixtures, state.topic_ends
    run.origin_loads_before, run.ledger = state.origin_loads_before, dict(state.ledger)
    run.samples = _samples(state.samples, run.profile) if state.samples is not None else None
    if run.fixtures is not None:
        list_made(run)
    for result in run.scenario_results.values():
        if result.error:
            run.fail(SuiteError(**result.error))


def _state(run: Run) -> RunState:
    return RunState(
        request=run.request.model_copy(update={"fault": (), "i_mean": None}),
        faults=len(run.request.fault),
        started=run.started,
        flow_run=run.flow_run,
        checks=tuple(run.results.values()),
        begun=run.begun,
        results=run.scenario_results,
        bot=run.bot,
        fixtures=run.fixtures,
        topic_ends=run.topic_ends,
        origin_loads_before=run.origin_loads_before,
        samples=None if run.samples is None else tuple(_sampled(panel) for panel in run.samples.panels),
        ledger=run.ledger,
    )


def _sampled(seen: PanelSamples) -> SampledPanel:
    return SampledPanel(
        panel=seen.panel.id,
        state=seen.state,
        looks=seen.looks,
        answered=seen.answered,
        cause=seen.cause,
        error=seen.error,
    )


def _samples(kept: tuple[SampledPanel, ...], profile: Profile) -> Samples:
    """Without the single looks, which no check asks for; a panel that is no more is left out."""
    panels = {panel.id: panel for panel in all_panels(profile.metrics)}
    rows = tuple(
        PanelSamples(panels[row.panel], **row.model_dump(exclude={"panel"})) for row in kept if row.panel in panels
    )
    return Samples(rows, ())
