"""What Prefect itself takes of a phase, on a server that runs: phases of trivial steps, with it and without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prefect import flow
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings

from core.processes import free_port
from core.words import Phase
from flows.phase import PhaseFlow, phase_flow
from flows.server import api_at, serving
from tasks.run import Run
from tasks.step import step
from tests.bench.row import Row
from tests.made_up_run import made_up_run

STEPS = 25
"""As many as the load phase has, which has the most."""
AT_MOST_S = 3.0


def prefect_rows(folder: Path) -> Iterator[Row]:
    """Seconds a phase, beside the same phases without Prefect."""
    home, port = folder / "home", free_port()
    home.mkdir(parents=True)
    environment = {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with serving(port, **environment), temporary_settings(updates={PREFECT_API_URL: api_at(port)}):
        _phases(folder / "warm-up", step(_nothing))
        with_it = _phases(folder / "with", step(_nothing))
        APILogHandler().flush()  # what is still on its way would find no server later
    without = _plain(folder / "without")
    own_s = (with_it - without) / len(Phase)
    yield Row(
        "prefect-per-phase",
        own_s,
        "s",
        f"a phase of {STEPS} steps without it",
        without / len(Phase),
        f"<= {AT_MOST_S:.0f} s",
        own_s <= AT_MOST_S,
    )


def _nothing() -> None:
    """A step that takes no time of its own."""


def _body(look: Callable[[], None]) -> Callable[[Run], None]:
    def body(_: Run) -> None:
        for _number in range(STEPS):
            look()

    return body


def _phases(folder: Path, look: Callable[[], None]) -> float:
    """Seconds that the five phases take as subflows."""
    run, phases = made_up_run(folder), [phase_flow(phase)(_body(look)) for phase in Phase]
    took: list[float] = []
    flow(name="bench", validate_parameters=False)(lambda: took.append(_timed(phases, run)))()
    return took[0]


def _timed(phases: list[PhaseFlow], run: Run) -> float:
    began = time.monotonic()
    for phase in phases:
        phase(run, return_state=True)
    return time.monotonic() - began


def _plain(folder: Path) -> float:
    run, phases = made_up_run(folder), [phase_flow(phase)(_body(_nothing)) for phase in Phase]
    began = time.monotonic()
    for phase in phases:
        phase.fn(run)
    return time.monotonic() - began
