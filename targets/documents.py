"""YAML documents read into typed models; an error names file, line, key and what is expected there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from core.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[str | int, ...]


def read_document(path: Path, model: type[Model], context: Any = None) -> Model:
    """The document at `path` as `model`; ConfigError with file and line for everything that is wrong with it.

    `context` is what the model's own validators compare it with.
    """
    node, content = _parse(path)
    try:
        return model.model_validate(content, context=context)
    except ValidationError as error:
        problems = [_problem(node, dict(detail)) for detail in error.errors()]
        first = problems[0][0]
        raise ConfigError(
            "; ".join(text for _, text in problems), where=f"{path}:{first}", cure="Correct the key named here."
        ) from error


def known_documents(folder: Path) -> list[str]:
    """Names of the documents in `folder`, sorted."""
    return sorted(file.stem for file in folder.glob("*.yaml"))


def find_document(name: str, folder: Path, what: str) -> Path:
    """`name` as a file, or as `<folder>/<name>.yaml`; ConfigError lists the known ones."""
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    known = known_documents(folder)
    if name not in known:
        raise ConfigError(f"unknown {what} '{name}'", cure=f"Known: {', '.join(known)}; or give a YAML file.")
    return folder / f"{name}.yaml"


def _parse(path: Path) -> tuple[yaml.Node, Any]:
    """The document with line numbers, and as plain values."""
    try:
        text = path.read_text(encoding="utf-8")
        node, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(
            f"not valid YAML: {error.problem}", where=f"{path}:{line}", cure="Correct the syntax on that line."
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"cannot be read: {reason}", where=str(path), cure="Give a YAML file in UTF-8.") from error
    if node is None:
        raise ConfigError("the file is empty", where=str(path), cure="See targets/portal.yaml for an example.")
    _refuse_key_given_twice(path, node)
    return node, content


def _refuse_key_given_twice(path: Path, root: yaml.Node) -> None:
    """YAML would let the last one win in silence."""
    for mapping in _mappings(root):
        seen: set[str] = set()
        for key, _ in mapping.value:
            if key.value in seen:
                where = f"{path}:{key.start_mark.line + 1}"
                raise ConfigError(f"key '{key.value}' is given twice", where=where, cure="Keep one of them.")
            seen.add(key.value)


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Every mapping of the document once, also where an alias makes it hold itself."""
    ahead, known = [root], set[int]()
    while ahead:
        node = ahead.pop()
        if id(node) not in known and isinstance(node, yaml.MappingNode):
            yield node
            ahead += [value for _, value in node.value]
        elif id(node) not in known and isinstance(node, yaml.SequenceNode):
            ahead += node.value
        known.add(id(node))


def _problem(root: yaml.Node, detail: dict[str, Any]) -> tuple[int, str]:
    """(line, sentence) for one pydantic error."""
    location: Path_ = detail["loc"]
    key = ".".join(str(part) for part in location) or "the document"
    if detail["type"] == "extra_forbidden":
        return _line(root, location), f"unknown key '{key}'"
    if detail["type"] == "missing":
        return _line(root, location), f"missing key '{key}'"
    hidden = key.endswith(("password", "key")) or isinstance(detail["input"], dict)
    found = "" if hidden else f" (found {detail['input']!r:.80})"
    return _line(root, location), f"'{key}': {detail['msg'].removeprefix('Value error, ')}{found}"


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
