"""`docker-compose` on PATH for tests: the system's own, or the one that the workshop builds from its Go module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.docker import compose
from infra.embedded.programs import ProgramId, ensure


@contextmanager
def compose_on_path(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the built program on PATH, unless `docker compose` answers already."""
    built = ensure([ProgramId.DOCKER_COMPOSE])[ProgramId.DOCKER_COMPOSE].path
    (folder / "docker-compose").symlink_to(built)
    patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    compose.program.cache_clear()
    yield
    compose.program.cache_clear()
