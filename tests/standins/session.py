"""One engine with its stand-in images for a whole session of tests; skipped, with the reason, where none can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.compose_program import compose_on_path
from tests.standins.engine import TestEngine, running_engine, why_no_engine
from tests.standins.images import ensure_images


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngine]:
    """A running engine, named by DOCKER_HOST, with every image of compose.platform.yml."""
    if reason := why_no_engine():
        pytest.skip(f"no Docker engine can run here: {reason}")
    folder = tmp_path_factory.mktemp("bin")
    with pytest.MonkeyPatch.context() as patch, running_engine() as engine, compose_on_path(folder, patch):
        patch.setenv("DOCKER_HOST", engine.host)
        with closing(engine.client()) as client:
            ensure_images(client)
        yield engine
