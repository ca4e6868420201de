"""What a run was asked for: the same parameters on the command line, the flow and Prefect's form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.words import Phase

BackendName = Literal["embedded", "docker", "external"]
ScenarioId = Literal["a", "b", "c", "d", "e"]
PortChoice = Literal["default", "free"]
Language = Literal["en", "ko"]


class Request(BaseModel):
    """One run, as asked for."""

    model_config = ConfigDict(frozen=True)

    target: str = Field(default="portal", description="name or file of the target profile")
    backend: BackendName | None = Field(default=None, description="how the stack runs; default: the profile's")
    load: str = Field(default="smoke", description="smoke, design, soak, or a file")
    scenario: tuple[ScenarioId, ...] = Field(default=(), description="scenarios to run; default: all of the target's")
    phase: tuple[Phase, ...] = Field(default=(), description="phases to run; default: all five")
    fault: tuple[str, ...] = Field(
        default=(), description="faults of the reference portal to switch on before the load (docs/faults.md)"
    )
    keep_stack: bool = Field(default=False, description="leave the stack running after the run")
    run_dir: Path | None = Field(default=None, description="where run directories are made; default: runs/")
    ports: PortChoice = Field(default="default", description="the design's ports, or free ones")
    i_mean: str | None = Field(
        default=None, description="the name of a production target, typed for this run: without it none takes load"
    )
    generators: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="k6 processes that share each scenario (docs/scale.md); default: the load's",
    )
    dask: str | None = Field(
        default=None, description="Dask scheduler whose workers run the generators; default: a temporary local one"
    )
    gates: Path | None = Field(default=None, description="gate file (docs/gates.md); default: the target's own")

    lang: Language | None = Field(
        default=None, description="language of report.html and report.md; default: SUITE_LANG, else en"
    )
    resume: Path | None = Field(
        default=None,
        description="directory or id of a run that was cut off: what finished is verified again, the rest is done",
    )

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that were asked for, in the design's order."""
        return tuple(phase for phase in Phase if not self.phase or phase in self.phase)
