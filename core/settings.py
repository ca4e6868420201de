"""The suite's settings: the only module that reads the environment (style.md 5)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
NAME = "perf-suite"
"""Used for the cache directory, the control groups and the Prometheus `id` prefix."""


_secrets = {"SUITE_GRAFANA_CREDENTIALS"}
"""Variables that only this process needs, those that a profile's passwords were read from among them."""

_YES_OR_NO: Mapping[str, bool | None] = {
    "yes": True,
    "true": True,
    "1": True,
    "no": False,
    "false": False,
    "0": False,
    "": None,
}


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


class Settings(BaseSettings):
    """Folders of the suite and the Grafana that shows its dashboards, each settable as SUITE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="SUITE_", extra="ignore")

    cache_dir: Path = Field(
        default_factory=lambda: _cache_home() / NAME,
        description="downloads and builds, shared by all checkouts of this user",
    )
    runs_dir: Path = Field(default=ROOT / "runs", description="one run directory a run, and `latest`")
    keep_runs: int = Field(default=200, ge=2, description="run directories that are kept; the oldest go first")
    keep_runs_gib: float = Field(default=20, gt=0, description="disk that run directories may take, in GiB")
    stack_dir: Path | None = Field(
        default=None,
        description="data, logs and socket of the embedded stack; default: a folder in cache_dir, one a checkout",
    )
    reports_url: str | None = Field(
        default=None,
        description="where runs_dir is served, for links in Prefect and in messages (`make ui` does); default: files",
    )
    ca_file: Path | None = Field(
        default=None,
        description="CA certificates (PEM) that vouch for the target's https addresses; default: the usual authorities",
    )
    grafana_url: str | None = Field(
        default=None,
        description="a Grafana on this machine, with its base path; default: the target's addresses.grafana, if any",
    )
    grafana_credentials: SecretStr | None = Field(
        default=None, description="a token of a service account, or user:password; never logged, never in a report"
    )
    grafana_prometheus_url: str | None = Field(
        default=None, description="Prometheus as that Grafana reaches it; default: as the run reaches it"
    )
    compose_files: str = Field(
        default="",
        description="compose files of a platform's own project, with the system's separator of PATH between them; "
        "the docker backend then joins that project instead of starting the reference portal",
    )
    compose_services: str = Field(
        default="",
        description="which service of that project is which, where name and image do not say it: mysql=db,redis=cache",
    )
    provision_grafana: bool | None = Field(
        default=None,
        description="yes: write dashboards and annotations to that Grafana; no: only look; "
        "default: yes, but no with the external backend",
    )

    lang: Literal["en", "ko"] = Field(default="en", description="language of report.html and report.md")

    @field_validator("grafana_credentials")
    @classmethod
    def _fit_a_header(cls, credentials: SecretStr | None) -> SecretStr | None:
        """ConfigError, without the value, for what an HTTP header cannot carry."""
        text = credentials.get_secret_value() if credentials else ""
        if not (text.isascii() and text.isprintable()) or text != text.strip():
            raise ConfigError(
                "the credentials hold a line break, an outer blank or a character outside ASCII",
                where="SUITE_GRAFANA_CREDENTIALS",
                cure="Give a token of a service account, or user:password, on one line.",
            )
        return credentials

    @field_validator("provision_grafana", mode="before")
    @classmethod
    def _is_yes_or_no(cls, value: object) -> object:
        if isinstance(value, str) and value.lower() not in _YES_OR_NO:
            raise ConfigError(
                f"'{value}' is neither yes nor no", where="SUITE_PROVISION_GRAFANA", cure="Say yes or no."
            )
        return _YES_OR_NO[value.lower()] if isinstance(value, str) else value

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
    """The environment for a program that the suite starts: this process' own without its secrets, plus `changes`."""
    return {**{name: value for name, value in os.environ.items() if name not in _secrets}, **changes}


def secret_from_environment(name: str) -> str:
    """The variable's value, which from here on no program gets that the suite starts; ValueError when it is not set."""
    _secrets.add(name)
    if not os.environ.get(name):
        raise ValueError(f"the environment variable {name} is not set")
    return os.environ[name]


def set_process_defaults(defaults: Mapping[str, str]) -> None:
    """Set environment variables that libraries read at import, unless the user has set them."""
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
