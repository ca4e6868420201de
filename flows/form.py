"""The flow's parameters as Prefect's form shows them: default, description and choices, all from `core.request`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run
from pydantic import Field

from core.request import Request
from core.rundir import utc_now


def asked(name: str, *, names: Iterable[str] = (), files: bool = False, each: Iterable[str] = ()) -> Any:
    """A parameter's default, as Prefect wants it, with what its form offers beside the type.

    `names` to pick from, `files` where one may be given instead, `each` for the items of a list. Prefect 3.8 shows a
    description only when it stands in the default: that of an `Annotated` type is lost.
    """
    field = Request.model_fields[name]
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    offered = [*_names(names), *([{"title": "a file", "type": "string"}] if files else [])]
    if offered and default is None:
        offered.insert(0, {"title": "default", "type": "null"})
    schema: dict[str, Any] = {"anyOf": offered} if offered else {}
    if each:
        schema["items"] = {"type": "string", "enum": sorted(each)}
    return Field(default=default, description=field.description, json_schema_extra=schema)


def run_name() -> str:
    """`smoke · portal · 2026-11-22 02:00`, in this machine's time zone; the time is the one that was scheduled."""
    return name_of(flow_run.get_parameters(), flow_run.get_scheduled_start_time() or utc_now())


def name_of(parameters: Mapping[str, Any], at: datetime) -> str:
    """A run's name; of a load or target that is a file, the file's name."""
    load, target = (Path(str(parameters[name])).stem for name in ("load", "target"))
    return f"{load} · {target} · {at.astimezone():%Y-%m-%d %H:%M}"


def _names(names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"title": "by name", "type": "string", "enum": list(names)}] if names else []
