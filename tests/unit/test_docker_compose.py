"""What compose and the engine complain about, as cause and cure; and whose lease a container carries."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ConfigError, SetupError, SuiteError
from core.ports import ServiceId
from infra.docker.compose import explain
from infra.docker.engine import _published, _to_microseconds
from infra.docker.joined import named_services
from infra.docker.lease import KEPT, is_held
from infra.docker.variables import port_variables, portal_image, project_name


class TestExplain:
    @pytest.mark.parametrize(
        ("text", "error", "what", "cure"),
        [
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                SetupError,
                "the Docker engine does not answer",
                "Start Docker Desktop",
            ),
            (
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
                SetupError,
                "this user may not talk to the Docker engine",
                "group `docker`",
            ),
            (
                "docker: 'compose' is not a docker command.",
                SetupError,
                "docker has no compose plugin",
                "docker-compose-plugin",
            ),
            (
                "Error response from daemon: driver failed programming external connectivity on endpoint x: "
                "Bind for 127.0.0.1:9090 failed: port is already allocated",
                SetupError,
                "a port that is to be published is taken: 127.0.0.1:9090",
                "--ports free",
            ),
            (
                "Error response from daemon: Ports are not available: exposing port TCP 127.0.0.1:3306 -> 0.0.0.0:0: "
                "listen tcp 127.0.0.1:3306: bind: address already in use",
                SetupError,
                "a port that is to be published is taken: 127.0.0.1:3306",
                "--ports free",
            ),
            (
                "network theirs declared as external, but could not be found",
                SetupError,
                "the network theirs does not exist",
                "docker network create",
            ),
            (
                "Error response from daemon: pull access denied for acme/portal, repository does not exist or may "
                "require 'docker login'",
                SetupError,
                "an image is missing and cannot be pulled: acme/portal",
                "docker pull",
            ),
            (
                "Error response from daemon: manifest for mysql:8.99 not found: manifest unknown",
                SetupError,
                "an image is missing and cannot be pulled: mysql:8.99",
                "docker pull",
            ),
            (
                "Error response from daemon: Head https://registry.example/v2/x: unauthorized: authentication required",
                SetupError,
                "the registry refuses the credentials",
                "docker login",
            ),
            (
                "dependency failed to start: container p-mysql-1 is unhealthy",
                SetupError,
                "p-mysql-1 did not become healthy",
                "docker logs p-mysql-1",
            ),
            (
                'service "kafka-exporter" depends on undefined service "kafka": invalid compose project',
                ConfigError,
                "the compose files are broken",
                "docker compose config",
            ),
            ("failed to register layer: no space left on device", SetupError, "disk is full", "docker system df"),
            ("something new happened", SetupError, "something new happened", "last line"),
        ],
    )
    def test_names_cause_and_cure(self, text: str, error: type[SuiteError], what: str, cure: str) -> None:
        explained = explain(text, "docker compose")
        assert type(explained) is error
        assert what in explained.what
        assert cure in explained.cure


class TestLease:
    @pytest.fixture
    def answering(self) -> Iterator[str]:
        """A watchdog's port that answers `token`."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection:
                        connection.sendall(b"token")

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            yield str(listener.getsockname()[1])
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def test_is_held_while_its_watchdog_answers_with_its_own_token(self, answering: str, tmp_path: Path) -> None:
        assert is_held(f"{answering}:token", tmp_path)
        assert not is_held(f"{answering}:another", tmp_path)

    def test_that_was_kept_on_purpose_is_held_without_a_watchdog(self, tmp_path: Path) -> None:
        assert not is_held("1:token", tmp_path)
        (tmp_path / KEPT).write_text("1:token\n")
        assert is_held("1:token", tmp_path)

    def test_of_nobody_is_not_held(self, tmp_path: Path) -> None:
        assert not is_held("nonsense", tmp_path)


class TestVariables:
    def test_name_a_port_each(self) -> None:
        assert port_variables({ServiceId.REDIS_EXPORTER: 9121}) == {"SUITE_PORT_REDIS_EXPORTER": "9121"}

    def test_two_checkouts_have_two_projects(self, tmp_path: Path) -> None:
        assert project_name(tmp_path / "a") != project_name(tmp_path / "b")

    def test_the_portals_tag_is_of_its_sources(self) -> None:
        assert portal_image() == portal_image()
        assert portal_image().startswith("perf-suite/portal:")

    def test_services_are_said_in_pairs(self) -> None:
        assert named_services("mysql=mysql-db, redis=cache") == {
            ServiceId.MYSQL: "mysql-db",
            ServiceId.REDIS: "cache",
        }
        with pytest.raises(ConfigError, match="SUITE_COMPOSE_SERVICES"):
            named_services("mysqll=db")


class TestEngineAnswers:
    def test_moments_are_cut_to_microseconds(self) -> None:
        assert _to_microseconds("2026-11-27T21:00:00.123456789Z") == "2026-11-27T21:00:00.123456Z"
        assert _to_microseconds("2026-11-27T21:00:00Z") == "2026-11-27T21:00:00.000000Z"

    def test_ports_on_every_address_are_reached_on_loopback(self) -> None:
        bindings = {"9090/tcp": [{"HostIp": "", "HostPort": "9090"}], "9091/tcp": None}
        assert _published(bindings) == {9090: "127.0.0.1:9090"}
