"""May two runs be compared? Only when all that shapes their figures is the same; else what differs is named."""

from __future__ import annotations

import hashlib
import os
import platform
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from core.settings import ROOT
from report.model import RunKey
from targets.load import Load

FIELDS = tuple(RunKey.model_fields)
_GIB = 2**30


def differences(first: RunKey, second: RunKey, across: Collection[str] = ()) -> tuple[str, ...]:
    """What differs, one sentence a field, programs of `versions` by name; fields in `across` may differ."""
    return tuple(
        sentence
        for field in FIELDS
        if field not in across
        for sentence in _differences(field, getattr(first, field), getattr(second, field))
    )


def digest(text: str | bytes) -> str:
    """The first 12 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:12]


def digest_of_load(load: Load) -> str:
    """Of its numbers; its description may change."""
    return digest(load.model_dump_json(exclude={"description"}))


def digest_of_files(files: Iterable[Path], folder: Path) -> str:
    """One digest of names below `folder` and contents, whatever order the files come in."""
    parts = sorted((file.relative_to(folder).as_posix(), digest(file.read_bytes())) for file in files)
    return digest("\n".join(f"{name} {content}" for name, content in parts))


def suite_version() -> str:
    """The version in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def machine_class(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """What a figure depends on: architecture, processor, number of processors, memory in whole GiB."""
    memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB)
    return f"{platform.machine()}, {_processor(cpu_info)}, {os.cpu_count()} processors, {memory} GiB"


def _processor(cpu_info: Path) -> str:
    """The model's name; the kernel's own word where there is no such list."""
    if cpu_info.exists():
        names = (line.partition(":") for line in cpu_info.read_text(encoding="utf-8").splitlines())
        return next((name.strip() for field, _, name in names if field.strip() == "model name"), platform.machine())
    return platform.processor() or platform.machine()


def _differences(field: str, first: object, second: object) -> Iterator[str]:
    if first == second:
        return
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        yield f"{field.replace('_', ' ')}: {first} and {second}"
        return
    for name in sorted({*first, *second}):
        if first.get(name) != second.get(name):
            yield f"version of {name}: {first.get(name, 'none')} and {second.get(name, 'none')}"
