"""Regressions that somebody knows of, until a day: `acknowledged.yaml` beside the history.

- id: a-shopping-flow/p95_ms     # a figure, or a scenario or service for all of its figures
  until: 2026-12-31              # the last day; from the next one on the regression is announced again
  why: the new price service, being worked on
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import ConfigError
from report.measures import about

FILE = "acknowledged.yaml"


class Acknowledgement(BaseModel):
    """One entry; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    until: date
    why: str = Field(min_length=1)

    def covers(self, figure: str) -> bool:
        return self.id in (figure, about(figure))

    def __str__(self) -> str:
        return f"until {self.until}: {self.why}"


def read_acknowledged(path: Path) -> tuple[Acknowledgement, ...]:
    """The entries of the file, none where there is no file; ConfigError with the entry that is wrong."""
    cure = "Each entry has an id, until (a day such as 2026-12-31) and why."
    try:
        return tuple(TypeAdapter(list[Acknowledgement]).validate_python(yaml.safe_load(path.read_bytes()) or []))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path), cure=cure) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", where=str(path), cure=cure) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"entry {place or 'list'}: {first['msg']}", where=str(path), cure=cure) from error


def in_force(entries: Sequence[Acknowledgement], figure: str, day: date) -> Acknowledgement | None:
    """The entry that covers a figure on this day, the one that lasts longest."""
    covering = [entry for entry in entries if entry.covers(figure) and day <= entry.until]
    return max(covering, key=lambda entry: entry.until, default=None)
