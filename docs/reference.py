"""Pages drawn from the code: checks, settings, loads, glossary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import orjson
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.checks import CHECKS, VERIFICATION_PLAN, CheckSpec
from core.ports import DEFAULT_PORTS
from core.request import Request
from core.settings import ROOT, Settings
from core.words import EXIT_CODES, EXIT_SIGINT, EXIT_SIGTERM, Verdict
from docs.markdown import code, table
from targets.load import Load, load_load
from targets.model import FOLDER as TARGETS
from targets.model import Profile

FOLDER = Path(__file__).parent


def glossary_page() -> str:
    """docs/glossary.md, from words.yaml, the verdicts' exit codes and the registry of checks."""
    document = yaml.safe_load((FOLDER / "words.yaml").read_text(encoding="utf-8"))
    words = ((f"**{word}**", meaning) for word, meaning in document["words"].items())
    verdicts = ((code(name), text, str(EXIT_CODES[Verdict(name)])) for name, text in document["verdicts"].items())
    checks = ((_anchor(spec.id), str(spec.phase or "run"), spec.claim) for spec in CHECKS.values())
    return (
        "# Glossary\n\nEach word has one meaning, the same in code, command line, dashboards and report.\n\n"
        + table(("word", "meaning"), words)
        + "\n## Verdicts and exit codes\n\n"
        "A run's verdict is the first of these that one of its checks has; nothing but SKIPPED is NO_DATA.\n\n"
        + table(("verdict", "meaning", "exit code of the run"), verdicts)
        + f"\nA run that is interrupted ends with {EXIT_SIGINT} (Ctrl-C) or {EXIT_SIGTERM} (terminated). "
        "A run that could not start (set-up, configuration, target refused) ends with 2.\n\n## Checks\n\n"
        + table(("id", "phase", "claim"), checks)
    )


def checks_page() -> str:
    """docs/checks.md, with one anchor a check."""
    return (
        "# Checks\n\nThe ids are fixed, because nights are compared. A verification that is FAIL, ERROR or NO_DATA "
        'blocks the checks that need it: they are NO_DATA, "blocked by <id>". A missed objective blocks nothing.\n\n'
        f"The rows of the design's Verification Plan: {', '.join(_anchor(id) for id in VERIFICATION_PLAN)}.\n\n"
        + _check_table(CHECKS.values())
        + "".join(_check_section(spec) for spec in CHECKS.values())
    )


def settings_page() -> str:
    """docs/settings.md."""
    ports = ((service.value, str(port)) for service, port in DEFAULT_PORTS.items())
    return (
        "# Settings\n\nEvery setting has a default; none is needed.\n\n## Environment\n\n"
        + table(("variable", "value", "default", "what it is"), _field_rows(Settings, "SUITE_{}"))
        + "\n## Parameters of a run\n\nThe same on the command line (`python -m flows.full_suite --help`), in the flow "
        "and in Prefect's form.\n\n"
        + table(("parameter", "value", "default", "what it is"), _field_rows(Request, "--{}", upper=False))
        + "\n## Ports\n\nAll on 127.0.0.1. `--ports free` takes others.\n\n"
        + table(("service", "port"), ports)
    )


def loads_page() -> str:
    """docs/loads.md: every committed load, side by side."""
    loads = [load_load(file.stem) for file in sorted((TARGETS / "loads").glob("*.yaml"))]
    about = "".join(f"- **{load.name}**: {load.description}\n" for load in loads)
    rows = [(code(key), *(_number(load, key) for load in loads)) for key in _load_keys(loads[0])]
    return (
        "# Loads\n\nHow hard each scenario and the Kafka bot press. A file of your own with the same keys is given as "
        "`--load FILE`.\n\n" + about + "\n" + table(("key", *(load.name for load in loads)), rows)
    )


def _check_table(specs: Iterable[CheckSpec]) -> str:
    head = ("id", "phase", "kind", "claim", "blocked by")
    return table(head, ((_anchor(spec.id), *_check_cells(spec)) for spec in specs))


def _check_cells(spec: CheckSpec) -> tuple[str, str, str, str]:
    return str(spec.phase or "run"), str(spec.kind), spec.claim, ", ".join(_anchor(need) for need in spec.needs)


def _check_section(spec: CheckSpec) -> str:
    phase, kind, claim, needs = _check_cells(spec)
    blocks = ", ".join(_anchor(other.id) for other in CHECKS.values() if spec.id in other.needs)
    return (
        f"\n## {spec.id}\n\n{claim[0].upper()}{claim[1:]}.\n\n"
        f"- phase: {phase}; kind: {kind}\n- blocked by: {needs or 'nothing'}\n- blocks: {blocks or 'nothing'}\n"
    )


def _anchor(id: str) -> str:
    return f"[{id}](checks.md#{id})"


def _field_rows(model: type[BaseModel], pattern: str, *, upper: bool = True) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        shown = name.upper() if upper else name.replace("_", "-")
        yield code(pattern.format(shown)), _type(field), _default(field), field.description or ""


def _type(field: FieldInfo) -> str:
    """The type as a person writes it: the choices of a Literal or an enumeration, else its name."""
    return ", ".join(dict.fromkeys(_choices(field.annotation)))


def _choices(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield from annotation.__members__.values()
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif parts := [part for part in get_args(annotation) if part not in (type(None), ...)]:
        yield from (choice for part in parts for choice in _choices(part))
    else:
        yield annotation.__name__


def _default(field: FieldInfo) -> str:
    """The default as a person writes it, without a place on this machine."""
    value = field.default
    if field.default_factory is not None:
        return code("$XDG_CACHE_HOME/perf-suite") + " or " + code("~/.cache/perf-suite")
    if isinstance(value, Path):
        return code(f"{value.relative_to(ROOT)}/") + " in the checkout"
    return "" if value in (None, ()) else code(str(value).lower() if isinstance(value, bool) else str(value))


def _load_keys(load: Load) -> Iterator[str]:
    for part, value in load:
        if isinstance(value, BaseModel):
            yield from (f"{part}.{name}" for name in type(value).model_fields)
    yield "bot"


def _number(load: Load, key: str) -> str:
    if key == "bot":
        return ", then ".join(map(str, load.bot))
    value: Any = load
    for part in key.split("."):
        value = getattr(value, part)
    return f"{value:g}"


def target_schema() -> str:
    """The JSON Schema of a target profile, for editors; keys sorted."""
    document = Profile.model_json_schema()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"
