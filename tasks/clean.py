"""What a run makes on its target: listed before the load, counted and removed at its end, and counted again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from core.errors import SuiteError
from core.waiting import wait_for
from targets.adapter import Adapter, Fixtures, adapter_for
from targets.made import Made, count
from tasks.run import Run

LATE_S = 20.0
"""What was still on its way, such as a notification of the last order, is removed when it has arrived."""


def list_made(run: Run) -> None:
    """Write `made.json`: a run that is killed can be cleaned up after (`python -m flows.clean`)."""
    assert run.fixtures is not None
    run.made = Made(
        run_id=run.run_id,
        target=run.request.target,
        addresses=run.profile.addresses,
        fixtures=run.fixtures,
        kept={
            "users": "of the pool: they stay for the next run",
            f"events in {run.profile.events.topic}": "Kafka keeps them as long as the topic says",
            "annotations": "they belong to the dashboards' history; `python -m flows.clean` removes them",
        },
    )
    run.made.write(run.directory.path)


def clean_target(run: Run) -> list[str]:
    """Count and, as the profile says, remove what the run made; returns what is left although it should not be."""
    if run.made is None:
        return []
    adapter, fixtures = adapter_for(run.profile), run.made.fixtures
    try:
        run.made = run.made.model_copy(update={"counts": count(adapter, fixtures)})
        if run.profile.clean_up == "on request":
            return []
        complaints, left = remove(adapter, fixtures)
    except SuiteError as error:
        return [f"the run's rows may still be there: {error.what}"]
    finally:
        run.made.write(run.directory.path)
    run.made = run.made.model_copy(update={"left": left})
    run.made.write(run.directory.path)
    return complaints


def remove(adapter: Adapter, fixtures: Fixtures) -> tuple[list[str], Mapping[str, int]]:
    """What could not be removed, in sentences, and the count afterwards; TargetError when it cannot be counted."""
    if complaints := [f"the run's rows on {rows}" for rows in adapter.clean_up(fixtures)]:
        return complaints, {}
    again = partial(_removed_again, adapter, fixtures)
    left = wait_for(again, lambda found: not any(found.values()), timeout_s=LATE_S, every_s=1.0)
    return [f"{number} {kind} of this run" for kind, number in left.items() if number], left


def _removed_again(adapter: Adapter, fixtures: Fixtures) -> Mapping[str, int]:
    left = count(adapter, fixtures)
    if any(left.values()):
        adapter.clean_up(fixtures)
    return left
