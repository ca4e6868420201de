"""The house is clean: no package index, no developer's machine, locked requirements, a purpose in every module."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".git", ".venv", "runs", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "node_modules"}
PACKAGES = ("core", "targets", "infra", "k6", "dashboards", "bots", "report", "tasks", "flows", "docs")
INDEX_HOSTS = [
    ("pypi", "org"),
    ("files.pythonhosted", "org"),
    ("proxy.golang", "org"),
    ("sum.golang", "org"),
    ("goproxy", "io"),
    ("repo1.maven", "org"),
    ("repo.maven.apache", "org"),
    ("deb.debian", "org"),
    ("security.debian", "org"),
    ("registry.npmjs", "org"),
]
"""In two parts each, so that this file names none of them either."""
INDEX = re.compile("|".join(re.escape(f"{name}.{top}") for name, top in INDEX_HOSTS))
OWN_MACHINE = re.compile(r"(?<![\w.$}])(?:/home[/]\w|/Users[/]\w|/root[/]\w|/work[/](?:main|shared)|[A-Z]:\\Users\\)")
INDEX_OPTION = re.compile(r"^\s*(?:-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", re.M)
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.M)


def files() -> Iterator[Path]:
    """Every text file of the checkout that is ours."""
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT).parts
        if path.is_file() and not NOT_OURS & set(inside) and path.suffix not in (".png", ".parquet"):
            yield path


def finds(pattern: re.Pattern[str]) -> list[str]:
    """`file:line: text` of everything that matches."""
    found = []
    for path in files():
        text = path.read_text(encoding="utf-8", errors="replace")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {match[0].strip()}")
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class TestFiles:
    def test_name_no_package_index(self) -> None:
        assert finds(INDEX) == []

    def test_name_no_place_on_a_developers_machine(self) -> None:
        assert finds(OWN_MACHINE) == []

    def test_hold_no_lock_file_with_download_addresses(self) -> None:
        with_addresses = {"uv.lock", "poetry.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
        assert [str(path) for path in files() if path.name in with_addresses] == []

    def test_name_no_repository_in_a_maven_recipe(self) -> None:
        recipes = [path for path in files() if path.name == "pom.xml"]
        assert [str(path) for path in recipes if re.search("<repositor|<pluginRepositor|<url>", path.read_text())] == []

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            (INDEX, "https://" + ".".join(INDEX_HOSTS[0]) + "/simple"),
            (OWN_MACHINE, "cache = '" + "/home" + "/somebody/.cache'"),
            (OWN_MACHINE, "see " + "/Users" + "/somebody"),
            (INDEX_OPTION, "--index-" + "url https://example.test/simple"),
        ],
    )
    def test_would_be_found_by_these_patterns(self, pattern: re.Pattern[str], text: str) -> None:
        assert pattern.search(text)


class TestRequirements:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    def test_name_no_index(self) -> None:
        for file in ROOT.glob("requirements*"):
            assert not INDEX_OPTION.search(file.read_text(encoding="utf-8")), file.name

    def test_are_locked_with_a_version_and_hashes_each(self) -> None:
        blocks = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^#.*\n", "", self.lock, flags=re.M))
        without = [block.split("\n")[0] for block in blocks if block.strip() and "--hash=sha256:" not in block]
        assert without == []
        assert len(REQUIREMENT.findall(self.lock)) == len([block for block in blocks if block.strip()])

    def test_that_we_name_are_all_in_the_lock(self) -> None:
        locked = {normal(match["name"]): match["version"] for match in REQUIREMENT.finditer(self.lock)}
        wanted = (ROOT / "requirements.in").read_text(encoding="utf-8") + (ROOT / "requirements-dev.in").read_text()
        lines = [line.split("#")[0].strip() for line in wanted.splitlines()]
        names = [re.split(r"[<>=!~\[; ]", line)[0] for line in lines if line and not line.startswith("-")]
        assert [name for name in names if normal(name) not in locked] == []

    def test_pinned_by_us_have_the_locked_version(self) -> None:
        locked = {normal(match["name"]): match["version"] for match in REQUIREMENT.finditer(self.lock)}
        pins = REQUIREMENT.finditer((ROOT / "requirements.in").read_text(encoding="utf-8"))
        assert [pin["name"] for pin in pins if locked[normal(pin["name"])] != pin["version"]] == []


class TestPortalsRequirements:
    """The portal's image has a lock of its own, cut out of the suite's."""

    lock = (ROOT / "infra" / "portal" / "requirements.txt").read_text(encoding="utf-8")

    def test_are_the_versions_of_the_suites_lock(self) -> None:
        suite = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        locked = {normal(match["name"]): match["version"] for match in REQUIREMENT.finditer(suite)}
        portal = {normal(match["name"]): match["version"] for match in REQUIREMENT.finditer(self.lock)}
        assert portal
        assert portal == {name: locked[name] for name in portal}

    def test_hold_everything_that_the_portal_imports(self) -> None:
        """Distributions whose import name differs are named here."""
        other = {"jwt": "pyjwt", "yarl": "yarl"}
        portal = {normal(match["name"]) for match in REQUIREMENT.finditer(self.lock)}
        imported = {
            name.split(".")[0]
            for file in (ROOT / "infra" / "portal").glob("*.py")
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for name in _imported(node)
        }
        third = imported - set(sys.stdlib_module_names) - {"infra"}
        assert {normal(other.get(name, name)) for name in third} <= portal


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


class TestModules:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_say_their_purpose(self, package: str) -> None:
        sources = sorted((ROOT / package).rglob("*.py"))
        silent = [str(file.relative_to(ROOT)) for file in sources if not ast.get_docstring(ast.parse(file.read_text()))]
        assert silent == []

    @pytest.mark.parametrize("package", PACKAGES)
    def test_lie_in_a_package_that_says_its_purpose(self, package: str) -> None:
        opening = ROOT / package / "__init__.py"
        assert opening.is_file()
        assert ast.get_docstring(ast.parse(opening.read_text(encoding="utf-8")))
