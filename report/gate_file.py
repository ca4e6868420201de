"""Gate files: a target's objectives as data, `targets/gates/<target>.yaml`, held against the catalogue before any load.

They lie beside the profiles and the loads, because an objective belongs to a target and a profile is data as well. A
target without a file of its own is judged by the one of its dialect, never by none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Protocol, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from core.errors import ConfigError, SetupError
from core.settings import ROOT
from report.catalogue import catalogue, metric_names
from report.promql import kept_labels
from report.reductions import Reduction
from report.units import units_for
from report.windows import SCENARIO_PARTS, Part, WindowName
from targets.documents import read_document
from targets.model import FOLDER as TARGETS
from targets.model import Data, Profile

FOLDER = TARGETS / "gates"
CATALOGUE = ROOT / "report" / "catalogue.py"
KEPT_AS = "gates.yaml"
"""The file by which a run was judged, in its run directory."""
K6_PREFIX = "k6-"
"""Ids of the rows that k6's own thresholds make."""
_ID = re.compile(r"[a-z][a-z0-9-]*")


class Series(Protocol):
    """What a gate has to know about a series, of the catalogue or of a run."""

    @property
    def id(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def promql(self) -> str: ...


Known = Mapping[str, Series]


class Gate(Data):
    """One objective over a series in a window of the load; every line of the series has to keep it."""

    claim: str = Field(min_length=1, description="the objective in a sentence, with where it comes from")
    series: str = Field(description="id of a series of the catalogue")
    per: tuple[str, ...] = Field(default=(), description="series, added up, of which the first is taken as a share")
    only: Mapping[str, str] = Field(default_factory=dict, description="label -> value: only lines that have it")
    reduction: Reduction
    since_start: bool = Field(default=False, description="judge what was added since the window's first sample")
    comparison: Literal["<", "<=", ">", ">="]
    bound: float = Field(strict=True, allow_inf_nan=False)
    unit: str = Field(description="of the bound: the series' own or one made from it; a slope is per hour, `MiB/h`")
    window: WindowName
    parts: tuple[Part, ...] = Field(default=SCENARIO_PARTS, min_length=1, description="scenarios' letters, or `bot`")
    severity: Literal["fail", "warn"] = Field(description="warn: shown, without a say in the run's verdict")
    absent: Literal["no_data", "skip"] = Field(description="what it means that the target has no such series")

    @field_validator("series")
    @classmethod
    def _is_known(cls, series: str, info: ValidationInfo) -> str:
        _require_known(series, info)
        return series

    @field_validator("per")
    @classmethod
    def _are_known_and_of_one_unit(cls, per: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for id in per:
            _require_known(id, info)
            own = _known(info)[info.data["series"]].unit if "series" in info.data else _known(info)[id].unit
            if _known(info)[id].unit != own:
                raise ValueError(f"'{id}' is in {_known(info)[id].unit}, '{info.data['series']}' in {own}")
        return per

    @field_validator("only")
    @classmethod
    def _are_labels_of_the_series(cls, only: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        kept = kept_labels(_known(info)[info.data["series"]].promql) if "series" in info.data else None
        for label in only:
            if kept is not None and label not in kept:
                has = f"its labels: {', '.join(sorted(kept))}" if kept else "it has one line without labels"
                raise ValueError(f"'{info.data['series']}' has no label '{label}'; {has}")
        return only

    @field_validator("unit")
    @classmethod
    def _fits_the_series(cls, unit: str, info: ValidationInfo) -> str:
        if "series" not in info.data or "reduction" not in info.data:
            return unit
        own = "ratio" if info.data.get("per") else _known(info)[info.data["series"]].unit
        fitting = units_for(own, slope=info.data["reduction"] == "slope")
        if unit not in fitting:
            raise ValueError(f"wrong unit for {info.data['reduction']} of '{info.data['series']}'; {_or(fitting)} fits")
        return unit

    @model_validator(mode="after")
    def _changes_of_one_series_only(self) -> Gate:
        if self.since_start and (self.per or self.reduction == "slope"):
            raise ValueError("since_start goes with a plain series, and a slope has no start")
        return self


class GateDocument(Data):
    """A gate file."""

    description: str
    gates: Mapping[str, Gate] = Field(min_length=1, description="id -> gate; ids stay, because nights are compared")

    @field_validator("gates")
    @classmethod
    def _are_ids(cls, gates: Mapping[str, Gate]) -> Mapping[str, Gate]:
        for id in gates:
            if not _ID.fullmatch(id) or id.startswith(K6_PREFIX):
                raise ValueError(f"'{id}' is no id: lower-case letters, digits and '-', not '{K6_PREFIX}' in front")
        return gates


@dataclass(frozen=True)
class GateFile:
    """Gates by id, in the file's order, and the file's own text."""

    path: Path
    gates: Mapping[str, Gate]
    text: str


def read_gates(path: Path, known: Known) -> GateFile:
    """The gates at `path`; ConfigError with file and line for what is wrong, also with what they say of `known`."""
    document = read_document(path, GateDocument, known)
    return GateFile(path, document.gates, path.read_text(encoding="utf-8"))


def gates_for(profile: Profile, file: Path | None = None) -> GateFile:
    """The gates of a target, from `file` or its own; ConfigError with file and line before anything is started.

    Every query of the catalogue is read as PromQL with the target's labels first.
    """
    specs = catalogue(profile, "run")
    _require_promql(specs, profile)
    return read_gates(file or _file_of(profile), {spec.id: spec for spec in specs})


def keep_gates(gates: GateFile, run_dir: Path) -> None:
    """Keep the file in the run directory, so that the run can be judged again by the same gates."""
    try:
        (run_dir / KEPT_AS).write_text(gates.text, encoding="utf-8")
    except OSError as error:
        cure = "Free some disk space, then run again."
        raise SetupError(f"{KEPT_AS} cannot be written: {error.strerror}", where=str(run_dir), cure=cure) from error


def file_of(name: str, dialect: str = "") -> Path:
    """The committed gate file of a target by its name, else of its dialect; ConfigError where there is neither."""
    for stem in (name, dialect.replace("_", "-")):
        if stem and (FOLDER / f"{stem}.yaml").is_file():
            return FOLDER / f"{stem}.yaml"
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
    raise ConfigError(f"no gates for target '{name}'", cure=f"Give --gates FILE. There are gates for: {known}.")


def defined_at(id: str) -> str:
    """`report/catalogue.py:<line>` of the series' definition, without a line where its id is not written out there."""
    for node in ast.walk(ast.parse(CATALOGUE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "SeriesSpec" and _may_be(node.args[0], id):
            return f"{CATALOGUE.relative_to(ROOT)}:{node.lineno}"
    return str(CATALOGUE.relative_to(ROOT))


def _file_of(profile: Profile) -> Path:
    return file_of(profile.name, profile.dialect)


def _require_promql(specs: Sequence[Series], profile: Profile) -> None:
    for spec in specs:
        try:
            metric_names(spec.promql)
        except ValueError as error:
            raise ConfigError(
                f"series '{spec.id}' is not PromQL: {str(error).splitlines()[0]} in {spec.promql}",
                where=defined_at(spec.id),
                cure=f"Correct it there, or what `metrics` in the profile of '{profile.name}' puts into it.",
            ) from error


def _may_be(text: ast.expr, id: str) -> bool:
    """True where a literal, with anything in the braces of an f-string, is `id`."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    pattern = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
    return re.fullmatch("".join(pattern), id) is not None


def _known(info: ValidationInfo) -> Known:
    return cast(Known, info.context)


def _require_known(id: str, info: ValidationInfo) -> None:
    if id not in _known(info):
        near = get_close_matches(id, _known(info), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(_known(info)))}"
        raise ValueError(f"no such series in the catalogue; {hint}")


def _or(words: Mapping[str, float]) -> str:
    return " or ".join(f"'{word}'" for word in words)
