"""Imports point one way: flows -> tasks -> {infra, k6, dashboards, bots, report} -> targets -> core.

The rules are functions over a module's syntax tree, and each is also shown to catch what it is there for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {
    "core": 0,
    "targets": 1,
    "infra": 2,
    "k6": 2,
    "dashboards": 2,
    "bots": 2,
    "report": 2,
    "tasks": 3,
    "flows": 4,
}
"""Package -> level: a package imports itself and lower levels, so siblings never import each other."""
READS_ENVIRONMENT = "core/settings.py"
OWN_SETTINGS = {READS_ENVIRONMENT, "infra/portal/settings.py"}
STARTS_K6 = "k6/runner.py"
STARTERS = ("subprocess", "asyncio.subprocess", "multiprocessing", "pty")
ANY_SYSTEM = ("infra/docker", "infra/external")
"""Backends that also run where there is no Linux."""


@dataclass(frozen=True)
class Module:
    """A Python file of the suite: its path below the checkout, and its syntax tree."""

    path: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    def lies_in(self, *folders: str) -> bool:
        return any(self.path.startswith((f"{folder}/", f"{folder}.py")) for folder in folders)


def module(path: str, source: str) -> Module:
    return Module(path, ast.parse(source))


@cache
def modules() -> tuple[Module, ...]:
    files = [file for package in LEVELS for file in sorted((ROOT / package).rglob("*.py"))]
    return tuple(module(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files)


def imported(module: Module) -> Iterator[str]:
    """Dotted names of everything that the module imports, at its top or inside a function."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func).endswith("import_module"):
            yield from (text for each in node.args[:1] for text in _texts(each))


def _base(module: Module, node: ast.ImportFrom) -> str:
    parents = PurePosixPath(module.path).parent.parts
    above = parents[: len(parents) - node.level + 1] if node.level else ()
    return ".".join([*above, *([node.module] if node.module else [])])


def _name(node: ast.expr) -> str:
    """`a.b.c` of a chain of attributes, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return ""


def _texts(node: ast.AST) -> list[str]:
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def upward_or_sideways(module: Module) -> list[str]:
    """Packages of ours that the module may not import."""
    level = LEVELS[module.package]
    packages = {name.split(".")[0] for name in imported(module)} - {module.package}
    return sorted(package for package in packages if LEVELS.get(package, -1) >= level)


def prefect_outside(module: Module) -> list[str]:
    if module.package in ("flows", "tasks"):
        return []
    return sorted({name for name in imported(module) if name.split(".")[0].startswith("prefect")})


def suite_in_portal(module: Module) -> list[str]:
    """What the reference portal imports of the suite: it is reached over the network only."""
    if not module.lies_in("infra/portal"):
        return []
    ours = (name for name in imported(module) if name.split(".")[0] in LEVELS)
    return sorted({name for name in ours if not f"{name}.".startswith("infra.portal.")})


def environment_reads(module: Module) -> list[str]:
    if module.path == READS_ENVIRONMENT:
        return []
    direct = {"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"}
    used = {_name(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    return sorted(direct & (used | set(imported(module))))


def settings_classes(module: Module) -> list[str]:
    if module.path in OWN_SETTINGS:
        return []
    return sorted({name for name in imported(module) if name.startswith("pydantic_settings")})


def k6_starts(module: Module) -> list[str]:
    """Any way to start a process inside k6/, and argument lists that run k6 outside of it."""
    if module.path == STARTS_K6:
        return []
    if module.package == "k6":
        return sorted(name for name in imported(module) if name.startswith(STARTERS))
    lists = (node for node in ast.walk(module.tree) if isinstance(node, ast.List | ast.Tuple))
    return [ast.unparse(each) for each in lists if "run" in _texts(each) and "k6" in ast.unparse(each)]


def linux_only(module: Module) -> list[str]:
    """What would keep the docker and external backends from running on another system."""
    if not module.lies_in(*ANY_SYSTEM):
        return []
    names = {
        name for name in imported(module) if re.match(r"infra\.embedded\b|(ctypes|fcntl|pwd|grp|resource)\b", name)
    }
    return sorted(names | {text for text in _texts(module.tree) if text.startswith(("/proc/", "/sys/fs/"))})


RULES: dict[str, Callable[[Module], list[str]]] = {
    "imports point one way": upward_or_sideways,
    "prefect only in flows and tasks": prefect_outside,
    "the portal imports nothing of the suite": suite_in_portal,
    "the environment is read in core/settings.py only": environment_reads,
    "settings classes stand in core/settings.py and infra/portal/settings.py": settings_classes,
    "k6 is started in k6/runner.py only": k6_starts,
    "docker and external need no Linux": linux_only,
}


class TestEveryModule:
    @pytest.mark.parametrize("rule", RULES)
    def test_keeps_the_rule(self, rule: str) -> None:
        broken = {each.path: found for each in modules() if (found := RULES[rule](each))}
        assert broken == {}

    def test_belongs_to_a_package_of_the_house(self) -> None:
        apart = {".venv", ".git", "tests", "docs", "runs"}
        folders = {file.relative_to(ROOT).parts[0] for file in ROOT.glob("*/**/*.py")}
        assert {folder for folder in folders - apart if not folder.startswith(".")} <= set(LEVELS)

    def test_is_found_by_this_test(self) -> None:
        assert {"core/settings.py", "targets/model.py"} <= {each.path for each in modules()}


class TestRules:
    """Each rule catches what it is there for, however it is written."""

    @pytest.mark.parametrize(
        ("path", "source", "found"),
        [
            ("core/words.py", "import targets.model", ["targets"]),
            ("targets/load.py", "from report import model", ["report"]),
            ("bots/checks.py", "from report.model import Report", ["report"]),
            ("k6/runner.py", "def f():\n    import infra.stack", ["infra"]),
            ("infra/stack.py", "from tasks import exporters", ["tasks"]),
            ("tasks/load.py", "import importlib\nimportlib.import_module('flows.load')", ["flows"]),
            ("infra/embedded/backend.py", "from .. import stack\nfrom core.ports import ServiceId", []),
            ("flows/load.py", "from tasks import load\nfrom core import words", []),
        ],
    )
    def test_imports_up_or_to_the_side(self, path: str, source: str, found: list[str]) -> None:
        assert upward_or_sideways(module(path, source)) == found

    def test_prefect_in_a_plain_package(self) -> None:
        assert prefect_outside(module("report/build.py", "from prefect import task")) == ["prefect.task"]
        assert prefect_outside(module("tasks/load.py", "from prefect import task")) == []

    @pytest.mark.parametrize(
        ("source", "found"),
        [
            ("from core.words import Verdict", ["core.words.Verdict"]),
            ("from infra.stack import Backend", ["infra.stack.Backend"]),
            ("from ..stack import Backend", ["infra.stack.Backend"]),
            ("from infra.portal.http import envelope\nfrom . import metrics", []),
        ],
    )
    def test_the_suite_in_the_portal(self, source: str, found: list[str]) -> None:
        assert suite_in_portal(module("infra/portal/gateway.py", source)) == found

    @pytest.mark.parametrize(
        ("source", "found"),
        [
            ("import os\nprint(os.environ['HOME'])", ["os.environ"]),
            ("import os\nx = os.getenv('HOME')", ["os.getenv"]),
            ("from os import environ", ["os.environ"]),
            ("import os\nos.replace('a', 'b')", []),
        ],
    )
    def test_a_read_of_the_environment(self, source: str, found: list[str]) -> None:
        assert environment_reads(module("bots/runner.py", source)) == found
        assert environment_reads(module(READS_ENVIRONMENT, source)) == []

    def test_a_settings_class_of_its_own(self) -> None:
        source = "from pydantic_settings import BaseSettings"
        assert settings_classes(module("report/build.py", source)) == ["pydantic_settings.BaseSettings"]

    @pytest.mark.parametrize(
        ("path", "source"),
        [
            ("tasks/load.py", "subprocess.run(['k6', 'run', 'a.js'])"),
            ("tasks/load.py", "subprocess.run([programs.k6, 'run', '--out', 'x'])"),
            ("k6/plan.py", "import subprocess"),
            ("k6/plan.py", "from asyncio import subprocess"),
        ],
    )
    def test_a_start_of_k6(self, path: str, source: str) -> None:
        assert k6_starts(module(path, source))
        assert k6_starts(module(STARTS_K6, source)) == []

    def test_what_only_linux_has(self) -> None:
        source = "import ctypes\nfrom infra.embedded import backend\nPath('/proc/self/stat')"
        assert linux_only(module("infra/docker/backend.py", source)) == [
            "/proc/self/stat",
            "ctypes",
            "infra.embedded.backend",
        ]
        assert linux_only(module("infra/external.py", "import fcntl")) == ["fcntl"]
        assert linux_only(module("infra/embedded/process.py", source)) == []


class TestK6Scripts:
    IMPORT = re.compile(r"""^\s*(?:import|export)\b[^;'"]*?from\s+['"]([^'"]+)['"]|\brequire\(\s*['"]([^'"]+)""", re.M)

    def imports(self) -> list[tuple[Path, str]]:
        scripts = sorted((ROOT / "k6").rglob("*.js"))
        return [
            (script, match[1] or match[2])
            for script in scripts
            for match in self.IMPORT.finditer(script.read_text(encoding="utf-8"))
        ]

    def test_import_only_k6_and_files_beside_them(self) -> None:
        remote = [(str(file), name) for file, name in self.imports() if not re.match(r"k6(/|$)|\.\.?/", name)]
        assert remote == []

    def test_import_files_that_exist(self) -> None:
        missing = [
            (str(script.relative_to(ROOT)), name)
            for script, name in self.imports()
            if name.startswith(".") and not (script.parent / name).is_file()
        ]
        assert missing == []
