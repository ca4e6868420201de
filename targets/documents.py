"""YAML documents read into typed models; an error names file, line, key and what is expected there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from core.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[str | int, ...]


def read_document(path: Path, model: type[Model]) -> Model:
    """The document at `path` as `model`; ConfigError with file and line for everything that is wrong with it."""
    node = _compose(path)
    try:
        return model.model_validate(_plain(path))
    except ValidationError as error:
        problems = [_problem(node, dict(detail)) for detail in error.errors()]
        first = problems[0][0]
        raise ConfigError(
            "; ".join(text for _, text in problems), where=f"{path}:{first}", cure="Correct the key named here."
        ) from error


def find_document(name: str, folder: Path, what: str) -> Path:
    """`name` as a file, or as `<folder>/<name>.yaml`; ConfigError lists the known ones."""
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"unknown {what} '{name}'", cure=f"Known: {', '.join(known)}; or give a YAML file.")
    return folder / f"{name}.yaml"


def _plain(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _compose(path: Path) -> yaml.Node:
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(
            f"not valid YAML: {error.problem}", where=f"{path}:{line}", cure="Correct the syntax on that line."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path), cure="Give a readable UTF-8 file.") from error
    if node is None:
        raise ConfigError("the file is empty", where=str(path), cure="See targets/portal.yaml for an example.")
    return node


def _problem(root: yaml.Node, detail: dict[str, Any]) -> tuple[int, str]:
    """(line, sentence) for one pydantic error."""
    location: Path_ = detail["loc"]
    key = ".".join(str(part) for part in location) or "the document"
    if detail["type"] == "extra_forbidden":
        return _line(root, location), f"unknown key '{key}'"
    if detail["type"] == "missing":
        return _line(root, location), f"missing key '{key}'"
    return _line(
        root, location
    ), f"'{key}': {detail['msg'].removeprefix('Value error, ')} (found {detail['input']!r:.80})"


def _line(root: yaml.Node, location: Path_) -> int:
    """Line of the deepest node on the way to `location` that exists in the file."""
    node, line = root, root.start_mark.line + 1
    for part in location:
        step = _child(node, part)
        if step is None:
            return line
        line, node = step
    return line


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    return None
