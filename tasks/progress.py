"""How far k6 is: one line in the terminal, and a progress artifact a scenario in Prefect's UI."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext, TaskRunContext

from k6.model import Progress
from k6.plan import scenario_name
from k6.progress import log_progress

log = logging.getLogger("k6")

UPDATE_EVERY_S = 5.0
LAST_UPDATE_WITHIN_S = 5.0
"""How long the end of a scenario waits for an answer to the last update."""


@contextmanager
def progress_shown(scenario: str) -> Iterator[Callable[[Progress], None]]:
    """What to call with the progress of `scenario` (letter or name).

    Inside a flow or task run the artifact `load-<scenario name>` is updated every few seconds, beside the load: a
    Prefect API that is slow or fails costs the artifact, never the load. Outside there are the log's lines only.
    """
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        yield log_progress
        return
    artifact = _Artifact(scenario_name(scenario))

    def show(progress: Progress) -> None:
        log_progress(progress)
        artifact.newest = progress

    try:
        yield show
    finally:
        artifact.end()


class _Artifact:
    """Keeps one progress artifact at the newest progress, on a thread of its own until `end`."""

    def __init__(self, name: str) -> None:
        self.newest: Progress | None = None
        self._key = f"load-{name}"
        self._ended = threading.Event()
        run_in_this_context = copy_context().run
        self._thread = threading.Thread(target=run_in_this_context, args=(self._keep,), name=self._key, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The artifact says 100 % when this returns, or the Prefect API is too slow."""
        self._ended.set()
        self._thread.join(LAST_UPDATE_WITHIN_S)

    def _keep(self) -> None:
        try:
            made = create_progress_artifact(0.0, key=self._key, description=f"{self._key}: k6 starts")
            artifact_id = cast(UUID, made)  # Prefect's type leaves open whether there is an event loop; here is none
            while not self._ended.wait(UPDATE_EVERY_S):
                if self.newest is not None:
                    self._update(artifact_id, done_percent(self.newest))
            self._update(artifact_id, 100.0)
        except Exception as error:  # noqa: BLE001 - whatever the Prefect API fails with, the load goes on
            log.warning("%s: no progress in Prefect: %s", self._key, error)

    def _update(self, artifact_id: UUID, percent: float) -> None:
        description = str(self.newest) if self.newest is not None else None
        update_progress_artifact(artifact_id, percent, description=description)


def done_percent(progress: Progress) -> float:
    """Time gone by of all the time that the scenario may take, 0 to 100."""
    whole_s = progress.elapsed_s + progress.left_s
    return 100.0 * progress.elapsed_s / whole_s if whole_s > 0 else 0.0
