"""The journal of a run, `journal.json` in its directory: all that it knows, on the disk before anything else happens.

It is written whole after each check, each error and each part of the load, and before a load begins; so a run that is
killed at any moment can be reported (`report.recover`) or resumed (`tasks.resume`), and no load is put twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.durable import boot_id, write_durably
from core.errors import SetupError
from report.build import RunFacts
from report.catalogue import SeriesSpec, catalogue
from report.model import Moment
from targets.model import load_profile

FILE = "journal.json"


class Journal(BaseModel):
    """The run as it stood when this was written."""

    model_config = ConfigDict(frozen=True)

    written: Moment
    boot: str = Field(default_factory=boot_id, description="of the machine")
    doing: str = Field(description="what the run was at: a phase, with the part of the load that had begun")
    ended: bool = Field(default=False, description="the report is written and the stack taken down")
    facts: RunFacts
    state: Mapping[str, Any] = Field(description="what a resumed run needs besides; only tasks/resume.py reads it")

    @property
    def rebooted(self) -> bool:
        """Whether the machine was started again since."""
        return self.boot != boot_id()


def write_journal(journal: Journal, run_dir: Path) -> None:
    """SetupError when the disk does not take it: then the run must not go on."""
    content = orjson.dumps(journal.model_dump(mode="json", fallback=str))
    try:
        write_durably(run_dir / FILE, content)
    except OSError as error:
        cure = "Free some disk space, then resume the run."
        raise SetupError(f"the journal cannot be written: {error.strerror}", where=str(run_dir), cure=cure) from error


def has_journal(run_dir: Path) -> bool:
    """Whether the run came so far as to begin one."""
    return (run_dir / FILE).is_file()


def read_journal(run_dir: Path) -> Journal:
    """The journal in a run directory; SetupError when there is none, or it is of another version."""
    cure = "Give the directory of a run that this version of the suite has begun."
    path = run_dir / FILE
    try:
        return Journal.model_validate_json(path.read_bytes(), context=_known_series())
    except OSError as error:
        raise SetupError(f"no journal: {error.strerror}", where=str(path), cure=cure) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"the journal is not readable: {place} {first['msg']}", where=str(path), cure=cure) from error


def _known_series() -> Mapping[str, SeriesSpec]:
    """What a gate may speak of; ids and units are the same for every target."""
    return {spec.id: spec for spec in catalogue(load_profile("portal"), "run")}
