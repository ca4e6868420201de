"""A run in which nothing has happened and nothing can be started; shared by tests of flows and the bench."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from core.request import Request
from core.rundir import RunDirectory
from targets.load import load_load
from targets.model import load_profile
from tasks.run import Run

RUN_ID = "20261122T020000Z-portal-smoke-abcd"


def made_up_run(folder: Path, request: Request | None = None) -> Run:
    """Of the reference portal with the smoke load; its run directory is in `folder`."""
    backend = SimpleNamespace(name="embedded", collect_logs=lambda _: None, keep=lambda: None)
    directory = RunDirectory.create(folder, RUN_ID)
    return Run(request or Request(), load_profile("portal"), load_load("smoke"), directory, cast(Any, backend), {})
