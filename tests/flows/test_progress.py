"""k6's progress inside Prefect: an artifact a scenario, and never a reason to end the load."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact

from core.waiting import wait_for
from k6.model import Progress
from tasks import progress as progress_module
from tasks.progress import progress_shown
from tasks.step import step

HALF_WAY = Progress(
    scenario="a-shopping-flow", elapsed_s=10, left_s=10, vus=4, requests=120, rate_per_s=12, failed_ratio=0.0
)
HALF_WAY_LINE = "a-shopping-flow: 10 s, 10 s left, 4 VUs, 120 requests, 12/s, 0.0% failed"


def artifacts(key: str) -> list[Artifact]:
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))


def in_a_task(action: Callable[[], None]) -> None:
    """`action` inside a task of a flow, as the load phase runs it."""

    @step
    def put_on_target() -> None:
        action()

    @flow
    def load() -> None:
        put_on_target()

    load()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "UPDATE_EVERY_S", 0.05)


class TestProgressArtifact:
    @pytest.mark.usefixtures("often")
    def test_follows_the_load_and_ends_at_100_percent(self) -> None:
        seen: list[tuple[object, str | None]] = []

        def load() -> None:
            with progress_shown("a") as show:
                show(HALF_WAY)
                found = wait_for(
                    lambda: artifacts("load-a-shopping-flow"), lambda rows: bool(rows) and rows[0].data == 50.0, 10, 0.1
                )
                seen.extend((row.data, row.description) for row in found)

        in_a_task(load)
        assert seen == [(50.0, HALF_WAY_LINE)]
        ended = artifacts("load-a-shopping-flow")
        assert [(row.type, row.data) for row in ended] == [("progress", 100.0)]
        assert ended[0].task_run_id is not None  # it stands beside the scenario's own task in the UI

    def test_is_not_asked_for_outside_of_a_run(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="k6"), progress_shown("e-cache-thundering") as show:
            show(HALF_WAY)
        assert caplog.messages == [HALF_WAY_LINE]
        assert artifacts("load-e-cache-thundering") == []

    @pytest.mark.usefixtures("often")
    def test_a_failing_api_is_said_once_and_the_load_goes_on(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise ConnectionError("connection refused")

        monkeypatch.setattr(progress_module, "update_progress_artifact", refuse)
        shown: list[Progress] = []

        def load() -> None:
            with progress_shown("b") as show:
                for _ in range(5):
                    show(HALF_WAY)
                    shown.append(HALF_WAY)

        with caplog.at_level(logging.WARNING, logger="k6"):
            in_a_task(load)
        assert len(shown) == 5
        said = [
            record.message for record in caplog.records if record.name == "k6" and record.levelno == logging.WARNING
        ]
        assert said == ["load-b-blog-read: no progress in Prefect: connection refused"]

    def test_an_api_that_hangs_holds_up_neither_progress_nor_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()

        def hang(*_: object, **__: object) -> None:
            released.wait(30)
            raise ConnectionError("released")

        monkeypatch.setattr(progress_module, "create_progress_artifact", hang)
        monkeypatch.setattr(progress_module, "LAST_UPDATE_WITHIN_S", 0.2)
        took: list[float] = []

        def load() -> None:
            began = time.monotonic()
            with progress_shown("d") as show:
                show(HALF_WAY)
            took.append(time.monotonic() - began)

        try:
            in_a_task(load)
        finally:
            released.set()
        assert 0.2 <= took[0] < 2.0
