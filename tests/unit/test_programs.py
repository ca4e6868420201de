"""Where programs come from, and what a person is told when one cannot be had."""

from __future__ import annotations

import fcntl
import re
import shutil
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from core.errors import SetupError
from infra.embedded import programs, tools
from infra.embedded.debian import debian_unit
from infra.embedded.golang import MODULES, go_unit
from infra.embedded.maven import POMS, maven_unit
from infra.embedded.programs import (
    PROGRAMS,
    GoSource,
    Installed,
    MavenSource,
    ProgramId,
    ensure,
    versions,
)
from infra.embedded.workshop import Unit, Workshop, stamp_of

PYTHON = (sys.executable, "-c")


def unit(make, lane="download", name="thing", stamp="1"):
    return Unit(name, stamp, lane, make, lambda: None)


def write_file(folder: Path, workshop: Workshop) -> None:
    (folder / "file").write_text("complete")


def fail(folder: Path, workshop: Workshop) -> None:
    (folder / "file").write_text("half")
    raise SetupError("the download broke off")


class TestTable:
    def test_has_a_row_for_every_program(self):
        assert set(PROGRAMS) == set(ProgramId)

    @pytest.mark.parametrize("id", [p.id for p in PROGRAMS.values() if isinstance(p.source, GoSource)])
    def test_names_the_version_that_the_go_module_pins(self, id):
        assert re.search(rf" v{re.escape(PROGRAMS[id].version)}\b", (MODULES / id / "go.mod").read_text())

    @pytest.mark.parametrize("id", [p.id for p in PROGRAMS.values() if isinstance(p.source, MavenSource)])
    def test_names_the_version_that_the_pom_pins(self, id):
        assert f"<version>{PROGRAMS[id].version}</version>" in (POMS / id / "pom.xml").read_text()

    @pytest.mark.parametrize("pom", sorted(POMS.glob("*/pom.xml")), ids=lambda pom: pom.parent.name)
    def test_no_pom_names_a_repository(self, pom):
        assert "<repositor" not in pom.read_text()

    def test_says_what_stands_in_for_what(self):
        found = {
            ProgramId.MARIADB: Installed(ProgramId.MARIADB, "10.11.6", Path("/usr"), Path("/usr/sbin/mariadbd")),
            ProgramId.K6: Installed(ProgramId.K6, "1.8.1", Path("/x"), Path("/x/k6")),
        }
        assert versions(found) == {
            "mariadb": "MariaDB 10.11.6, standing in for mysql:8.0",
            "k6": "k6 1.8.1",
        }
        kafka = {ProgramId.KAFKA: Installed(ProgramId.KAFKA, "4.1.1", Path("/x"), Path("/x/lib"))}
        assert versions(kafka) == {
            "kafka": "Kafka 4.1.1",
            "kafka_exporter": "Python of ours, standing in for danielqsj/kafka-exporter:v1.8.0",
        }


class TestStamp:
    def test_changes_with_the_content_of_a_file(self, tmp_path):
        recipe = tmp_path / "go.mod"
        recipe.write_text("v1")
        before = stamp_of("k6", files=[recipe])
        recipe.write_text("v2")
        assert stamp_of("k6", files=[recipe]) != before

    def test_does_not_change_with_the_place_of_the_checkout(self, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "go.mod").write_text("v1")
        assert stamp_of(files=[tmp_path / "a" / "go.mod"]) == stamp_of(files=[tmp_path / "b" / "go.mod"])

    def test_tells_recipes_of_the_same_name_apart(self):
        assert debian_unit(("redis-server",)).stamp != debian_unit(("prometheus",)).stamp
        assert go_unit("k6", "1", "go.k6.io/k6").stamp != go_unit("k6", "1", "go.k6.io/k6/v2").stamp

    def test_builds_run_beside_downloads(self):
        assert (go_unit("k6", "1", "go.k6.io/k6").lane, maven_unit("kafka", "1").lane) == ("build", "download")


class TestUnit:
    def test_appears_complete(self, tmp_path):
        made = unit(write_file)
        made.make_in(tmp_path, Workshop())
        assert (made.folder(tmp_path) / "file").read_text() == "complete"
        assert [path.name for path in tmp_path.iterdir()] == ["thing-1"]

    def test_leaves_nothing_when_it_fails(self, tmp_path):
        with pytest.raises(SetupError, match="broke off"):
            unit(fail).make_in(tmp_path, Workshop())
        assert list(tmp_path.iterdir()) == []

    def test_is_not_made_twice(self, tmp_path):
        unit(write_file).make_in(tmp_path, Workshop())
        unit(fail).make_in(tmp_path, Workshop())

    def test_starts_afresh_over_what_a_killed_set_up_left(self, tmp_path):
        (tmp_path / "thing-1.partial").mkdir()
        (tmp_path / "thing-1.partial" / "rest").touch()
        unit(write_file).make_in(tmp_path, Workshop())
        assert [path.name for path in (tmp_path / "thing-1").iterdir()] == ["file"]


class TestWorkshop:
    def test_returns_what_the_command_printed(self, tmp_path):
        said = Workshop().run("asking", (*PYTHON, "print('hello')"), cwd=tmp_path, cure="")
        assert said == "hello\n"

    def test_shows_the_last_lines_and_the_cure_of_a_failure(self, tmp_path):
        script = "[print(f'line {i}') for i in range(40)]; raise SystemExit(3)"
        with pytest.raises(SetupError) as error:
            Workshop().run("fetching x", (*PYTHON, script), cwd=tmp_path, cure="Check the network.")
        assert "fetching x failed with exit code 3" in error.value.what
        assert "line 39" in error.value.what
        assert "line 9\n" not in error.value.what
        assert error.value.cure == "Check the network."

    def test_names_a_full_disk_as_the_cause(self, tmp_path):
        script = "raise SystemExit('write /x: no space left on device')"
        with pytest.raises(SetupError) as error:
            Workshop().run("building x", (*PYTHON, script), cwd=tmp_path, cure="Check the network.")
        assert "disk is full" in error.value.cure

    def test_is_never_silent_for_long(self, tmp_path):
        lines: list[str] = []
        workshop = Workshop(lines.append, heartbeat_s=0.05)
        workshop.run("building x", (*PYTHON, "import time; time.sleep(0.3)"), cwd=tmp_path, cure="")
        assert lines[0] == "building x …"
        assert any(re.fullmatch(r"building x … \d+ s", line) for line in lines)
        assert re.fullmatch(r"building x: done in \d+ s", lines[-1])

    def test_adds_to_the_environment(self, tmp_path):
        script = "import os; print(os.environ['CGO_ENABLED'], 'PATH' in os.environ)"
        said = Workshop().run("asking", (*PYTHON, script), cwd=tmp_path, cure="", env={"CGO_ENABLED": "0"})
        assert said.split() == ["0", "True"]

    def test_ends_what_runs_when_it_is_stopped(self, tmp_path):
        workshop = Workshop(heartbeat_s=0.05)
        begun = time.monotonic()
        threading.Timer(0.2, workshop.stop).start()
        with pytest.raises(SetupError):
            workshop.run("building x", (*PYTHON, "import time; time.sleep(60)"), cwd=tmp_path, cure="")
        assert time.monotonic() - begun < 20
        with pytest.raises(SetupError, match="stopped"):
            workshop.run("building y", (*PYTHON, ""), cwd=tmp_path, cure="")


class TestEnsure:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SUITE_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr(programs, "NEEDED_BYTES", 0)

    @pytest.fixture
    def k6(self, monkeypatch):
        """Makes a script the k6 that is "built"; the list holds one entry a build."""
        builds = []

        def make(folder: Path, workshop: Workshop) -> None:
            builds.append(folder)
            (folder / "k6").touch()

        monkeypatch.setattr(programs, "go_unit", lambda name, version, package: unit(make, "build", name))
        return builds

    def test_builds_once_and_then_works_offline(self, k6, tmp_path):
        first = ensure([ProgramId.K6])
        again = ensure([ProgramId.K6])
        assert first == again
        assert first[ProgramId.K6].path == tmp_path / "cache" / "programs" / "k6-1" / "k6"
        assert len(k6) == 1

    def test_asks_for_space_before_anything_is_fetched(self, k6, monkeypatch):
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(programs, "NEEDED_BYTES", 6 * 1024**3)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, 5 * 1024**3))
        with pytest.raises(SetupError, match=r"only 5\.0 GiB") as error:
            ensure([ProgramId.K6])
        assert "XDG_CACHE_HOME" in error.value.cure
        assert not k6

    def test_waits_for_another_set_up_and_says_so(self, k6, tmp_path):
        folder = tmp_path / "cache" / "programs"
        folder.mkdir(parents=True)
        lines: list[str] = []
        with (folder / ".lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            threading.Timer(0.3, fcntl.flock, (other.fileno(), fcntl.LOCK_UN)).start()
            ensure([ProgramId.K6], lines.append)
        assert "another set-up" in lines[0]
        assert len(k6) == 1

    def test_says_which_folder_cannot_be_written(self, k6, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("SUITE_CACHE_DIR", str(tmp_path / "file"))
        with pytest.raises(SetupError, match="cache cannot be written") as error:
            ensure([ProgramId.K6])
        assert "SUITE_CACHE_DIR" in error.value.cure

    def test_names_a_missing_tool_before_anything_is_made(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tools, "search_path", lambda: str(tmp_path))
        with pytest.raises(SetupError, match="`go` is missing") as error:
            ensure([ProgramId.K6])
        assert "Install Go 1.25" in error.value.cure
        assert not (tmp_path / "cache").exists()


class TestTools:
    @pytest.fixture
    def says(self, tmp_path, monkeypatch):
        """Puts a command on the search path that prints a text."""

        def put(command: str, text: str) -> None:
            (tmp_path / command).write_text(f"#!/bin/sh\necho '{text}'\n")
            (tmp_path / command).chmod(0o755)
            monkeypatch.setattr(tools, "search_path", lambda: str(tmp_path))
            monkeypatch.delenv("JAVA_HOME", raising=False)

        return put

    @pytest.mark.parametrize("version", ["go1.19.8", "go1.24"])
    def test_an_old_go_is_refused(self, says, version):
        says("go", f"go version {version} linux/amd64")
        with pytest.raises(SetupError, match="too old") as error:
            tools.require_go()
        assert "Go 1.25" in error.value.cure

    @pytest.mark.parametrize("version", ["go1.25.0", "go1.26.8", "devel go2.0-abc"])
    def test_a_new_go_is_taken(self, says, version):
        says("go", f"go version {version} linux/amd64")
        tools.require_go()

    @pytest.mark.parametrize(("version", "fault"), [("1.8.0_392", "old"), ("11.0.21", "old"), ("24", "new")])
    def test_a_java_that_elasticsearch_or_kafka_cannot_use_is_refused(self, says, version, fault):
        says("java", f'openjdk version "{version}" 2023-10-17')
        with pytest.raises(SetupError, match=f"too {fault}") as error:
            tools.require_java()
        assert "openjdk-17" in error.value.cure

    @pytest.mark.parametrize("version", ["17.0.15", "21.0.2"])
    def test_java_17_and_21_are_taken(self, says, version):
        says("java", f'openjdk version "{version}" 2023-10-17')
        tools.require_java()

    def test_a_tool_that_does_not_run_is_named_with_what_it_said(self, says, tmp_path):
        says("go", "x")
        (tmp_path / "go").write_text("#!/bin/sh\necho cannot load libfoo; exit 127\n")
        with pytest.raises(SetupError, match="cannot load libfoo"):
            tools.require_go()
