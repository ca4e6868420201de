"""What every backend must do (infra/stack.py), shown with the real Redis, its exporter and a gateway that needs it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pymysql
import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from core.errors import SuiteError
from core.ports import Endpoints, ServiceId
from core.settings import Settings
from infra.docker.catalogue import open_backend as open_containers
from infra.docker.engine import Engine
from infra.docker.variables import project_name, state_folder
from infra.embedded.catalogue import open_backend
from infra.embedded.lease import SupervisorClient
from infra.embedded.statedir import StateDir
from infra.external.backend import ExternalBackend
from infra.mysql.account import ensure_exporter_account
from infra.stack import Backend
from infra.verify.alive import stack_alive_check

Open = Callable[[], Backend]
EXPORTER, REDIS, GATEWAY, PROMETHEUS = (
    ServiceId.REDIS_EXPORTER,
    ServiceId.REDIS,
    ServiceId.GATEWAY,
    ServiceId.PROMETHEUS,
)


@contextmanager
def embedded(folder: Path) -> Iterator[Open]:
    state_dir = folder / "a stack with spaces"
    yield lambda: open_backend(any_ports=True, state_dir=state_dir)
    client = SupervisorClient(StateDir(state_dir))
    client.ensure_running()
    client.ask("stop")
    os.kill(client.ask("hello")["pid"], signal.SIGTERM)


@contextmanager
def external(folder: Path) -> Iterator[Open]:
    """Redis and its exporter run on somebody else's lease; a Prometheus is named and is not there."""
    with embedded(folder) as open_others, open_others() as others:
        others.start([REDIS, EXPORTER])
        others.wait_ready([REDIS, EXPORTER])
        named = Endpoints({service: others.endpoint(service) for service in (REDIS, EXPORTER, PROMETHEUS)})
        yield lambda: ExternalBackend(named)


@contextmanager
def docker(folder: Path) -> Iterator[Open]:
    """An engine of the tests' own runs by then (`docker_engine`)."""
    settings = Settings(stack_dir=folder / "a stack with spaces")
    yield lambda: open_containers("free", settings, {})
    engine = Engine()
    project = project_name(state_folder(settings))
    engine.take_down([container.id for container in engine.containers(project).values()], grace_s=1)
    engine.remove_networks(project)
    engine.remove_volumes(project)


BACKENDS = {"embedded": embedded, "docker": docker}
"""Those that start the stack."""
ALL_BACKENDS = {**BACKENDS, "external": external}


def _require_engine(request: pytest.FixtureRequest) -> None:
    if request.param == "docker":
        request.getfixturevalue("docker_engine")


@pytest.fixture(params=BACKENDS)
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens backends that look at the same stack; whatever still runs in it ends with the test."""
    _require_engine(request)
    with BACKENDS[request.param](tmp_path) as opener:
        yield opener


@pytest.fixture(params=ALL_BACKENDS)
def open_any(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """As `open_one`, also over a stack of somebody else."""
    _require_engine(request)
    with ALL_BACKENDS[request.param](tmp_path) as opener:
        yield opener


@pytest.fixture
def looked_at(open_any: Open) -> Iterator[Backend]:
    """A backend in which Redis and its exporter are ready."""
    with open_any() as backend:
        backend.start([REDIS, EXPORTER])
        backend.wait_ready([REDIS, EXPORTER])
        yield backend


@pytest.fixture
def backend(open_one: Open) -> Iterator[Backend]:
    """A backend in which Redis and its exporter run."""
    with open_one() as backend:
        backend.start([REDIS, EXPORTER])
        backend.wait_ready([REDIS, EXPORTER])
        yield backend


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as trial:
        return trial.connect_ex((host, int(port))) == 0


def eventually(holds: Callable[[], object]) -> None:
    retry(retry=retry_if_result(lambda held: not held), stop=stop_after_delay(10), wait=wait_fixed(0.05))(holds)()


class TestEveryBackend:
    """What also holds where somebody else runs the stack."""

    def test_ready_means_that_the_endpoint_answers(self, looked_at):
        metrics = httpx.get(f"http://{looked_at.endpoint(EXPORTER)}/metrics", trust_env=False).text
        assert "redis_up 1" in metrics

    def test_knows_the_instance_that_runs(self, looked_at):
        first, again = looked_at.identity(REDIS), looked_at.identity(REDIS)
        assert first.alive
        assert first.instance
        assert first == again

    def test_knows_since_when_a_process_runs(self, looked_at):
        assert looked_at.identity(EXPORTER).started.endswith("Z")

    def test_knows_that_a_service_runs_nowhere(self, looked_at):
        assert not looked_at.identity(PROMETHEUS).alive

    def test_says_what_runs_in_which_version(self, looked_at):
        assert any("redis" in name for name in looked_at.versions())

    def test_start_is_safe_to_repeat(self, looked_at):
        before = looked_at.identity(REDIS)
        looked_at.start([REDIS, EXPORTER])
        looked_at.wait_ready([REDIS, EXPORTER])
        assert looked_at.identity(REDIS) == before

    def test_leaves_running_what_ran_before(self, looked_at, open_any):
        with open_any() as second:
            second.start([REDIS])
            second.wait_ready([REDIS])
            assert second.started_by_us() == frozenset()
            assert second.endpoint(REDIS) == looked_at.endpoint(REDIS)
        assert answers(looked_at.endpoint(REDIS))
        assert second.leftovers() == []

    def test_refuses_a_service_that_it_does_not_have(self, looked_at):
        with pytest.raises(SuiteError) as caught:
            looked_at.start([ServiceId.KAFKA_BOT])
        assert "kafka-bot" in caught.value.what
        assert caught.value.cure


class TestBackend:
    """What holds where the suite starts the stack."""

    def test_starts_what_a_service_needs_too(self, open_one):
        with open_one() as backend:
            backend.start([GATEWAY])
            backend.wait_ready([GATEWAY])
            assert {GATEWAY, REDIS} <= backend.started_by_us()
            assert answers(backend.endpoint(REDIS))

    def test_restart_makes_another_instance_at_the_same_endpoint(self, backend):
        before, address = backend.identity(REDIS), backend.endpoint(REDIS)
        backend.restart(REDIS)
        after = backend.identity(REDIS)
        assert after.alive
        assert (after.instance, after.started) != (before.instance, before.started)
        assert backend.endpoint(REDIS) == address
        assert answers(address)

    def test_shows_the_last_lines_of_a_log_also_after_the_end(self, backend):
        assert any("Ready to accept connections" in line for line in backend.logs(REDIS))
        backend.stop()
        assert len(backend.logs(REDIS, lines=1)) == 1

    def test_copies_its_logs(self, backend, tmp_path):
        copies = backend.collect_logs(tmp_path / "logs of a run")
        assert any("redis" in copy.name and "Ready" in copy.read_text() for copy in copies)
        assert all(copy.parent == tmp_path / "logs of a run" for copy in copies)

    def test_copies_no_log_of_a_service_that_it_does_not_use(self, backend, open_one, tmp_path):
        with open_one() as second:
            second.start([REDIS])
            copies = second.collect_logs(tmp_path / "logs")
        assert not [copy for copy in copies if "exporter" in copy.name]

    def test_lets_the_exporters_user_be_made(self, open_one):
        """Twice, as on a volume that knows the user already; it may then read what the exporter reads."""
        with open_one() as backend:
            backend.start([ServiceId.MYSQL])
            backend.wait_ready([ServiceId.MYSQL])
            account = backend.exporter_account()
            for _ in range(2):
                ensure_exporter_account(account)
            with (
                pymysql.connect(
                    host=account.host, port=account.port, user=account.user, password=account.password
                ) as sql,
                sql.cursor() as cursor,
            ):
                assert cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_connected'") == 1

    def test_stops_what_it_started_and_leaves_nothing(self, backend):
        address = backend.endpoint(REDIS)
        assert backend.started_by_us() == {REDIS, EXPORTER}
        backend.stop()
        assert not answers(address)
        assert backend.leftovers() == []
        backend.stop()

    def test_names_what_is_still_there(self, backend):
        """Not stopped yet, so all of it is."""
        assert {leftover.service for leftover in backend.leftovers()} == {REDIS, EXPORTER}
        assert any(backend.endpoint(REDIS).rpartition(":")[2] in leftover.what for leftover in backend.leftovers())

    def test_keep_leaves_running_what_was_started(self, open_one):
        with open_one() as first:
            first.start([REDIS])
            first.wait_ready([REDIS])
            first.keep()
        assert answers(first.endpoint(REDIS))
        assert first.leftovers() == []

    def test_start_is_safe_to_repeat(self, backend):
        before = backend.identity(REDIS)
        backend.start([REDIS, EXPORTER])
        backend.wait_ready([REDIS, EXPORTER])
        assert backend.identity(REDIS) == before
        assert backend.started_by_us() == {REDIS, EXPORTER}


class TestEmbeddedBackend:
    def test_sees_that_a_service_has_died(self, tmp_path):
        with embedded(tmp_path) as open_one, open_one() as backend:
            backend.start([REDIS])
            backend.wait_ready([REDIS])
            os.kill(int(backend.identity(REDIS).instance), signal.SIGKILL)
            eventually(lambda: "SIGKILL" in backend.identity(REDIS).detail)
            assert not backend.identity(REDIS).alive


class TestExternalBackend:
    def test_changes_nothing(self, tmp_path):
        with external(tmp_path) as open_one, open_one() as backend:
            backend.start([REDIS, EXPORTER])
            backend.wait_ready([REDIS, EXPORTER])
            with pytest.raises(SuiteError, match="somebody else"):
                backend.restart(REDIS)
            assert backend.exporter_account() is None
            backend.stop()
            assert answers(backend.endpoint(REDIS))
            assert backend.leftovers() == []

    def test_sees_that_somebody_restarted_a_service(self, tmp_path):
        with embedded(tmp_path) as open_others, open_others() as others:
            others.start([REDIS, EXPORTER])
            others.wait_ready([REDIS, EXPORTER])
            backend = ExternalBackend(Endpoints({name: others.endpoint(name) for name in (REDIS, EXPORTER)}))
            before = {name: backend.identity(name) for name in (REDIS, EXPORTER)}
            others.restart(REDIS)
            others.restart(EXPORTER)
            after = {name: backend.identity(name) for name in (REDIS, EXPORTER)}
        assert "redis was restarted" in stack_alive_check(before, after).observed
        assert "redis-exporter was restarted" in stack_alive_check(before, after).observed

    def test_names_all_that_is_not_there(self, tmp_path):
        with external(tmp_path) as open_one, open_one() as backend, pytest.raises(SuiteError) as caught:
            backend.wait_ready([REDIS, PROMETHEUS])
        assert "prometheus: does not answer" in str(caught.value)
        assert caught.value.cure
