"""The suite's settings: the only module that reads the environment (style.md 5)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
NAME = "perf-suite"
"""Used for the cache directory, the control groups and the Prometheus `id` prefix."""


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


class Settings(BaseSettings):
    """Folders of the suite, each settable as SUITE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="SUITE_", extra="ignore")

    cache_dir: Path = Field(
        default_factory=lambda: _cache_home() / NAME,
        description="downloads and builds, shared by all checkouts of this user",
    )
    runs_dir: Path = Field(default=ROOT / "runs", description="one run directory a run, and `latest`")
    stack_dir: Path | None = Field(
        default=None,
        description="data, logs and socket of the embedded stack; default: a folder in cache_dir, one a checkout",
    )

    @property
    def state_dir(self) -> Path:
        """Where the embedded stack of this checkout lives: data, logs, socket, process records."""
        if self.stack_dir is not None:
            return self.stack_dir
        checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
        return self.cache_dir / "stack" / checkout

    @property
    def prefect_home(self) -> Path:
        """Prefect's database and settings when the user has not set PREFECT_HOME."""
        return self.cache_dir / "prefect"


def process_environment(**changes: str) -> dict[str, str]:
    """The environment for a program that the suite starts: this process' own, plus `changes`."""
    return {**os.environ, **changes}


def set_process_defaults(defaults: Mapping[str, str]) -> None:
    """Set environment variables that libraries read at import, unless the user has set them."""
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
