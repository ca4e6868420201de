"""What can go wrong with containers: cause and cure, and nothing that a run started stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from core.errors import ConfigError, SetupError, SuiteError
from core.ports import ServiceId
from core.processes import free_ports
from core.settings import ROOT, Settings, process_environment
from core.waiting import wait_for
from infra.docker.backend import DockerBackend
from infra.docker.catalogue import open_backend
from infra.docker.compose import Project
from infra.docker.engine import Engine
from infra.docker.readiness import look
from infra.docker.site import PLATFORM
from infra.docker.variables import project_name, state_folder
from infra.stack import NotToBeHad
from tests.compose_program import compose_on_path
from tests.standins.engine import TestEngine

REDIS, EXPORTER, PROMETHEUS = ServiceId.REDIS, ServiceId.REDIS_EXPORTER, ServiceId.PROMETHEUS
STARTS_REDIS = """
import sys, time
from core.settings import Settings
from core.ports import ServiceId
from infra.docker.catalogue import open_backend
backend = open_backend("free", Settings(), {})
backend.start([ServiceId.REDIS])
backend.wait_ready([ServiceId.REDIS])
print(backend._lease._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def settings(docker_engine: TestEngine, tmp_path: Path) -> Iterator[Settings]:
    """A project of the test's own; what still runs in it ends with the test."""
    settings = Settings(stack_dir=tmp_path / "stack")
    yield settings
    engine, project = Engine(), project_name(state_folder(settings))
    engine.take_down([container.id for container in engine.containers(project).values()], grace_s=1)
    engine.remove_networks(project)
    engine.remove_volumes(project)


def containers(settings: Settings) -> dict[str, object]:
    return dict(Engine().containers(project_name(state_folder(settings))))


def eventually(look: Callable[[], object], timeout_s: float = 40.0) -> bool:
    return bool(wait_for(look, bool, timeout_s))


@dataclass(frozen=True)
class KilledRun:
    """A run, and the process id of its watchdog."""

    process: subprocess.Popen[str]
    watchdog: int


class TestKilledRuns:
    @pytest.fixture
    def run(self, settings: Settings) -> Iterator[KilledRun]:
        """A process that has started Redis and waits."""
        process = subprocess.Popen(
            (sys.executable, "-c", STARTS_REDIS),
            cwd=ROOT,
            env=process_environment(SUITE_STACK_DIR=str(settings.stack_dir)),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            watchdog = int(process.stdout.readline())
            yield KilledRun(process, watchdog)
            process.kill()

    def test_sigkill_of_the_run_leaves_no_container_and_no_network(self, run: KilledRun, settings: Settings) -> None:
        assert set(containers(settings)) == {"redis"}
        run.process.kill()
        assert eventually(lambda: not containers(settings))
        assert eventually(lambda: not Engine().networks(project_name(state_folder(settings))))

    def test_what_survives_its_watchdog_too_is_removed_by_the_next_start(
        self, run: KilledRun, settings: Settings
    ) -> None:
        os.kill(run.watchdog, signal.SIGKILL)
        run.process.kill()
        before = Engine().containers(project_name(state_folder(settings)))["redis"]
        with open_backend("free", settings, {}) as backend:
            backend.start([REDIS])
            after = backend.identity(REDIS)
            assert after.instance != before.id[:12]
            assert backend.started_by_us() == {REDIS}
        assert containers(settings) == {}


class TestBadInput:
    def test_an_engine_that_does_not_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
        with pytest.raises(SetupError, match="engine does not answer") as caught:
            open_backend("free", Settings(stack_dir=tmp_path), {})
        assert "Start Docker Desktop" in caught.value.cure

    def test_an_engine_on_another_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
        with pytest.raises(ConfigError, match="another machine") as caught:
            open_backend("free", Settings(stack_dir=tmp_path), {})
        assert "--backend external" in caught.value.cure

    def test_a_port_that_is_taken(self, settings: Settings) -> None:
        backend = open_backend("free", settings, {})
        with socket.create_server(("127.0.0.1", int(backend.endpoint(REDIS).rpartition(":")[2]))), backend:
            with pytest.raises(SetupError, match="taken") as caught:
                backend.start([REDIS])
            assert backend.endpoint(REDIS) in caught.value.what
            assert "--ports free" in caught.value.cure
        assert containers(settings) == {}
        assert backend.leftovers() == []

    @pytest.mark.parametrize(
        ("service", "networks", "error", "what"),
        [
            ({"image": "perf-suite-test/nowhere:1"}, {}, SetupError, "an image is missing"),
            (
                {"image": "redis:7.4-alpine", "networks": ["theirs"]},
                {"theirs": {"external": True}},
                SetupError,
                "the network theirs does not exist",
            ),
            ({"image": "redis:7.4-alpine", "prots": []}, {}, ConfigError, "compose files are broken"),
        ],
        ids=["image missing", "network missing", "file broken"],
    )
    def test_a_project_that_cannot_start(
        self,
        docker_engine: TestEngine,
        tmp_path: Path,
        service: dict[str, object],
        networks: dict[str, object],
        error: type[SuiteError],
        what: str,
    ) -> None:
        file = tmp_path / "docker-compose.yml"
        file.write_text(yaml.safe_dump({"services": {"it": service}, "networks": networks}))
        with pytest.raises(error, match=what) as caught:
            Project("perf-suite-broken", (file,), tmp_path).run("up", "--detach")
        assert caught.value.cure
        assert Engine().containers("perf-suite-broken") == {}
        Engine().remove_networks("perf-suite-broken")


class TestGrafana:
    @pytest.fixture
    def without_image(self, docker_engine: TestEngine) -> Iterator[str]:
        """The engine has no image of Grafana, and nobody to pull it from."""
        name = yaml.safe_load(PLATFORM.read_text())["services"]["grafana"]["image"]
        with closing(docker_engine.client()) as client:
            client.images.get(name).tag("perf-suite-test/grafana", "put-aside")
            client.images.remove(name)
            try:
                yield name
            finally:
                client.images.get("perf-suite-test/grafana:put-aside").tag(*name.split(":"))
                client.images.remove("perf-suite-test/grafana:put-aside")

    def test_whose_image_cannot_be_had_is_told_from_one_that_does_not_start(
        self, settings: Settings, without_image: str
    ) -> None:
        with open_backend("free", settings, {}) as backend:
            with pytest.raises(NotToBeHad, match=f"{without_image} is not here and cannot be pulled"):
                backend.grafana()
            assert containers(settings) == {}


class TestHalfUpStack:
    def broken(self, settings: Settings) -> DockerBackend:
        """Redis with a setting that it refuses, so that it ends at once."""
        backend = open_backend("free", settings, {})
        project = backend._site.project()
        file = state_folder(settings) / "broken.yml"
        document = yaml.safe_load(project.files[0].read_text())
        document["services"]["redis"]["command"] = ["redis-server", "--maxmemory", "a lot"]
        document["services"]["redis"].pop("healthcheck")
        document["services"]["redis-exporter"]["depends_on"] = ["redis"]
        both = {name: document["services"][name] for name in ("redis", "redis-exporter")}
        file.write_text(yaml.safe_dump({"services": both}))
        broken = Project(project.name, (file,), project.folder, project.variables)
        backend._site.project = lambda lease="": broken  # type: ignore[method-assign]
        backend._config = broken.config()
        return backend

    def test_the_error_names_the_one_that_ended_with_its_last_words_and_all_is_taken_down(
        self, settings: Settings
    ) -> None:
        with self.broken(settings) as backend:
            backend.start([EXPORTER])
            with pytest.raises(SetupError, match="redis: exited with exit code 1") as caught:
                backend.wait_ready([REDIS, EXPORTER])
            assert "maxmemory" in caught.value.what
        assert containers(settings) == {}


class TestJoiningAPlatform:
    """A small platform of somebody else: Redis and a Prometheus of the design's time, running already."""

    SCRAPES = {"scrape_configs": [{"job_name": "prometheus", "static_configs": [{"targets": ["localhost:9090"]}]}]}

    @pytest.fixture
    def theirs(self, docker_engine: TestEngine, tmp_path: Path) -> Iterator[Project]:
        ports = free_ports(["redis", "prometheus"])
        folder = tmp_path / "their platform"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(self.SCRAPES))
        services = {
            "cache": {"image": "redis:7.4-alpine", "ports": [f"127.0.0.1:{ports['redis']}:6379"]},
            "prometheus": {
                "image": "prom/prometheus:v2.53.5",
                "command": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
                "ports": [f"127.0.0.1:{ports['prometheus']}:9090"],
                "volumes": ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"],
            },
        }
        file = folder / "docker-compose.yml"
        file.write_text(yaml.safe_dump({"name": "somebodys", "services": services}))
        project = Project(None, (file,), folder)
        project.run("up", "--detach")
        yield project
        project.run("down", "--volumes", "--remove-orphans")

    def test_adds_extends_and_puts_everything_back(self, theirs: Project, tmp_path: Path) -> None:
        before = Engine().containers("somebodys")
        files = {file: file.read_bytes() for file in theirs.folder.rglob("*")}
        settings = Settings(stack_dir=tmp_path / "stack", compose_files=str(theirs.files[0]))
        with open_backend("free", settings, {}) as backend:
            backend.start([REDIS, EXPORTER, PROMETHEUS])
            backend.wait_ready([REDIS, EXPORTER, PROMETHEUS])
            during = Engine().containers("somebodys")
            assert during["cache"].id == before["cache"].id
            assert backend.started_by_us() == {EXPORTER}
            assert not backend.prometheus_is_ours
            assert asked(backend, "status/flags")["enable-feature"] == "native-histograms"
            assert eventually(lambda: jobs(backend) == {"prometheus", "cadvisor", "redis-exporter", "kafka-bot"}), jobs(
                backend
            )
        after = Engine().containers("somebodys")
        assert set(after) == {"cache", "prometheus"}
        assert after["cache"].id == before["cache"].id
        assert after["prometheus"].running
        assert asked(backend, "status/flags")["enable-feature"] == ""
        assert {file: file.read_bytes() for file in theirs.folder.rglob("*")} == files


def asked(backend: DockerBackend, path: str) -> dict[str, Any]:
    """What Prometheus answers to `/api/v1/<path>`, once it is ready."""
    address = backend.endpoint(PROMETHEUS)
    assert eventually(lambda: look(PROMETHEUS, address) is None)
    return dict(httpx.get(f"http://{address}/api/v1/{path}", trust_env=False).json()["data"])


def jobs(backend: DockerBackend) -> set[str]:
    """What its Prometheus scrapes."""
    return {target["labels"]["job"] for target in asked(backend, "targets")["activeTargets"]}


class TestDaemonRestart:
    def test_is_seen_and_what_was_started_is_still_taken_down(
        self, docker_engine: TestEngine, settings: Settings
    ) -> None:
        with open_backend("free", settings, {}) as backend:
            backend.start([REDIS])
            backend.wait_ready([REDIS])
            assert backend.identity(REDIS).alive
            docker_engine.restart()
            after = backend.identity(REDIS)
            assert not after.alive
            assert "exit code" in after.detail
        assert containers(settings) == {}
        assert backend.leftovers() == []


class TestWithoutAnEngine:
    @pytest.fixture(autouse=True)
    def compose(self, tmp_path: Path) -> Iterator[None]:
        folder = tmp_path / "bin"
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch, compose_on_path(folder, patch):
            yield

    def test_a_run_ends_with_exit_code_2_and_says_the_cure(self, tmp_path: Path) -> None:
        ended = subprocess.run(
            (sys.executable, "-m", "flows.full_suite", "--backend", "docker", "--run-dir", str(tmp_path / "runs")),
            cwd=ROOT,
            env=process_environment(
                DOCKER_HOST=f"unix://{tmp_path}/nothing.sock", PREFECT_HOME=str(tmp_path / "prefect")
            ),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        shown = ended.stdout + ended.stderr
        assert ended.returncode == 2, shown
        assert "Start Docker Desktop" in shown
        assert "Traceback" not in shown
